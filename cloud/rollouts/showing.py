"""Rollouts for those who show them: one as it stands, the sequences behind a plot, its units. Reads only, also where none ever was."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

from sqlalchemy import inspect, select

from ...sdk.core.errors import IntegrityError
from ..records.database import Database
from ..rollout import State
from ..rollout_evidence import Verdict
from .explaining import Told, explain, pages
from .log import Entry, read_log, verify_log
from .storing import Held, every, names_of
from .tables import COUNTS, POINTS

LOOKS = 200
"""Looks that a plot shows at most: those between are left out evenly, the first and the last never."""


@dataclass(frozen=True)
class Seen:
    """A rollout as it stands.

    Attributes:
        held: its row.
        log: the oldest first. broken: what is wrong with it; "" where it is as it was written.
    """

    held: Held
    log: tuple[Entry, ...]
    broken: str = ""

    @property
    def champion(self) -> str:
        """Its digest; "" where it is not known."""
        return str((self.held.about.get("champion") or {}).get("digest", ""))

    @property
    def names(self) -> dict[str, str]:
        """Digest -> name, of champion and challengers."""
        return names_of(self.held)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Of the newest decision that looked at something."""
        return verdicts_of(self.held.latest.get("verdicts", ()))

    def told(self, now_ms: int) -> Told:
        """What a paragraph is made from. How long it is where it is counts by the controller's clock, until it has ended."""
        held = self.held
        here_ms = now_ms - held.phase_ms if held.closed else held.clock_ms - held.state.since_ms
        unseen_ms = 0 if held.closed else now_ms - held.seen_ms
        fresh = held.latest.get("action") == "hold" and State.from_dict(held.latest["state"]) == held.state
        holds = str(held.latest["reason"]) if fresh else ""
        return Told(held.policy, held.state, self.verdicts, holds, self.log, here_ms, unseen_ms, self.names)

    def why(self, now_ms: int, figures: bool = True) -> str:
        """Why it stands where it does, in a paragraph."""
        return explain(self.told(now_ms), figures)

    @property
    def needs(self) -> str:
        """What people were told that needs them; "": nothing."""
        return "; ".join(pages(self.held.state, self.log).values())


@dataclass(frozen=True)
class Look:
    """What the sequences said at one moment. `phase`: the verdicts are of it; with another phase sequences begin anew."""

    at_ms: int
    phase: str
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Counted:
    """Units of one measure at one stage, by arm. In shadow both arms answered the same rows."""

    stage: str
    step: int
    challenger: str
    measure: str
    slice: str
    rows: int
    bad: int
    champion_rows: int
    champion_bad: int


def seen(database: Database, deployment: str, rollout: str = "") -> Seen | None:
    """One rollout of a deployment by its id, or the newest; None: there is none. Raises FormatError, SQLAlchemyError."""
    held = next((one for one in every(database, deployment) if rollout in ("", one.id)), None)
    return None if held is None else Seen(held, tuple(read_log(database, held.id)), _broken(database, held.id))


def looks(database: Database, rollout: str) -> list[Look]:
    """What its sequences said, the oldest first, at most about LOOKS of them. Raises SQLAlchemyError."""
    if not inspect(database.engine).has_table(POINTS.name):
        return []
    with database.read() as connection:
        numbers = connection.execute(select(POINTS.c.seq).where(POINTS.c.rollout == rollout).order_by(POINTS.c.seq)).scalars().all()
        query = select(POINTS.c.at_ms, POINTS.c.data).where(POINTS.c.seq.in_(thinned(numbers, LOOKS))).order_by(POINTS.c.seq)
        found = [(row[0], json.loads(row[1])) for row in connection.execute(query)]
    return [Look(at_ms, held["phase"], verdicts_of(held["verdicts"])) for at_ms, held in found]


def counted(database: Database, rollout: str) -> list[Counted]:
    """Units by stage, step, measure and slice. Raises SQLAlchemyError."""
    if not inspect(database.engine).has_table(COUNTS.name):
        return []
    columns = [COUNTS.c[name] for name in Counted.__dataclass_fields__]
    with database.read() as connection:
        return [Counted(*row) for row in connection.execute(select(*columns).where(COUNTS.c.rollout == rollout))]


def line(held: Held) -> dict[str, Any]:
    """A rollout in a list, JSON-ready."""
    names = names_of(held)
    challengers = [{"digest": one, "name": names.get(one, "")} for one in held.policy.challengers]
    return {"id": held.id, "number": held.number, "mode": held.policy.mode, "phase": held.state.phase, "began_ms": held.began_ms,
            "ended_ms": held.ended_ms or None, "challengers": challengers}  # fmt: skip


def verdicts_of(held: Sequence[Mapping[str, Any]]) -> tuple[Verdict, ...]:
    """What `Verdict.to_dict` wrote, read again."""
    return tuple(_verdict(one) for one in held)


def thinned(held: Sequence[int], most: int) -> list[int]:
    """At most `most` and one of them, evenly, the first and the last among them.

    >>> thinned(range(10), 4), thinned([7, 8], 4)
    ([0, 3, 6, 9], [7, 8])
    """
    step = -(-len(held) // most) if held else 1
    chosen = list(held[::step])
    return chosen if not held or chosen[-1] == held[-1] else [*chosen, held[-1]]


def _verdict(held: Mapping[str, Any]) -> Verdict:
    values: dict[str, Any] = {name: nan if held[name] is None else held[name] for name in Verdict.__dataclass_fields__}
    return Verdict(**values)


def _broken(database: Database, rollout: str) -> str:
    try:
        verify_log(database, rollout)
    except IntegrityError as error:
        return error.what
    return ""
