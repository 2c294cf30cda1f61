"""Rollouts as rows of the database: read, begun, and moved on together with what is logged of it. Every writer is within a transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, insert, inspect, select, update

from ...sdk.core.errors import FormatError, PortsideError
from ...sdk.core.file_errors import complaint
from ..records.database import Database
from ..rollout import Decision, State, traffic
from ..rollout_policy import Policy
from .log import SYSTEM, Said, append
from .tables import POINTS, ROLLOUTS
from .track import place

CLOSED = ("promoted", "rolled back", "ended")
"""Phases of a rollout that has ended."""
GROWN = 1.02
"""A point is kept for plots when the units have grown by so much."""


@dataclass(frozen=True)
class Held:
    """A rollout as it is stored.

    Attributes:
        id, number: of the rollout; numbers count within a deployment, from 1.
        deployment: its name.
        policy, state: what was asked of it, and where it is.
        serial: larger with every change of what workers do, over all rollouts of the deployment.
        began_ms, phase_ms, ended_ms: when it began, came where it is and ended, Unix milliseconds; ended_ms 0: it goes on.
        seen_ms: when the controller last looked.
        clock_ms: the controller's own clock, by which the times of `state` are: it counts the time in which somebody looked, and stands
            still while nobody did.
        entries, head: of its log.
        about: "champion": {"digest", "name"}, "challengers": the same of each, "author", and how its records are read.
        latest: the newest decision as the engine gave it, and "units" behind it.
    """

    id: str
    number: int
    deployment: str
    policy: Policy
    state: State
    serial: int
    began_ms: int
    phase_ms: int
    ended_ms: int
    seen_ms: int
    clock_ms: int
    entries: int
    head: str
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    latest: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def closed(self) -> bool:
        """It has ended; what was promoted still answers."""
        return self.state.phase in CLOSED

    @property
    def place(self) -> str:
        """Where it is: "canary 5%"."""
        return place(self.policy, self.state)


def newest(connection: Connection, deployment: str) -> Held | None:
    """The newest rollout of a deployment, ended or not. Raises FormatError, SQLAlchemyError."""
    query = select(ROLLOUTS).where(ROLLOUTS.c.deployment == deployment).order_by(ROLLOUTS.c.number.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _held(row._asdict())


def every(database: Database, deployment: str) -> list[Held]:
    """All rollouts of a deployment, the newest first; none where there are no tables. Raises FormatError, SQLAlchemyError."""
    with database.read() as connection:
        if not inspect(connection).has_table(ROLLOUTS.name):
            return []
        query = select(ROLLOUTS).where(ROLLOUTS.c.deployment == deployment).order_by(ROLLOUTS.c.number.desc())
        return [_held(row._asdict()) for row in connection.execute(query)]


def begin(connection: Connection, deployment: str, policy: Policy, state: State, about: Mapping[str, Any], author: str, why: str,
          now_ms: int) -> Held:  # fmt: skip
    """Put a new rollout there, before its gates. Raises SQLAlchemyError."""
    before = newest(connection, deployment)
    row: dict[str, Any] = {
        "id": state.rollout, "number": 1 if before is None else before.number + 1, "deployment": deployment, "phase": state.phase,
        "serial": 1 if before is None else before.serial + 1, "began_ms": now_ms, "phase_ms": now_ms, "ended_ms": 0, "seen_ms": now_ms,
        "clock_ms": state.began_ms, "entries": 0, "head": "", "about": _text(about), "policy": _text(policy.to_dict()),
        "state": _text(state.to_dict()), "latest": "{}",
    }  # fmt: skip
    connection.execute(insert(ROLLOUTS).values(**row))
    append(connection, state.rollout, now_ms, [Said("started", why, "", place(policy, state), author, {"policy": policy.to_dict()})])
    return fresh(connection, state.rollout)


def fresh(connection: Connection, rollout: str) -> Held:
    """A rollout by its id. Raises SQLAlchemyError."""
    return _held(connection.execute(select(ROLLOUTS).where(ROLLOUTS.c.id == rollout)).one()._asdict())


def move_on(connection: Connection, held: Held, decision: Decision, now_ms: int, clock_ms: int, kind: str = "", author: str = SYSTEM,
            evidence: Mapping[str, Any] | None = None, units: int | None = None) -> Held:  # fmt: skip
    """Store what was decided, and log it where it is more than holding on.

    Args:
        held: as it stood when it was decided.
        now_ms, clock_ms: of the wall, and of the controller.
        kind: of the entry; "": the action.
        author: who decided.
        evidence: beside the decision's own figures.
        units: that were counted until now; None: nothing was looked at.

    Raises SQLAlchemyError.
    """
    state = decision.state
    moved = place(held.policy, state) != held.place
    values: dict[str, Any] = {"seen_ms": now_ms if author == SYSTEM else held.seen_ms, "clock_ms": clock_ms}
    if state != held.state:
        told = traffic(held.policy, state, held.serial) != traffic(held.policy, held.state, held.serial)
        values |= {"state": _text(state.to_dict()), "phase": state.phase, "serial": held.serial + told}
    if moved:
        values["phase_ms"] = now_ms
        values["ended_ms"] = now_ms if state.phase in CLOSED else 0
    if units is not None:
        shown = _points(connection, held, decision, moved, units, now_ms)
        values["latest"] = _text({**decision.to_dict(), "units": units, "shown": shown})
    connection.execute(update(ROLLOUTS).where(ROLLOUTS.c.id == held.id).values(**values))
    append(connection, held.id, now_ms, _said(held, decision, kind, author, evidence or {}))
    return fresh(connection, held.id)


def _said(held: Held, decision: Decision, kind: str, author: str, evidence: Mapping[str, Any]) -> Iterable[Said]:
    """What is logged: a move, a word of a person, a question, a page."""
    before, after = held.place, place(held.policy, decision.state)
    figures = {**evidence, "verdicts": [verdict.to_dict() for verdict in decision.verdicts]}
    if kind or decision.action != "hold":
        yield Said(kind or decision.action, decision.reason, before, after, author, figures)
    elif decision.state.asks and decision.state.asks != held.state.asks:
        yield Said("asked", f"A person is asked: {decision.state.asks}. {decision.reason}", before, after, author, figures)
    if decision.page is not None:
        yield Said("paged", decision.page, before, after, SYSTEM, figures)


def _points(connection: Connection, held: Held, decision: Decision, moved: bool, units: int, now_ms: int) -> int:
    """Keep a point for plots, now and then; the units of the newest one."""
    shown = int(held.latest.get("shown", 0))
    if not decision.verdicts or not (moved or units >= max(shown * GROWN, shown + 1)):
        return shown
    data = {"place": held.place, "phase": held.state.phase, "step": held.state.step,
            "verdicts": [verdict.to_dict() for verdict in decision.verdicts]}  # fmt: skip
    connection.execute(insert(POINTS).values(rollout=held.id, at_ms=now_ms, data=_text(data)))
    return units


def points(database: Database, rollout: str) -> list[tuple[int, dict[str, Any]]]:
    """(when, {"place", "phase", "step", "verdicts"}) in order. Raises SQLAlchemyError."""
    query = select(POINTS.c.at_ms, POINTS.c.data).where(POINTS.c.rollout == rollout).order_by(POINTS.c.seq)
    with database.read() as connection:
        return [(row[0], json.loads(row[1])) for row in connection.execute(query)]


def names_of(held: Held) -> dict[str, str]:
    """digest -> name of the packages that take part."""
    packages: Sequence[Mapping[str, str]] = [held.about["champion"], *held.about["challengers"]]
    return {one["digest"]: one["name"] for one in packages}


def _held(row: Mapping[str, Any]) -> Held:
    """Raises FormatError for a row that this version did not write: what is stored decides who is given what."""
    try:
        held = _parsed(row)
        _ = held.place, names_of(held), [held.latest[name] for name in _LATEST if held.latest]
    except (PortsideError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise FormatError(f"A rollout cannot be read: {complaint(error)}", got=f"{row['id']} of {row['deployment']}",
                          expected="a row as this version of Portside writes it",
                          fix="Was it begun by a newer version? Go on with that. Else take a copy of the records.") from error  # fmt: skip
    return held


def _parsed(row: Mapping[str, Any]) -> Held:
    """Types are held strictly, and no field is passed over."""
    values: dict[str, Any] = {name: row[name] for name in Held.__dataclass_fields__}
    if wrong := [name for name in _WHOLE if not isinstance(values[name], int)]:
        raise ValueError(f"{wrong[0]} is no number")
    _POLICY.validate_json(row["policy"], strict=True)
    _STATE.validate_json(row["state"], strict=True)
    values |= {name: json.loads(row[name]) for name in ("policy", "state", "about", "latest")}
    values.update(policy=Policy.from_dict(values["policy"]), state=State.from_dict(values["state"]))
    return Held(**values)


_LATEST = ("action", "reason", "state", "verdicts")
_POLICY, _STATE = TypeAdapter(Policy), TypeAdapter(State)
_WHOLE = ("number", "serial", "began_ms", "phase_ms", "ended_ms", "seen_ms", "clock_ms", "entries")


def _text(data: Mapping[str, Any]) -> str:
    return json.dumps(dict(data), ensure_ascii=False, sort_keys=True)
