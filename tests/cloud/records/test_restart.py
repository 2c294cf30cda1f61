"""PostgreSQL goes away in the middle: nothing acknowledged is lost, nothing is doubled, and the backlog is bounded."""

import threading
import time

import pytest
from drafts import draft, label
from postgresql_server import Server

from portside.cloud.records.database import Database
from portside.cloud.records.labelling import label as write
from portside.cloud.records.reading import every_label, records
from portside.cloud.records.store import RecordStore
from portside.sdk.core.errors import StoreError


@pytest.fixture(scope="module")
def own():
    """A server that others do not need."""
    server = Server()
    yield server
    server.close()


@pytest.mark.slow
def test_crashes_of_the_server_cost_nothing_that_was_acknowledged(own):
    place = own.database()
    store = RecordStore(place, size=100_000)  # room for as long as a slow disk takes to recover the server
    put: list[str] = []
    acknowledged: list[str] = []
    labelled: list[str] = []
    done = threading.Event()

    def write_records():
        while not done.is_set():
            item = draft()
            if store.put(item):
                put.append(item.record.id)
            time.sleep(0.001)

    def write_labels():
        with Database.open(place) as database:
            while not done.is_set():
                said = label("r")
                for _ in range(100):
                    try:
                        write(database, [said])
                        labelled.append(said.id)
                        break
                    except StoreError:
                        time.sleep(0.1)

    threads = [threading.Thread(target=write_records), threading.Thread(target=write_labels)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.5)
        before = list(put)
        if store.flush(5):
            acknowledged = before
        own.stop("immediate")
        time.sleep(0.3)
        assert store.put(draft()) or store.lost, "requests go on"
        own.start()
    time.sleep(0.7)
    done.set()
    for thread in threads:
        thread.join(30)
    assert store.flush(20) and not store.failing
    store.close()
    with Database.open(place) as database:
        found = [record.id for record in records(place)]
        assert len(found) == len(set(found)) == store.written and set(acknowledged) <= set(put) <= set(found)
        assert [said.id for said in every_label(database, ["r"])] == labelled and len(labelled) > 10
    assert store.lost == 0


def test_while_it_is_away_the_backlog_is_bounded_and_losses_are_counted(own):
    store = RecordStore(own.database(), size=300)
    own.stop("immediate")
    kept = sum(store.put(draft()) for _ in range(2000))
    ends = time.monotonic() + 10
    while not store.failing and time.monotonic() < ends:
        time.sleep(0.01)
    assert store.failing and store.fault and kept <= 300 and store.lost == 2000 - kept
    own.start()
    assert store.flush(20) and store.written == kept and store.fault == ""
    store.close()
