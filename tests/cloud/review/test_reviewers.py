"""Reviewers at once, in processes of their own, on both databases: nobody is given what another holds, and everything is decided once."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from made_reviews import item

from portside.cloud.records.reading import every_label
from portside.cloud.review import overview, queue

SCRIPT = Path(__file__).with_name("reviewing.py")


@pytest.mark.slow
def test_everything_is_decided_once_and_by_one(place, database, effort):
    items = [item(one) for one in range(60 * effort)]
    queue.enqueue(database, items)
    people = [start(place, name) for name in ("ana", "ben", "cem", "dan")]
    assert all('"ready"' in one.stdout.readline() for one in people)
    go(people)
    said = [[json.loads(one.stdout.readline())] for one in people]
    assert [lines[0]["did"] for lines in said] == ["lease"] * len(people)
    go(people)
    for one, lines in zip(people, said, strict=True):
        lines += [json.loads(line) for line in one.communicate(timeout=60 * effort)[0].splitlines()]
    assert all(one.returncode == 0 for one in people)
    decided = [line for lines in said for line in lines if line["did"] == "decide"]
    assert sorted(line["id"] for line in decided) == [one.id for one in items]
    assert all(any(line["did"] == "decide" for line in lines) for lines in said), "one of them had nothing to do"
    held = overview.counts(database, 0)
    assert (held.decided, held.pending) == (len(items), 0)
    check_holds(said)
    records = {one.id: one.record for one in items}
    for line in decided:
        newest = every_label(database, [records[line["id"]]])[-1]
        assert newest.id == line["token"] and newest.values == {"label": 1}


def check_holds(said):
    """No two hold an item at once: from the answer that gave it until the call that ended it, as the holders saw it."""
    spans = {}
    for lines in said:
        for place, line in enumerate(lines):
            if line["did"] == "lease":
                ended = next(one for one in lines[place:] if one["did"] in ("decide", "skip"))
                assert ended["id"] == line["id"]
                spans.setdefault(line["id"], []).append((line["at"], ended["began"]))
    assert any(len(held) > 1 for held in spans.values()), "nothing was ever given to a second one"
    for held in map(sorted, spans.values()):
        assert all(later[0] >= earlier[1] for earlier, later in pairwise(held))


def go(people):
    for one in people:
        one.stdin.write("go\n")
        one.stdin.flush()


def start(place, name):
    words = [sys.executable, str(SCRIPT), str(place), name, "50"]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
