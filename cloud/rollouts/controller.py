"""The controller of a rollout: of all that run, exactly one acts. One look: what came is counted, the engine is asked, what it says is
stored and logged, all in one transaction; then workers are told.

Killed at any moment it has done a look, or has not: what it tells workers is made from the database, again and again. Time counts while
somebody looks. A clock that jumps, or a controller that was away for a day, ends no watch and no waiting early.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from ..deployment.traffic import NOBODY, Traffic
from ..monitoring.cursors import Cursor, cursor_of, move, read_cursor
from ..monitoring.turn import LEASE_MS, LostTurnError, Turn
from ..records.database import Database
from ..rollout import decide
from .counting import BATCH, Batch, add_up, champion_alone, forget_seen, gather, observed, total
from .known import about_of
from .mirror import mirror
from .storing import Held, fresh, move_on, newest
from .units import About

GAP_MS = 60_000
"""Between two looks no more time counts than this."""
QUIET_MS = 3000
"""Where nothing came, so long after the last look nothing is written."""
MOST_BATCHES = 20
"""Batches of one look: afterwards workers are told."""


@dataclass(frozen=True)
class Look:
    """What a look did.

    Attributes:
        acted: it was this controller's turn.
        held: the rollout afterwards; None: the deployment has none.
        units: that were counted.
        waiting: more is there.
        traffic: what workers were told.
    """

    acted: bool = False
    held: Held | None = None
    units: int = 0
    waiting: bool = False
    traffic: Traffic = NOBODY


def turn_of(database: Database, deployment: str) -> Turn:
    """Whose turn it is to act for a deployment's rollouts; the monitor of the same name has another."""
    return Turn(database, f"rollout:{deployment}")


def consumer(rollout: str) -> str:
    """Under which its cursor stands."""
    return f"rollout:{rollout}"


def clock_after(held: Held, now_ms: int, gap_ms: int = GAP_MS) -> int:
    """The controller's clock: it goes on by the time since the last look, by no more than a gap, and never backwards."""
    return held.clock_ms + min(max(now_ms - held.seen_ms, 0), gap_ms)


class Controller:
    """Acts for the rollouts of one deployment.

    Args:
        turn: see `turn_of`.
        deployment: its name.
        folder: where workers look for what they do.
        challengers: digests that the deployment's file names: a rollout of others stands still.
        clock: Unix milliseconds.
        gap_ms: see GAP_MS.
    """

    def __init__(self, turn: Turn, deployment: str, folder: Path, challengers: Collection[str], clock: Callable[[], int],
                 gap_ms: int = GAP_MS) -> None:  # fmt: skip
        self.turn, self.deployment, self.folder, self.challengers = turn, deployment, folder, frozenset(challengers)
        self._clock, self._gap_ms, self._taken_ms = clock, gap_ms, -LEASE_MS

    def look(self) -> Look:
        """One look. Raises LostTurnError, PortsideError, SQLAlchemyError, OSError; what was done until then stays done."""
        now = self._clock()
        if not self._take(now):
            return Look()
        try:
            return self._look(now)
        except LostTurnError:
            self._taken_ms = -LEASE_MS
            raise

    def _look(self, now: int) -> Look:
        with self.turn.database.read() as connection:
            held = newest(connection, self.deployment)
        units, waiting = 0, False
        for _ in range(MOST_BATCHES if held is not None and self.concerns(held) else 0):
            assert held is not None  # noqa: S101  the range says so
            held, more, waiting = self._advance(held, now)
            units += more
            if not waiting or held.closed:
                break
        return Look(True, held, units, waiting, mirror(self.turn.database, self.deployment, self.folder))

    def concerns(self, held: Held) -> bool:
        """The rollout goes on, and its file still names what it tries."""
        return not held.closed and self.challengers >= frozenset(held.policy.challengers)

    def _take(self, now_ms: int) -> bool:
        """The lease, renewed now and then."""
        if 0 <= now_ms - self._taken_ms < LEASE_MS // 3:
            return True
        taken = self.turn.take(now_ms)
        self._taken_ms = now_ms if taken else -LEASE_MS
        return taken

    def _advance(self, held: Held, now_ms: int) -> tuple[Held, int, bool]:
        """Count a batch and decide, once; the rollout afterwards, how many units, and whether more is there."""
        database, about = self.turn.database, about_of(held.id, held.policy, held.about)
        cursor = read_cursor(database, self.deployment, consumer(held.id))
        batch = self._batch(held, about, cursor)
        if not batch.units and not batch.waiting and 0 <= now_ms - held.seen_ms < QUIET_MS:
            return held, 0, False
        with self.turn.write() as connection:
            held = fresh(connection, held.id)
            if cursor_of(connection, self.deployment, consumer(held.id)) != cursor or held.closed:
                return held, 0, False  # somebody was quicker
            counted = add_up(connection, held.id, batch.units, held.policy)
            move(connection, self.deployment, consumer(held.id), batch.cursor)
            held = self._decide(connection, held, now_ms)
        return held, counted, batch.waiting

    def _decide(self, connection: Connection, held: Held, now_ms: int) -> Held:
        clock = clock_after(held, now_ms, self._gap_ms)
        seen = observed(connection, held.id, held.policy, clock)
        decision = decide(held.policy, held.state, seen)
        held = move_on(connection, held, decision, now_ms, clock, units=total(seen))
        if held.closed:
            forget_seen(connection, held.id)
        return held

    def _batch(self, held: Held, about: About, cursor: Cursor) -> Batch:
        """What came, and, for whoever is switched without a shadow or a canary, how the champion did before."""
        batch = gather(self.turn.database, self.deployment, about, cursor, BATCH)
        if held.policy.proving is not None or cursor.data.get("before"):
            return batch
        alone = champion_alone(self.turn.database, self.deployment, about, held.began_ms)
        return replace(batch, units=[*alone, *batch.units], cursor=replace(batch.cursor, data={"before": True}))
