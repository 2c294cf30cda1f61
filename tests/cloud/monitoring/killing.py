"""Monitor a made-up hour, and be killed at one point of it; then go on. Prints what is in the database in the end, for every point.

    python killing.py FOLDER URL|- POINTS|NAME MODE PORT

One child per point, forked. MODE "durable" is Portside as it is. The negative controls: "cursor apart" moves the cursor of whoever counts
in a transaction of its own, "told apart" writes alerts in one transaction and what is to be told in another.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from sqlalchemy import select
from watched import MINUTE, NAME, START, Watch, about, labelled, record, stream, write

from portside.cloud.alerts.targets import Targets
from portside.cloud.monitoring import counting, pipeline, raising, reading
from portside.cloud.monitoring.courier import Courier
from portside.cloud.monitoring.tables import ALERTS, DELIVERIES, EVENTS, FINDINGS, WINDOWS, prepare
from portside.cloud.records.database import Database
from portside.cloud.records.tables import METADATA

ROUNDS, EACH = 8, 60
SETTINGS = {"spans": {"rows": 120, "minutes": 60}, "slo": {"p99_ms": 20.0}, "slices": ["cell"], "drift": {"looks_a_month": 100},
            "quality": {"label": {"min_accuracy": 0.9, "min_labels": 20}}}  # fmt: skip


def happen(database: Database, place: int) -> None:
    """What others write in a minute: calm, then x moves away and answers are slow, then calm again. Once, however often it is done."""
    moved = 3 <= place < 6
    rows = stream(EACH, 1.0, place * EACH, START + place * MINUTE - place * EACH * 1000, shift=4.0 if moved else 0.0)
    write(database, [record(row_place, one.server_ms, one.inputs["x"][0], row_place % 2, 90.0 if moved else 5.0)
                     for row_place, one in enumerate(rows, place * EACH)])  # fmt: skip
    if place:
        labelled(database, range((place - 1) * EACH, (place - 1) * EACH + 20), [(row % 2 + moved) % 2 for row in range(20)])


def work(where: str | Path, first: int, told: int, port: int, die_at: int, log: int) -> None:
    """Rounds from `first` on; dies at the point `die_at` (0: never)."""
    points = [0]

    def note(point: str) -> None:
        points[0] += 1
        if log >= 0:
            os.write(log, f"{points[0]} {point}\n".encode())
        if points[0] == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with Database.open(where) as database:
        prepare(database)
        watch = Watch(database, about(**SETTINGS), ["webhook"], holder="the monitor", note=note)
        courier = Courier(watch.pipeline.turn, Targets(f"http://127.0.0.1:{port}/"), lambda: watch.now, note)
        for place in range(first, ROUNDS + 3):
            os.pwrite(told, f"{place:4d}".encode(), 0)
            if place < ROUNDS:
                happen(database, place)
            watch.at(START + (place + 1) * MINUTE + 6000 if place < ROUNDS else START + (place + 1) * 20 * MINUTE)
            while courier.deliver():
                pass
        watch.pipeline.turn.give_back()
        watch.close()


def child(where: str | Path, first: int, folder: Path, port: int, die_at: int, mode: str) -> tuple[int, int, list[str]]:
    """(exit code, round it was in, points) of a process that monitors."""
    told = os.open(folder / "round", os.O_CREAT | os.O_RDWR, 0o600)
    log = os.open(folder / "log", os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        try:
            break_it(mode)
            work(where, first, told, port, die_at, log)
        except BaseException as error:
            print(f"child: {error!r}", file=sys.stderr)
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    place = int(os.pread(told, 4, 0))
    os.close(told)
    os.close(log)
    return os.waitstatus_to_exitcode(status), place, (folder / "log").read_text().splitlines()


def break_it(mode: str) -> None:
    """The negative controls."""
    if mode == "cursor apart":
        real = counting.move

        def count(turn, known, note=counting.quiet, limit=counting.BATCH):
            held = []
            counting.move = lambda connection, deployment, consumer, cursor: held.append(cursor)
            done = whole(turn, known, note, limit)
            for cursor in held:
                with turn.write() as connection:
                    real(connection, NAME, counting.COUNT, cursor)
            return done

        whole = counting.count
        pipeline.count = count
    elif mode == "told apart":
        real_save, whole_raise, held_back = raising.save, raising.raise_alerts, []

        def save(connection, deployment, before, after, events, targets, now_ms, told=False):
            real_save(connection, deployment, before, after, [], targets, now_ms, told)
            held_back.append((deployment, after, after, events, targets, now_ms))

        def raise_alerts(turn, known, live, now, targets=(), note=raising.quiet):
            told = whole_raise(turn, known, live, now, targets, note)
            note("alerts apart")
            with turn.write() as connection:
                real_save(connection, *held_back.pop())
            return told

        raising.save = save
        pipeline.raise_alerts = raise_alerts


def held(where: str | Path) -> dict[str, object]:
    """Everything that counts, from the database."""
    with Database.open(where) as database:
        window = reading.window_between(database, NAME, START - MINUTE, START + 60 * MINUTE)
        with database.read() as connection:
            told = select(EVENTS.c.id, EVENTS.c.name, EVENTS.c.subject, EVENTS.c.state)
            events = sorted(list(row) for row in connection.execute(told))
            kept = select(ALERTS.c.name, ALERTS.c.subject, ALERTS.c.state, ALERTS.c.id)
            alerts = sorted(list(row) for row in connection.execute(kept))
            judged = select(WINDOWS.c.start_ms, WINDOWS.c.rows).where(WINDOWS.c.level == "judged")
            spans = sorted(list(row) for row in connection.execute(judged))
            seen = select(FINDINGS.c.end_ms, FINDINGS.c.name, FINDINGS.c.subject, FINDINGS.c.verdict).where(FINDINGS.c.live == 0)
            found = sorted(list(row) for row in connection.execute(seen))
            owed = [row[0] for row in connection.execute(select(DELIVERIES.c.event).where(DELIVERIES.c.done_ms.is_(None)))]
        slow = reading.counts_between(database, NAME, "p99_ms", START - MINUTE, START + 60 * MINUTE)
    quality = window.quality["label"]
    return {"requests": window.requests, "rows": window.rows, "classes": dict(window.classes["label"]), "slow": [slow.good, slow.bad],
            "labelled": quality.rows, "right": quality.correct, "slices": {name: part.rows for name, part in window.slices.items()},
            "events": events, "alerts": alerts, "spans": spans, "findings": found, "owed": owed}  # fmt: skip


def empty(where: str | Path) -> None:
    """A database as new."""
    if isinstance(where, Path):
        shutil.rmtree(where.parent, ignore_errors=True)
        where.parent.mkdir()
        return
    with Database.open(where) as database:
        prepare(database)
        with database.write() as connection:
            for table in METADATA.sorted_tables:
                if database.engine.dialect.has_table(connection, table.name):
                    connection.execute(table.delete())


def chosen(points: list[str], wanted: str) -> list[int]:
    """So many of all points, evenly; or those of a name, "counted"."""
    if not wanted.isdigit():
        return [place for place, point in enumerate(points, 1) if point.partition(" ")[2] == wanted]
    count, total = min(int(wanted), len(points)), len(points)
    return sorted({1 + round(step * (total - 1) / max(count - 1, 1)) for step in range(count)})


def main() -> None:
    folder, url, wanted, mode, port = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
    where: str | Path = folder / "database" / "records.sqlite" if url == "-" else url
    empty(where)
    code, _, points = child(where, 0, folder, port, 0, mode)
    assert code == 0, code
    whole = held(where)
    found = {"points": len(points), "whole": whole, "died": [], "faults": []}
    for die_at in chosen(points, wanted):
        empty(where)
        code, place, log = child(where, 0, folder, port, die_at, mode)
        assert code == -signal.SIGKILL, code
        found["died"].append(log[-1])
        code, _, _ = child(where, place, folder, port, 0, mode)
        assert code == 0, code
        after = held(where)
        if wrong := [name for name in whole if after[name] != whole[name]]:
            found["faults"].append({"at": log[-1], "wrong": wrong, "got": after[wrong[0]], "expected": whole[wrong[0]]})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
