"""A rollout as tests make it: callers, what a server would record of them under the file that it is told, a clock that is set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from portside.cloud.deployment.traffic import Traffic, read_traffic
from portside.cloud.monitoring.cursors import Cursor, move
from portside.cloud.monitoring.replay import row_of
from portside.cloud.records.database import Database
from portside.cloud.records.labelling import label as write_labels
from portside.cloud.records.rows import insert
from portside.cloud.rollout import start, step
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollouts.control import consumer
from portside.cloud.rollouts.controller import Controller, Look, turn_of
from portside.cloud.rollouts.fetching import top
from portside.cloud.rollouts.storing import Held, begin, move_on
from portside.sdk.core.labels import Label
from portside.sdk.core.records import Receipt, Record, uuid7

NAME, MINUTE, DAY = "cells", 60_000, 86_400_000
START = 1_800_000_000_000
CHAMPION, CHALLENGER, OTHER = "sha256:c0", "sha256:c1", "sha256:c2"
ABOUT = {"champion": {"digest": CHAMPION, "name": "net:1"}, "challengers": [{"digest": CHALLENGER, "name": "net:2"}], "author": "ana",
         "late_ms": 50.0, "output": "label", "categories": ["good", "bad"], "floor": None}  # fmt: skip
QUICK = {"limits": {"errors": 0.05, "late": 0.05, "disagreement": 0.2, "accuracy": 0.1}, "steps": (0.2, 0.5), "min_rows": 50,
         "min_minutes": 2.0, "watch_minutes": 3.0}  # fmt: skip


def number(place: int, kind: str = "record") -> str:
    return uuid7(START + place, sha256(f"{kind} {place}".encode()).digest()[:10])


def receipt(reason: str = "primary", time_ms: float = 5.0) -> dict[str, Any]:
    return Receipt("net", "sha256:1", "onnx-cpu", 0, reason, (), time_ms, time_ms, 50.0, time_ms <= 50).to_dict()


def record(place: int, at_ms: int = START, **more: Any) -> Record:
    """Record number `place`."""
    given: dict[str, Any] = {"package": CHAMPION, "name": NAME, "outputs": {"label": [0]}, "receipt": receipt(), "deployment": "sha256:d"}
    return Record(**{"id": number(place), "server_ms": at_ms, "event_ms": at_ms, **given, **more})


def write(database: Database, records: Iterable[Record]) -> None:
    with database.write() as connection:
        insert(connection, [row_of(one) for one in records])


@dataclass
class World:
    """Callers, their truth, and how the arms do.

    Attributes:
        fails, slow, wrong: of a challenger: for which callers it fails, is slow, is wrong.
        cells: field -> its value for a caller.
        named: callers who say who they are.
    """

    fails: Callable[[int], bool] = lambda place: False
    slow: Callable[[int], bool] = lambda place: False
    wrong: Callable[[int], bool] = lambda place: False
    cells: Callable[[int], dict[str, str]] = lambda place: {}
    named: Callable[[int], bool] = lambda place: True
    labelled: bool = True
    records: int = 0

    def serve(self, database: Database, traffic: Traffic, callers: Iterable[int], at_ms: int) -> list[Record]:
        """One request of each caller, as a server writes it: the answer that was given, and what shadows would have said."""
        made: list[Record] = []
        for caller in callers:
            place, self.records = self.records, self.records + 1
            made += self.answer(place, caller, traffic, at_ms)
        write(database, made)
        if self.labelled:
            given = [one for one in made if one.parent is None]
            write_labels(database, [Label(number(0, f"label {one.id}"), one.id, 0, {"label": "good"}, "ana", at_ms) for one in given])
        return made

    def answer(self, place: int, caller: int, traffic: Traffic, at_ms: int) -> list[Record]:
        entity = f"caller {caller}" if self.named(caller) else None
        slices = {key: [value] for key, value in self.cells(caller).items()}
        noted = {"id": traffic.rollout, **({"slices": slices} if slices else {})}
        if traffic.phase == "shadow":
            given = record(place, at_ms, entity=entity)
            return [given, *(self.shadow(given, place, caller, digest, noted) for digest in traffic.challengers)]
        if traffic.phase not in ("canary", "switched", "promoted"):
            return [record(place, at_ms, entity=entity)]
        inside = traffic.segment is None or traffic.segment in {f"{key}={value}" for key, value in self.cells(caller).items()}
        arm = "challenger" if inside and traffic.position(entity or f"nobody {place}") < traffic.share else "champion"
        chance = (traffic.share if arm == "challenger" else 1 - traffic.share) if inside else 1.0
        noted = {**noted, "assigned": arm}
        if arm == "champion":
            return [record(place, at_ms, entity=entity, propensity=chance, features={"rollout": noted})]
        fails = self.fails(caller)
        return [record(place, at_ms, entity=entity, propensity=chance, features={"rollout": noted},
                       package=CHAMPION if fails else CHALLENGER, arm="champion" if fails else "challenger",
                       outputs={"label": [int(self.wrong(caller) and not fails)]},
                       receipt=receipt("crashed" if fails else "primary", 90.0 if self.slow(caller) else 5.0))]  # fmt: skip

    def shadow(self, given: Record, place: int, caller: int, digest: str, noted: dict[str, Any]) -> Record:
        fails, wrong = self.fails(caller), self.wrong(caller)
        outputs = {} if fails else {"label": [int(wrong)]}
        said = receipt("crashed" if fails else "primary", 90.0 if self.slow(caller) else 5.0)
        return record(place, given.server_ms, id=number(place, digest), entity=given.entity, arm="shadow", exposed=False, parent=given.id,
                      package=digest, outputs=outputs, receipt=said,
                      features={"rollout": {**noted, "assigned": "shadow", "agrees": [] if fails else [not wrong]}})  # fmt: skip


def rolled(database: Database, policy: Policy, rollout: str = "r1", now_ms: int = START, about: dict[str, Any] | None = None) -> Held:
    """Begun, its gates passed."""
    with database.write() as connection:
        held = begin(connection, NAME, policy, start(policy, rollout, now_ms), about or ABOUT, "ana", "Begun.", now_ms)
        move(connection, NAME, consumer(rollout), Cursor(*top_of(database)))
        return move_on(connection, held, step(policy, held.state, "gates passed", now_ms), now_ms, now_ms, author="ana")


def top_of(database: Database) -> tuple[int, int]:
    return top(database)


class Rig:
    """A controller with a clock, and a world that follows the file which it writes."""

    def __init__(self, database: Database, folder: Path, world: World | None = None, policy: Policy | None = None, holder: str = "",
                 gap_ms: int = 10 * MINUTE) -> None:  # fmt: skip
        self.database, self.folder, self.world, self.now = database, folder, world or World(), START
        turn = turn_of(database, NAME)
        if holder:
            turn = type(turn)(database, turn.deployment, holder)
        challengers = (CHALLENGER, OTHER) if policy is None else policy.challengers
        self.controller = Controller(turn, NAME, folder, challengers, lambda: self.now, gap_ms)

    def look(self, now_ms: int | None = None) -> Look:
        """One look at this time, and looks until nothing waits."""
        self.now = self.now if now_ms is None else now_ms
        done = self.controller.look()
        while done.waiting:
            done = self.controller.look()
        return done

    def minutes(self, count: int, callers: int = 300) -> list[str]:
        """So many minutes of traffic; the places that the rollout was in."""
        places: list[str] = []
        for _ in range(count):
            minute = (self.now - START) // MINUTE
            self.world.serve(self.database, read_traffic(self.folder), range(minute * callers, (minute + 1) * callers), self.now)
            done = self.look(self.now + MINUTE)
            assert done.held is not None
            if not places or places[-1] != done.held.place:
                places.append(done.held.place)
            if done.held.closed:
                break
        return places
