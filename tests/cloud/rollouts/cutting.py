"""A whole rollout, minute by minute, killed at one point of it and gone on with. Prints what is there in the end, for every point.

    python cutting.py FOLDER URL|- COUNT|WORDS|WORDS:COUNT MODE

Points: before a transaction, before and after its commit, before and after a file is replaced; "moved" where something was logged, "looked"
where nothing was. COUNT: so many of all, evenly; WORDS: those that say so ("moved": every transition of the rollout). One child per point,
forked; another one goes on from the minute in which it died.

MODE "durable" is Portside as it is. The negative controls: "cursor apart" moves the cursor in a transaction of its own, "log apart" logs in
one, "told once" tells workers only when something was decided, as one would who does not expect to be killed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rolled import ABOUT, CHALLENGER, MINUTE, NAME, QUICK, START, Rig, World
from sqlalchemy import select, text

from portside.cloud.deployment import generation
from portside.cloud.deployment.file import Deployment, read
from portside.cloud.deployment.traffic import read_traffic
from portside.cloud.records.database import Database
from portside.cloud.records.tables import METADATA
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollouts import control, controller, storing
from portside.cloud.rollouts.log import verify_log
from portside.cloud.rollouts.tables import COUNTS, CURSORS, LOG, POINTS, ROLLOUTS, SEEN, prepare

MINUTES, CALLERS = 30, 60
POLICY = Policy((CHALLENGER,), **{**QUICK, "limits": {"errors": 0.15, "late": 0.15, "accuracy": 0.25}, "min_rows": 20,
                                  "slices": ("cell",), "approve": ("canary", "promote")})  # fmt: skip
PEOPLE = {0: "start", 8: "approve", 18: "approve", 28: "rollback"}
"""Minutes in which a person does something."""


@dataclass
class Points:
    """Counts points, and dies at one."""

    die_at: int
    log: int
    minute: int = 0
    count: int = 0
    moved: bool = False
    quiet: bool = field(default=True)

    def note(self, point: str) -> None:
        if self.quiet:
            return
        self.count += 1
        os.write(self.log, f"{self.count} {self.minute} {'moved' if self.moved else 'looked'} {point}\n".encode())
        if self.count == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)


def watch(points: Points) -> None:
    """Every commit, every file, and whether something was logged."""
    write, replace, append = Database.write, os.replace, storing.append

    @contextmanager
    def noted(self: Database) -> Iterator[Any]:
        points.moved = False
        points.note("beginning")
        with write(self) as connection:
            yield connection
            points.note("committing")
        points.note("committed")

    def replaced(source: Any, target: Any) -> None:
        points.note("replacing")
        replace(source, target)
        points.note("replaced")

    def appended(connection: Any, rollout: str, at_ms: int, said: Any) -> None:
        held = list(said)
        points.moved = points.moved or bool(held)
        append(connection, rollout, at_ms, held)

    Database.write, os.replace, storing.append = noted, replaced, appended  # type: ignore[method-assign, assignment]


def cells(caller: int) -> dict[str, str]:
    return {"cell": "poly" if caller % 3 == 0 else "mono"}


def person(deployment: Deployment, what: str, now_ms: int) -> None:
    """Somebody at a command line, who tries again where it did not seem to work, and looks first."""
    with Database.open(deployment.records.place(deployment.folder)) as database:
        held = next(iter(storing.every(database, NAME)), None)
    if what == "start" and held is None:
        control.start(deployment, "ana", rollout="r1", clock=lambda: now_ms)
    elif what == "approve" and held is not None and held.state.asks:
        control.approve(deployment, "ben", "it looks well", clock=lambda: now_ms)
    elif what == "rollback" and held is not None and held.state.phase != "rolled back":
        control.rollback(deployment, "cem", "somebody rang", clock=lambda: now_ms)


def work(place: Path, first: tuple[int, int], told: int, points: Points, mode: str) -> None:
    """Minutes from `first` on: callers, a person, a look."""
    watch(points)
    break_it(mode, points)
    deployment = read(place / "deployment.toml")
    control.known = lambda deployment: (POLICY, {key: value for key, value in ABOUT.items() if key != "author"})
    folder = generation.folder_of(NAME, deployment.path)
    with Database.open(deployment.records.place(deployment.folder)) as database:
        prepare(database)
        rig = Rig(database, folder, World(cells=cells, named=lambda caller: caller % 2 == 0), POLICY, holder="the controller")
        for minute in range(first[0], MINUTES):
            rig.now, points.minute = START + minute * MINUTE, minute
            stages: list[Callable[[], Any]] = [
                lambda: serve(rig, database, folder, minute),  # noqa: B023  called at once
                lambda: person(deployment, PEOPLE.get(minute, ""), rig.now),  # noqa: B023
                lambda: rig.look(),
            ]  # fmt: skip
            for stage, act in enumerate(stages):
                if (minute, stage) < first:
                    continue
                os.pwrite(told, f"{minute:4d} {stage}".encode(), 0)
                points.quiet = stage == 0
                act()
            points.quiet = True
        rig.controller.turn.give_back()


def serve(rig: Rig, database: Database, folder: Path, minute: int) -> None:
    rig.world.records = minute * CALLERS
    rig.world.serve(database, read_traffic(folder), range(minute * CALLERS, (minute + 1) * CALLERS), rig.now)


def child(place: Path, first: tuple[int, int], die_at: int, mode: str) -> tuple[int, tuple[int, int], list[str]]:
    """(exit code, minute and stage it was in, points) of a process that goes on from `first`."""
    told = os.open(place / "minute", os.O_CREAT | os.O_RDWR, 0o600)
    log = os.open(place / "points", os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    pid = os.fork()
    if pid == 0:
        signal.alarm(120)
        try:
            work(place, first, told, Points(die_at, log), mode)
        except BaseException as error:
            print(f"child: {error!r}", file=sys.stderr)
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    minute, stage = os.pread(told, 6, 0).split()
    os.close(told)
    os.close(log)
    return os.waitstatus_to_exitcode(status), (int(minute), int(stage)), (place / "points").read_text().splitlines()


def break_it(mode: str, points: Points) -> None:
    """The negative controls."""
    if mode == "cursor apart":
        move, advance, held = controller.move, controller.Controller._advance, list[Any]()
        controller.move = lambda connection, *rest: held.append(rest)

        def advanced(self: Any, *rest: Any) -> Any:
            done = advance(self, *rest)
            if held:
                points.note("apart")
                with self.turn.write() as connection:
                    move(connection, *held.pop())
            return done

        controller.Controller._advance = advanced  # type: ignore[method-assign]
    elif mode == "log apart":
        append, whole, kept = storing.append, controller.Controller._advance, list[Any]()

        def advanced_without(self: Any, *rest: Any) -> Any:
            storing.append = lambda connection, *entry: kept.append((entry[0], entry[1], list(entry[2])))
            done = whole(self, *rest)
            storing.append = append
            points.note("log apart" if any(entry[2] for entry in kept) else "nothing apart")
            with self.turn.write() as connection:
                while kept:
                    append(connection, *kept.pop(0))
            return done

        controller.Controller._advance = advanced_without  # type: ignore[method-assign]
    elif mode == "told once":
        mirror, serials = controller.mirror, dict[str, int]()

        def told(database: Database, deployment: str, folder: Path) -> Any:
            with database.read() as connection:
                held = storing.newest(connection, deployment)
            serial = 0 if held is None else held.serial
            before = serials.setdefault("was", serial)
            serials["was"] = serial
            return mirror(database, deployment, folder) if serial != before else read_traffic(folder)

        controller.mirror = told


def held(place: Path) -> dict[str, object]:
    """Everything that counts."""
    deployment = read(place / "deployment.toml")
    with Database.open(deployment.records.place(deployment.folder)) as database:
        with database.read() as connection:
            rows = {table.name: sorted([list(map(str, row)) for row in connection.execute(select(*columns))]) for table, columns in (
                (LOG, [LOG.c.number, LOG.c.kind, LOG.c.author, LOG.c.before, LOG.c.after, LOG.c.digest]),
                (COUNTS, list(COUNTS.c)), (CURSORS, list(CURSORS.c)), (SEEN, list(SEEN.c)), (POINTS, [POINTS.c.at_ms, POINTS.c.data]),
                (ROLLOUTS, [ROLLOUTS.c.id, ROLLOUTS.c.serial, ROLLOUTS.c.state, ROLLOUTS.c.head, ROLLOUTS.c.ended_ms]),
            )}  # fmt: skip
        try:
            verified = verify_log(database, "r1")
        except Exception as error:  # a control breaks it
            verified = str(error)
    traffic = read_traffic(generation.folder_of(NAME, deployment.path))
    return {**rows, "verified": verified, "traffic": [traffic.serial, traffic.phase, traffic.share]}


def fresh(place: Path, url: str) -> None:
    """A deployment and a database as new."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    os.environ.update(PORTSIDE_HOME=str(place / "home"), RECORDS=url)
    records = 'path = "records.sqlite"' if url == "-" else 'url_env = "RECORDS"'
    (place / "deployment.toml").write_text(
        f'name = "{NAME}"\n[champion]\npackage = "net:1"\n[rollout]\nchallenger = "net:2"\n[records]\n{records}\n')
    (generation.folder_of(NAME, place / "deployment.toml")).mkdir(parents=True)
    if url != "-":
        with Database.open(url) as database, database.write() as connection:
            METADATA.drop_all(connection, tables=[LOG])
            for table in METADATA.sorted_tables:
                if database.engine.dialect.has_table(connection, table.name):
                    connection.execute(text(f"TRUNCATE {table.name} RESTART IDENTITY"))


def main() -> None:
    folder, url, wanted, mode = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    place = folder / "whole"
    fresh(place, url)
    code, _, points = child(place, (0, 0), 0, mode)
    assert code == 0, code
    whole = held(place)
    found: dict[str, Any] = {"points": len(points), "whole": whole, "died": [], "faults": []}
    for die_at in chosen(points, wanted):
        fresh(place, url)
        code, at, log = child(place, (0, 0), die_at, mode)
        assert code == -signal.SIGKILL, code
        found["died"].append(log[-1])
        code, _, _ = child(place, at, 0, mode)
        after = held(place) if code == 0 else {}
        if wrong := [name for name in whole if after.get(name) != whole[name]]:
            found["faults"].append({"at": log[-1], "wrong": wrong, "got": after.get(wrong[0]), "expected": whole[wrong[0]]})
    print(json.dumps(found))


def chosen(points: list[str], wanted: str) -> list[int]:
    """Numbers of the points that are wanted; see above."""
    words, _, most = ("", "", wanted) if wanted.isdigit() else wanted.partition(":")
    found = [number for number, line in enumerate(points, 1) if f" {words}" in line]
    count = min(int(most or len(found)), len(found))
    return sorted({found[round(step * (len(found) - 1) / max(count - 1, 1))] for step in range(count)})


if __name__ == "__main__":
    main()
