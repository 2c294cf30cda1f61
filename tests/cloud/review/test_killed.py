"""kill -9 of a reviewer at distinct points, on both databases: no acknowledged decision is lost, none is doubled when it is sent again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from dying import ITEMS
from made_reviews import NOW, item, number
from sqlalchemy import select

from portside.cloud.records.database import Database
from portside.cloud.records.reading import every_label, labels_of
from portside.cloud.review import queue
from portside.cloud.review.tables import DECISIONS, NOTICES

pytestmark = pytest.mark.chaos
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def killed():
    """A function that runs a reviewer: (what was acknowledged: [("decided" | "undone", id, token)], where it died)."""
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    words = [sys.executable, str(HERE / "dying.py")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:

        def run(place, point, mode="honest"):
            process.stdin.write(f"{place} {point} {mode}\n")
            process.stdin.flush()
            lines = [line.split(" ", 1) for line in json.loads(process.stdout.readline())]
            assert lines and lines[-1][0] in ("POINT", "WHOLE"), lines
            return [(what, *rest.split(" ")) for what, rest in lines[:-1]], lines[-1][1]

        yield run
        process.stdin.close()


def fresh(make):
    place = make()
    with Database.open(place) as database:
        queue.prepare(database)
        queue.enqueue(database, [item(one) for one in range(ITEMS)])
    return place


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request, tmp_path):
    """A function that makes the place of a new, empty database."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql").database
    places = iter(range(10_000))
    return lambda: tmp_path / f"{next(places)}.sqlite"


def wrong(place, acked, again):
    """What was acknowledged and does not stand, or stands twice. `again`: after everything was sent once more, as pages do."""
    undone = {token for what, _, token in acked if what == "undone"}
    with Database.open(place) as database:
        if again:
            for _, review, token in acked:
                queue.decide(database, review, "ana", {"label": 0}, NOW + 100, token=token)
                if token in undone:
                    queue.undo(database, review, "ana", NOW + 100, token=token)
        with database.read() as connection:
            held = {row.id: row for row in connection.execute(select(DECISIONS))}
            notices = Counter(row.review for row in connection.execute(select(NOTICES)) if row.event == "decided")
        labels = Counter(label.id for label in every_label(database, [number(one, 2) for one in range(ITEMS)]))
        faults = [token for _, _, token in acked if token not in held or labels[token] != 1]
        faults += [token for token in undone if held[token].undone_ms is None]
        for row in held.values():  # a decision and its label and what is told of it stand or fall together
            told = queue.status(database, row.review)
            known = labels_of(database, [row.record])[row.record, 0].values["label"]
            whole = row.undone_ms is not None or (told.state == "decided" and told.answer["label"] == known and notices[row.review] == 1)
            faults += [] if whole else [f"half of {row.id}"]
        faults += [review for review, count in Counter(row.review for row in held.values() if row.undone_ms is None).items() if count > 1]
    return faults



def test_what_was_acknowledged_stands(killed, make, effort):
    acked, whole = killed(fresh(make), 0)
    total = int(whole)
    assert len([one for one in acked if one[0] == "decided"]) == ITEMS
    chosen = sorted({1 + round(step * (total - 1) / (8 * effort - 1)) for step in range(8 * effort)})
    died = set()
    for point in chosen:
        place = fresh(make)
        acked, where = killed(place, point)
        died.add(where)
        assert wrong(place, acked, again=False) == [], f"killed at point {point}, {where}"
        assert wrong(place, acked, again=True) == [], f"sent again after point {point}, {where}"
        with Database.open(place) as database:  # what the dead one held returns when its lease ends, and all is decided in the end
            while one := queue.lease(database, "ben", NOW + 200_000):
                queue.decide(database, one.id, "ben", {"label": 1}, NOW + 200_000)
            assert all(queue.status(database, number(one), NOW).state == "decided" for one in range(ITEMS))
    assert len(died) >= min(5, len(chosen)), died


def test_a_reviewer_who_says_so_too_early_is_found_out(killed, make):
    """The control: acknowledged before the commit, so at some point something acknowledged is not there."""
    total, found = int(killed(fresh(make), 0, "early")[1]), []
    for point in range(2, total, max(1, total // 12)):
        place = fresh(make)
        acked, _ = killed(place, point, "early")
        found += wrong(place, acked, again=False)
    assert found
