"""What one record, one pair of answers or one label says of a rollout: units and where they count. Pure.

- Arms of entities are sticky, so requests of one entity say the same thing again: an entity counts once in every cell, with the first
  outcome of it that was observed. Requests about nobody are drawn anew, and each counts.
- A request of several rows is one unit. For errors and lateness it has one outcome; for disagreement one of its rows, picked by the id of
  the record, stands for it; for accuracy the first of its rows whose truth is known.
- Whoever was given an arm counts there, whoever answered in the end (intention to treat): a challenger whose failures a backup answers
  has failed.
- A review that the answer itself brought about says more of arms that ask more often. Beside a challenger that answers, reviewed rows are
  thinned, so that every row counts with the same chance whatever its arm said of it: that of the rows that are seldom looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

from ...sdk.core.labels import Label
from ...sdk.core.records import Record
from ...sdk.core.selection import selection_of
from ..rollout_evidence import Cell, Tally
from ..rollout_policy import EVERYONE, MEASURES, Measure, Policy, Stage

ROLLOUT = "rollout"
"""Key of a record's features."""
ANSWERED = ("primary", "cached", "consistent")
"""Reasons of a receipt for which whoever was asked has not failed."""
REVIEWED = ("person", "check")
SAME = 1e-6
"""Shares that are nearer than this are one."""


@dataclass(frozen=True)
class About:
    """How the records of a rollout are read.

    Attributes:
        rollout: its id.
        policy: its steps and challengers.
        late_ms: answers that take longer are late; None: nobody is.
        output: whose values are right or wrong; None: accuracy is not judged.
        categories: of that output: labels may say a name where records hold a code.
        floor: least chance with which a row is reviewed, where a dial chooses them; None: nothing chooses.
    """

    rollout: str
    policy: Policy
    late_ms: float | None = None
    output: str | None = None
    categories: tuple[str, ...] = field(default=())
    floor: float | None = None


class Outcome(NamedTuple):
    """What one measure says of a unit. `cells`: in each slice that it belongs to; `tally`: of this unit alone."""

    cells: tuple[Cell, ...]
    tally: Tally


class Unit(NamedTuple):
    """One unit, as an answer, a pair or a label shows it.

    Attributes:
        key: what counts once, as a digest that says nothing of whom it is about; "": it is another one every time.
        outcomes: that count together, or not at all.
    """

    key: str
    outcomes: tuple[Outcome, ...]


def told(record: Record, rollout: str) -> Mapping[str, Any] | None:
    """What the server noted of this rollout; None: the record is of no part of it."""
    held = record.features.get(ROLLOUT)
    return cast("Mapping[str, Any]", held) if isinstance(held, Mapping) and held.get("id") == rollout else None  # pyright: ignore[reportUnknownMemberType]


def answered(record: Record, about: About) -> list[Unit]:
    """Errors and lateness of a request that was given an arm."""
    place = placed(record, about)
    if place is None:
        return []
    key, slices = record.entity or "", _slices(record, _picked(record, about), about, place)
    return [Unit(_once(key, place, "answer", about), _given(record, place, slices, about))]


def paired(shadow: Record, champion: Record | None, about: About) -> list[Unit]:
    """Errors, lateness and disagreement of a challenger's answer that nobody was given. champion: None where its record was lost."""
    held = told(shadow, about.rollout)
    if held is None or shadow.package not in about.policy.challengers:
        return []
    row = _picked(shadow, about)
    place, key, slices = _Place("shadow", 0, shadow.package, None), (champion or shadow).entity or "", _slices(shadow, row, about)
    broken = not shadow.outputs or failed(shadow)
    found = [] if champion is None else [_pair("errors", place, slices, broken, failed(champion))]
    if about.late_ms is not None and champion is not None and not broken:
        found.append(_pair("late", place, slices, late(shadow, about.late_ms), late(champion, about.late_ms)))
    agrees = held.get("agrees")
    if "disagreement" in about.policy.limits and not broken and isinstance(agrees, list) and row < len(cast("list[Any]", agrees)):
        found.append(_pair("disagreement", place, slices, not agrees[row], False))
    return [Unit(_once(key, place, one.cells[0].measure, about), (one,)) for one in found]


def judged(record: Record, shadows: Sequence[Record], label: Label, about: About) -> list[Unit]:
    """Accuracy, when a label has come. shadows: what challengers answered to the same request."""
    truth = _truth(label, about)
    right = _right(record, label.row, truth, about)
    if truth is None or right is None:
        return []
    key = record.entity or record.id
    found = list[Unit]()
    for shadow in shadows:
        theirs = _right(shadow, label.row, truth, about)
        if theirs is not None and told(shadow, about.rollout) is not None and shadow.package in about.policy.challengers:
            place = _Place("shadow", 0, shadow.package, None)
            both = _pair("accuracy", place, _slices(shadow, label.row, about), not theirs, not right)
            found.append(Unit(_once(key, place, "accuracy", about), (both,)))
    place = placed(record, about)
    if place is not None and _kept(record, label, about):
        own = _arm("accuracy", place, _slices(record, label.row, about, place), not right)
        found.append(Unit(_once(key, place, "accuracy", about), (own,)))
    return found


def before(record: Record, about: About, label: Label | None = None) -> list[Unit]:
    """The champion alone, before the rollout: what a challenger is held against that everyone is given at once."""
    place, key = _Place("before", 0, "", "champion"), record.entity or ""
    if label is not None:
        right = _right(record, label.row, _truth(label, about), about)
        if right is None or not _kept(record, label, about):
            return []
        return [Unit(_once(key or record.id, place, "accuracy", about), (_arm("accuracy", place, [EVERYONE], not right),))]
    return [Unit(_once(key, place, "answer", about), _given(record, place, [EVERYONE], about))]


class _Place(NamedTuple):
    stage: Stage
    step: int
    challenger: str
    arm: str | None
    alone: str | None = None
    """A first step's slice: its units count there, and not in everyone."""


def placed(record: Record, about: About) -> _Place | None:
    """Stage, step and arm of a request, by what the server noted. None: it was given its arm by no chance that could be compared."""
    held, policy = told(record, about.rollout), about.policy
    arm = None if held is None else held.get("assigned")
    if arm not in ("champion", "challenger"):
        return None
    share = record.propensity if arm == "challenger" else 1 - record.propensity
    if abs(share - 1) < SAME:
        return _Place("switched", 0, policy.challengers[0], arm)
    for step, wanted in enumerate(policy.steps):
        if abs(share - wanted) < SAME:
            return _Place("canary", step, policy.challengers[0], arm, policy.first if step == 0 else None)
    return None


def keys_of(entity: str, rollout: str, policy: Policy) -> list[str]:
    """Every key under which an entity may have been counted by a rollout."""
    places = [_Place("before", 0, "", None), *(_Place("shadow", 0, one, None) for one in policy.challengers)]
    places += [_Place("canary", step, policy.challengers[0], None) for step in range(len(policy.steps))]
    places.append(_Place("switched", 0, policy.challengers[0], None))
    return [_key(entity, place, what, rollout) for place in places for what in ("answer", *MEASURES)]


def _once(unit: str, place: _Place, what: Literal["answer"] | Measure, about: About) -> str:
    """The key under which a unit counts once at this place; "": it is about nobody."""
    return _key(unit, place, what, about.rollout) if unit else ""


def _key(unit: str, place: _Place, what: str, rollout: str) -> str:
    """A digest, keyed by the rollout, for whoever reads the database."""
    text = f"{place.stage} {place.step} {place.challenger} {what} {unit}".encode(errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=12, key=rollout.encode()[:64]).hexdigest()


def failed(record: Record) -> bool:
    """Whoever was asked first did not answer."""
    return record.receipt.get("reason") not in ANSWERED


def late(record: Record, late_ms: float) -> bool:
    """The answer came late, or whoever was asked first was given up for that."""
    return float(record.receipt.get("time_ms", 0.0)) > late_ms or record.receipt.get("reason") == "deadline"


def _truth(label: Label, about: About) -> Any:
    value = None if about.output is None else label.values.get(about.output)
    return about.categories.index(value) if isinstance(value, str) and value in about.categories else value


def _right(record: Record, row: int, truth: Any, about: About) -> bool | None:
    """None: its answer was not kept, or there is none."""
    held = None if about.output is None else record.outputs.get(about.output)
    if truth is None or not isinstance(held, list) or row >= len(cast("list[Any]", held)):
        return None
    return bool(cast("list[Any]", held)[row] == truth)


def _kept(record: Record, label: Label, about: About) -> bool:
    """Whether a label counts beside a challenger that answers; see above."""
    if about.floor is None or label.source not in REVIEWED:
        return True
    chance = selection_of(record, label.row).probability
    return chance > 0 and _draw(f"{about.rollout} {record.id} {label.row}") < about.floor / chance


def _given(record: Record, place: _Place, slices: Sequence[str], about: About) -> tuple[Outcome, ...]:
    """Errors and lateness of an arm's answer."""
    errors = _arm("errors", place, slices, failed(record))
    return (errors,) if about.late_ms is None else (errors, _arm("late", place, slices, late(record, about.late_ms)))


def _arm(measure: Measure, place: _Place, slices: Sequence[str], bad: bool) -> Outcome:
    tally = Tally(1, int(bad)) if place.arm == "challenger" else Tally(champion_rows=1, champion_bad=int(bad))
    return Outcome(_cells(measure, place, slices), tally)


def _pair(measure: Measure, place: _Place, slices: Sequence[str], bad: bool, champion_bad: bool) -> Outcome:
    return Outcome(_cells(measure, place, slices), Tally(1, int(bad), 1, int(champion_bad), int(bad and champion_bad)))


def _cells(measure: Measure, place: _Place, slices: Sequence[str]) -> tuple[Cell, ...]:
    return tuple(Cell(place.stage, place.step, place.challenger, measure, name) for name in slices)


def _slices(record: Record, row: int, about: About, place: _Place | None = None) -> list[str]:
    """Everyone, and "field=value" of the row for every field that the server noted."""
    found: Mapping[str, Any] = (told(record, about.rollout) or {}).get("slices") or {}
    every = {f"{name}={value}": name for name, values in found.items() if (value := _value(values, row)) is not None}
    names = [name for name, owner in every.items() if owner in about.policy.slices or name == about.policy.first]
    alone = None if place is None else place.alone
    return [EVERYONE, *names] if alone is None else [alone, *(name for name in names if name != alone)]


def _value(values: Any, row: int) -> Any:
    if not isinstance(values, list):
        return values
    held = cast("list[Any]", values)
    return held[row] if row < len(held) else None


def _picked(record: Record, about: About) -> int:
    """The row that stands for a request: drawn by its id."""
    held = told(record, about.rollout) or {}
    lists: list[Any] = [held.get("agrees"), *(held.get("slices") or {}).values()]
    rows = max((len(cast("list[Any]", one)) for one in lists if isinstance(one, list)), default=1)
    return int(_draw(record.parent or record.id) * rows) if rows > 1 else 0


def _draw(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big") / (1 << 56)
