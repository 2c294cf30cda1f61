"""How fast a controller counts: records and labels that are in a SQLite file already, until none waits.

What is timed is what the controller's process does: read, judge each record, put counts and digests into the database, decide, commit.
Every tenth answer has a label. Processor time is of that process, so that others on the machine count little.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from portside.cloud.deployment.traffic import Traffic
from portside.cloud.monitoring.cursors import Cursor, move
from portside.cloud.monitoring.replay import row_of
from portside.cloud.records.database import Database
from portside.cloud.records.labelling import label
from portside.cloud.records.rows import insert
from portside.cloud.rollout import start, step, traffic
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollouts.controller import Controller, consumer, turn_of
from portside.cloud.rollouts.storing import begin, move_on
from portside.cloud.rollouts.tables import prepare
from portside.sdk.core.labels import Label
from portside.sdk.core.records import SHADOW, Receipt, Record, uuid7

NAME, CHAMPION, NEW, START_MS = "counted", "sha256:old", "sha256:new", 1_800_000_000_000
ABOUT = {"champion": {"digest": CHAMPION, "name": "net:1"}, "challengers": [{"digest": NEW, "name": "net:2"}], "author": "bench",
         "late_ms": 50.0, "output": "label", "categories": ["good", "bad"], "floor": None}  # fmt: skip
POLICY = Policy((NEW,), limits={"errors": 0.05, "late": 0.05, "disagreement": 0.1, "accuracy": 0.1}, min_rows=1 << 40, slices=("line",),
                steps=(0.2,), shadow_first=False)  # fmt: skip
LABELLED = 10


@dataclass(frozen=True)
class World:
    """named: every request names somebody, whose digest is kept. shadow: the challenger answers beside."""

    name: str
    named: bool = False
    shadow: bool = False


WORLDS = (World("canary, everybody is somebody new", named=True), World("canary, nobody is named"),
          World("shadow, everybody is somebody new", named=True, shadow=True))  # fmt: skip


def counting(answers: int) -> Iterator[dict[str, Any]]:
    """One row per world."""
    for world in WORLDS:
        with tempfile.TemporaryDirectory() as folder, Database.open(Path(folder) / "records.sqlite") as database:
            prepare(database)
            policy = replace(POLICY, shadow_first=world.shadow)
            now = _served(database, world, policy, answers)
            yield {"part": "counting", "way": "portside", "world": world.name, "answers": answers, **_counted(database, folder, now)}


def _served(database: Database, world: World, policy: Policy, answers: int) -> Traffic:
    """A rollout that has begun, and what its servers wrote since; what they were told."""
    with database.write() as connection:
        held = begin(connection, NAME, policy, start(policy, "r1", START_MS), ABOUT, "bench", "begun", START_MS)
        move(connection, NAME, consumer("r1"), Cursor(0, 0))
        passed = step(policy, held.state, "gates passed", START_MS)
        held = move_on(connection, held, passed, START_MS, START_MS, author="bench")
    told = traffic(policy, held.state, held.serial)
    with database.write() as connection:
        insert(connection, [row_of(one) for place in range(answers) for one in _records(world, told, place)])
    label(database, [Label(_id(place, "label"), _id(place, "answer"), 0, {"label": "good"}, "bench", START_MS, "api")
                     for place in range(0, answers, LABELLED)])  # fmt: skip
    return told


def _records(world: World, told: Traffic, place: int) -> list[Record]:
    entity = f"caller {place}" if world.named else None
    noted: dict[str, Any] = {"id": "r1", "slices": {"line": [f"line {place % 4}"]}}
    receipt = Receipt("net", CHAMPION, "onnx-cpu", 0, "primary", (), 5.0, 5.0, 50.0, True).to_dict()
    base = Record(_id(place, "answer"), START_MS, START_MS, name=NAME, entity=entity, package=CHAMPION, outputs={"label": [0]},
                  receipt=receipt, features={"rollout": noted}, inputs={"x": [[0.0] * 16]})  # fmt: skip
    if world.shadow:
        asked = {**noted, "assigned": SHADOW, "agrees": [True]}
        return [base, replace(base, id=_id(place, "shadow"), arm=SHADOW, exposed=False, parent=base.id, package=NEW, inputs={},
                              features={"rollout": asked})]  # fmt: skip
    arm = "challenger" if told.position(entity or base.id) < told.share else "champion"
    chance = told.share if arm == "challenger" else 1 - told.share
    given = replace(base, arm=arm, propensity=chance, features={"rollout": {**noted, "assigned": arm}})
    return [replace(given, package=NEW) if arm == "challenger" else given]


def _counted(database: Database, folder: str, told: Traffic) -> dict[str, Any]:
    """Look until nothing waits."""
    workers = Path(folder) / "workers"
    workers.mkdir()
    held = Controller(turn_of(database, NAME), NAME, workers, told.challengers, lambda: START_MS + 1000)
    wall, busy, units, looks = time.perf_counter(), time.process_time(), 0, 0
    while True:
        look = held.look()
        units, looks = units + look.units, looks + 1
        if not look.waiting:
            break
    return {"units": units, "looks": looks, "cpu_s": time.process_time() - busy, "wall_s": time.perf_counter() - wall}


def _id(place: int, kind: str) -> str:
    return uuid7(START_MS, sha256(f"{kind} {place}".encode()).digest()[:10])
