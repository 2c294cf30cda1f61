"""Records and labels into counts, each once: the cursor moves in the transaction that holds what was made of what it passed.

`gather` reads and is free of side effects; `add_up` puts units into the counts, leaving out whom it has counted already.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, inspect, select

from ...sdk.core.labels import Label
from ..monitoring.cursors import Cursor
from ..monitoring.upsert import add
from ..records.database import Database
from ..rollout_evidence import Assigned, Cell, Observed, Tally
from ..rollout_policy import EVERYONE, MOST_SLICES, Policy
from . import fetching, units
from .tables import COUNTS, ROLLOUTS, SEEN
from .units import About, Unit

BATCH = 2000
BEFORE_MS, BEFORE_ROWS = 86_400_000, 5000
"""Of the champion alone, what counts as before a rollout: the newest records of a day."""
_SUMS = ("rows", "bad", "champion_rows", "champion_bad", "both")
_CELL = ("stage", "step", "challenger", "measure", "slice")


@dataclass(frozen=True)
class Batch:
    """What a look found. `waiting`: more is there."""

    units: Sequence[Unit]
    cursor: Cursor
    waiting: bool


def gather(database: Database, name: str, about: About, cursor: Cursor, limit: int = BATCH) -> Batch:
    """Read what came since the cursor. Raises FormatError, SQLAlchemyError, ValueError: the database cannot be read."""
    records, seq, more = fetching.noted(database, name, cursor.records, limit)
    labels, said, rest = fetching.new_labels(database, cursor.labels, limit)
    shadows = [record for record in records if record.arm == fetching.SHADOW]
    parents = fetching.by_id(database, {str(record.parent) for record in shadows})
    found = [unit for record in records if record.arm != fetching.SHADOW for unit in units.answered(record, about)]
    found += [unit for shadow in shadows for unit in units.paired(shadow, parents.get(str(shadow.parent)), about)]
    early = fetching.labels_about(database, {record.parent or record.id for record in records}, cursor.labels) if about.output else []
    found += _judged(database, [*early, *labels], about)
    return Batch(found, Cursor(seq, said, data=cursor.data), more or rest)


def champion_alone(database: Database, name: str, about: About, now_ms: int) -> list[Unit]:
    """How the champion did before the rollout."""
    records = fetching.lately(database, name, now_ms - BEFORE_MS, BEFORE_ROWS)
    held = {record.id: record for record in records if units.told(record, about.rollout) is None}
    found = [unit for record in held.values() for unit in units.before(record, about)]
    for label in fetching.labels_about(database, held) if about.output else []:
        found += units.before(held[label.record], about, label)
    return found


def _judged(database: Database, labels: Sequence[Label], about: About) -> list[Unit]:
    """What labels say; of one that was told early and comes again the second is left out when it is counted."""
    if about.output is None or not labels:
        return []
    ids = {label.record for label in labels}
    records, shadows = fetching.by_id(database, ids), fetching.shadows_of(database, ids)
    return [unit for label in labels if (record := records.get(label.record)) is not None
            for unit in units.judged(record, shadows.get(record.id, ()), label, about)]  # fmt: skip


def add_up(connection: Connection, rollout: str, found: Sequence[Unit], policy: Policy) -> int:
    """Count units that were not counted; how many. Raises SQLAlchemyError."""
    known, slices = _seen(connection, {unit.key for unit in found if unit.key}), _slices(connection, rollout, policy)
    counts, new, counted = dict[Cell, Tally](), list[dict[str, str]](), 0
    for unit in found:
        if unit.key in known:
            continue
        if unit.key:
            known.add(unit.key)
            new.append({"unit": unit.key, "rollout": rollout})
        for cells, tally in unit.outcomes:
            for cell in cells:
                if _apart(cell.slice, slices):
                    counts[cell] = counts[cell].plus(tally) if cell in counts else tally
        counted += 1
    if new:
        connection.execute(insert(SEEN), new)
    for cell, tally in counts.items():
        add(connection, COUNTS, {"rollout": rollout, **cell._asdict()}, {name: getattr(tally, name) for name in _SUMS})
    return counted


def observed(connection: Connection, rollout: str, policy: Policy, clock_ms: int) -> Observed:
    """Everything that was counted until now. Raises SQLAlchemyError."""
    columns = [COUNTS.c[name] for name in (*_CELL, *_SUMS)]
    counts: dict[Cell, Tally] = {}
    for row in connection.execute(select(*columns).where(COUNTS.c.rollout == rollout).order_by(*(COUNTS.c[name] for name in _CELL))):
        values: tuple[Any, ...] = tuple(row)
        cell = Cell(*values[:5])
        counts[cell] = Tally(*values[5:], share=policy.steps[cell.step] if cell.stage == "canary" else 1.0)
    return Observed(clock_ms, counts, _assigned(counts, policy))


def forget_seen(connection: Connection, rollout: str) -> None:
    """Nothing more is counted: whose outcomes were is not kept. Raises SQLAlchemyError."""
    connection.execute(delete(SEEN).where(SEEN.c.rollout == rollout))


def forget_counted(connection: Connection, entity: str) -> dict[str, int]:
    """Delete what rollouts that go on keep of an entity: that it was counted. What it does later counts anew. Raises SQLAlchemyError.

    The counts stay: they are sums. Returns table -> rows deleted, without what is not there.
    """
    if not inspect(connection).has_table(SEEN.name):
        return {}
    count = 0
    for rollout, policy in connection.execute(select(ROLLOUTS.c.id, ROLLOUTS.c.policy).where(ROLLOUTS.c.ended_ms == 0)).all():
        keys = units.keys_of(entity, rollout, Policy.from_dict(json.loads(policy)))
        count += connection.execute(delete(SEEN).where(SEEN.c.unit.in_(keys))).rowcount
    return {SEEN.name: count} if count else {}


def total(seen: Observed) -> int:
    """Units of all measures, without slices."""
    return sum(tally.rows + tally.champion_rows for cell, tally in seen.counts.items() if cell.slice == EVERYONE)


def _assigned(counts: Mapping[Cell, Tally], policy: Policy) -> dict[int, Assigned]:
    """Every unit has or has not an error, so the cells of errors hold them all."""
    found: dict[int, Assigned] = {}
    for cell, tally in counts.items():
        whole = policy.first if cell.step == 0 and policy.first else EVERYONE
        if cell.stage == "canary" and cell.measure == "errors" and cell.slice == whole:
            found[cell.step] = Assigned(policy.steps[cell.step], tally.rows, tally.champion_rows)
    return found


def _seen(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those that were counted; digests of two rollouts differ."""
    held, found = sorted(keys), set[str]()
    for start in range(0, len(held), fetching.MANY):
        found |= set(connection.execute(select(SEEN.c.unit).where(SEEN.c.unit.in_(held[start : start + fetching.MANY]))).scalars())
    return found


def _slices(connection: Connection, rollout: str, policy: Policy) -> set[str]:
    """Those that are counted apart already."""
    query = select(COUNTS.c.slice).where(COUNTS.c.rollout == rollout, COUNTS.c.slice != EVERYONE).distinct()
    return {*connection.execute(query).scalars(), *_own(policy)}


def _apart(name: str, known: set[str]) -> bool:
    """Whether a slice is counted: those that were seen first are, as many as are judged."""
    if name != EVERYONE and name not in known and len(known) < MOST_SLICES:
        known.add(name)
    return name == EVERYONE or name in known


def _own(policy: Policy) -> Iterable[str]:
    return () if policy.first is None else (policy.first,)
