"""The keeper: rounds whatever happens to the database; a full disk is told of while it is full, and nothing is told twice afterwards."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from watched import MINUTE, NAME, START, number, record, write

import portside as ps
from portside.cloud.deployment.file import read
from portside.cloud.deployment.generation import folder_of as generations_of
from portside.cloud.monitoring import child, reading
from portside.cloud.monitoring.board import Board, Said, folder_of
from portside.cloud.monitoring.child import Beside, command
from portside.cloud.monitoring.process import Keeper
from portside.cloud.monitoring.tables import prepare
from portside.cloud.records.database import Database


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """A package whose only use here is its name, signature and profile."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    model = LogisticRegression().fit(rows, rows[:, 0] > 0)
    out = tmp_path_factory.mktemp("net") / "net"
    return ps.pack(model, name="net", examples={"x": rows}, labels=(rows[:, 0] > 0).astype(int), out=out).path


def deploy(folder: Path, package: Path, more: str) -> Path:
    path = folder / "deployment.toml"
    path.write_text(f'name = "{NAME}"\n[champion]\npackage = "{package}"\n[monitor]\nevery_s = 0.2\n{more}\n')
    return path


def board_of(path: Path) -> Board:
    deployment = read(path)
    return Board(folder_of(generations_of(deployment.name, deployment.path)))


def full(database: Database) -> None:
    """From now on the database says what SQLite says when the disk is full, until `database.full()`."""

    def refuse(connection, cursor, statement, parameters, context, executemany):
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            raise OperationalError(statement, {}, sqlite3.OperationalError("database or disk is full"))

    event.listen(database.engine, "before_cursor_execute", refuse)
    database.full = lambda: event.remove(database.engine, "before_cursor_execute", refuse)


def test_a_full_disk_is_told_of_while_it_is_full_and_saved_once_it_is_not(tmp_path, package, receiver):
    path = deploy(tmp_path, package, f'webhook = "http://127.0.0.1:{receiver.server_port}/"')
    board = board_of(path)
    now = [START]
    keeper = Keeper(read(path), lambda: now[0])
    try:
        board.write(Said({"written": 100, "lost": 0}))
        assert keeper.round().acted and receiver.got == []
        database = keeper._pipeline.turn.database
        full(database)
        board.write(Said({"written": 120, "lost": 30}, "OperationalError: database or disk is full"))
        now[0] += 5000
        assert not keeper.round().acted and "full" in keeper.fault
        assert [body["data"]["alert"] for body in receiver.got] == ["records-lost"], "told while nothing can be written"
        assert receiver.got[0]["data"]["value"] == 30 and "disk is full" in receiver.got[0]["data"]["what"]
        for _ in range(5):
            now[0] += 5000
            keeper.round()
        database.full()
        now[0] += 5000
        assert keeper.round().acted and keeper.fault == ""
        time.sleep(1.5)
        both = ["records-failing", "records-lost"]
        assert sorted(body["data"]["alert"] for body in receiver.got) == both, "once each; the one after it had held for 20 s"
        assert sorted(alert.name for alert in reading.alerts(database, NAME, "firing")) == both
        assert [one["state"] for one in reading.events(database, NAME)] == ["firing"] * 2
        for minute in range(20):
            board.write(Said({"written": 200 + minute, "lost": 30}))
            now[0] += MINUTE
            keeper.round()
        assert reading.alerts(database, NAME, "firing") == []
        ends = time.monotonic() + 30
        while len(receiver.got) < 4 and time.monotonic() < ends:  # its own thread tells, and nobody beside it, or one is told twice
            time.sleep(0.05)
        assert [body["data"]["state"] for body in receiver.got] == ["firing"] * 2 + ["resolved"] * 2
    finally:
        keeper.close()
        board.close()


def test_it_begins_where_no_database_can_be_made_and_goes_on_when_it_can(tmp_path, package, receiver):
    place = tmp_path / "records"
    path = deploy(tmp_path, package, f'webhook = "http://127.0.0.1:{receiver.server_port}/"\n[records]\npath = "records/r.sqlite"')
    place.write_text("a file where the folder should be")
    board = board_of(path)
    keeper = Keeper(read(path))
    try:
        board.write(Said({"lost": 5}, "OSError"))
        assert not keeper.round().acted and [body["data"]["alert"] for body in receiver.got] == ["records-lost"]
        place.unlink()
        assert keeper.round().acted and keeper.fault == ""
        assert [one.name for one in reading.alerts(keeper._pipeline.turn.database, NAME, "firing")] == ["records-lost"]
    finally:
        keeper.close()
        board.close()


def test_of_two_monitors_one_acts_and_the_other_takes_over(tmp_path, package):
    path = deploy(tmp_path, package, "")
    now = [START]
    first, second = Keeper(read(path), lambda: now[0]), Keeper(read(path), lambda: now[0])
    try:
        assert first.round().acted and not second.round().acted and second.fault == ""
        first.close()
        assert second.round().acted, "a lease that was given back is free at once"
    finally:
        second.close()


@pytest.mark.slow
def test_the_process_counts_what_is_there_and_ends_when_it_is_told(tmp_path, package):
    path = deploy(tmp_path, package, "")
    now = time.time_ns() // 1_000_000
    with Database.open(tmp_path / "records.sqlite") as database:
        prepare(database)
        write(database, [record(place, now - place, inputs={"x": [[0.0, 0.0, 0.0]]}, outputs={"label": [0]}) for place in range(50)])
        process = subprocess.Popen(command(path)[:-1], stderr=subprocess.PIPE)
        try:
            wait(lambda: reading.gauges(database, NAME).get("portside_monitor_window_requests") == {"{}": 50.0}, 150)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.communicate()
        assert not reading.latest(database, NAME).monitored


def test_what_ends_is_started_again_after_a_pause_and_all_of_it_ends_with_the_server(tmp_path):
    log = tmp_path / "log"
    beside = Beside([sys.executable, "-c", f"open({str(log)!r}, 'a').write('x'); raise SystemExit(3)"])
    beside.start()
    wait(lambda: log.exists() and len(log.read_text()) >= 2, 120)
    beside.close()
    assert beside.pid is None and beside.starts >= 2
    lasting = Beside([sys.executable, "-c", "import time; time.sleep(60)"])
    lasting.start()
    wait(lambda: lasting.pid is not None, 60)
    began = time.monotonic()
    lasting.close()
    assert lasting.pid is None and time.monotonic() - began < 45


@pytest.mark.parametrize(("code", "said"), [(0, 0), (3, 1)])
def test_one_that_was_told_to_end_with_the_server_is_no_fault(tmp_path, caplog, monkeypatch, code, said):
    monkeypatch.setattr(child, "TOLD_S", 60.0)  # not over before this machine comes to close it
    beside = Beside([sys.executable, "-c", f"raise SystemExit({code})"])
    beside.start()
    wait(lambda: beside.starts == 1 and beside.pid is None, 60)
    if said:
        wait(lambda: any("started again" in line for line in caplog.messages), 60)
    else:
        time.sleep(0.5)
    beside.close()
    assert len([line for line in caplog.messages if "started again" in line]) == said


def test_models_come_first(tmp_path):
    ready = []
    beside = Beside([sys.executable, "-c", "import time; time.sleep(60)"], lambda: bool(ready))
    beside.start()
    time.sleep(0.3)
    assert beside.starts == 0
    ready.append(True)
    wait(lambda: beside.starts == 1, 60)
    beside.close()


def wait(ready, seconds):
    ends = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_ids_are_in_order():
    assert number(1) < number(2)
