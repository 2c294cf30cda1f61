"""A reviewer that is killed at a point: at a statement, before or after a commit, or with the answer on its lips.

    python dying.py    reads lines "PLACE POINT MODE", forks a reviewer for each, and prints a line of JSON: what it said

A reviewer says a line for each decision that was acknowledged, and "POINT NAME" just before it dies. MODE "early" acknowledges before
it commits: the negative control.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from made_reviews import NOW, number
from sqlalchemy import event

from portside.cloud.records.database import Database
from portside.cloud.review import queue

ITEMS = 6


class Points:
    """Counts points; at the chosen one the process dies as by kill -9."""

    def __init__(self, chosen: int) -> None:
        self.chosen, self.count = chosen, 0

    def pass_by(self, name: str) -> None:
        self.count += 1
        if self.count == self.chosen:
            say(f"POINT {name}")
            os.kill(os.getpid(), signal.SIGKILL)


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def review(place: str, chosen: int, early: bool) -> None:
    points = Points(chosen)
    with Database.open(place) as database:
        event.listen(database.engine, "before_cursor_execute", lambda *held: points.pass_by(held[2].split(" ")[0] + " " + table(held[2])))
        event.listen(database.engine, "commit", lambda _: points.pass_by("COMMIT"))
        for turn in range(ITEMS):
            item = queue.lease(database, "ana", NOW + turn, ms=60_000)
            points.pass_by("leased")
            if item is None:
                break
            token = number(turn, 9)
            if early:
                say(f"decided {item.id} {token}")
            queue.decide(database, item.id, "ana", {"label": turn % 2}, NOW + turn, token=token)
            points.pass_by("decided")
            if not early:
                say(f"decided {item.id} {token}")
            if turn % 3 == 2:
                queue.undo(database, item.id, "ana", NOW + turn, token=token)
                points.pass_by("undone")
                say(f"undone {item.id} {token}")
    say(f"WHOLE {points.count}")


def table(statement: str) -> str:
    words = statement.replace("\n", " ").split(" ")
    marks = [place for place, word in enumerate(words) if word in ("FROM", "INTO", "UPDATE")]
    return words[marks[0] + 1] if marks else ""


def forked(place: str, point: str, mode: str) -> list[str]:
    """The lines of a reviewer in a process of its own, which shares nothing with this one but what is imported."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(write, 1)
        os.close(read)
        signal.alarm(60)
        try:
            review(place, int(point), mode == "early")
        except BaseException as error:
            say(f"FAULT {error!r}")
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        lines = told.read().splitlines()
    os.waitpid(pid, 0)
    return lines


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(forked(*line.split())), flush=True)
