"""What a change looks like: another unit, columns that changed places, a sensor that is stuck, values that stay away.

    >>> metres = Profile.of({"in.length": np.random.default_rng(0).gamma(4, 1, 3000)})
    >>> found = suspicions(metres, Profile.of({"in.length": np.random.default_rng(1).gamma(4, 1, 200) * 1000}))
    >>> found[0].what
    'unit of in.length changed: values are 1000 times what they were (like m -> mm, or kg -> g)'

A field is suspected only where it drifts (`compare`), and an explanation is given only where it explains: after it has been undone, the
field lies where the reference does, as far as that many rows can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal, NamedTuple

import numpy as np

from ..profile import Profile, Summary
from ..sketch import Sketch
from .compare import compare
from .distances import aligned, classes, familiar, ks, total_variation
from .matching import cheapest, cycles
from .report import DriftOptions, DriftReport
from .tails import reach, together
from .units import UNITS, Unit

MOST = 64
"""Fields among which changed places are looked for."""
SURE = 0.01
MADE = ("out.", "feature.", "trait.")
"""Fields that the model or we make: nobody sends them in another unit, or in another column."""
RECOGNISED = 0.15
"""A share of values that are to the last digit another field's own."""


@dataclass(frozen=True)
class Suspicion:
    """One explanation.

    Attributes:
        kind: what kind of change; "moved" is a scale or an offset that no unit explains.
        fields: those concerned; for "swapped" in order: the first now holds what the second held, and so on, the last what the first held.
        what: a sentence.
        left: the distance from the reference that is left when the change is undone; 0 where that says nothing.
    """

    kind: Literal["swapped", "unit", "moved", "stuck", "missing", "unknown", "kind"]
    fields: tuple[str, ...]
    what: str
    left: float = 0.0

    @property
    def broken(self) -> bool:
        """It looks like a mistake of whoever sends the field. A scale or an offset without a name may be the world's own."""
        return self.kind != "moved"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**vars(self), "fields": list(self.fields)}


class _Move(NamedTuple):
    """here, there: fields; before, left: distance of what `here` holds now from what `here` and `there` held; known_*: values in common."""

    here: str
    there: str
    before: float
    left: float
    known_here: float
    known_there: float


def suspicions(reference: Profile, current: Profile, report: DriftReport | None = None,
               options: DriftOptions | None = None) -> tuple[Suspicion, ...]:  # fmt: skip
    """Explanations of what drifted, the plainest first.

    Args:
        reference, current: as for `compare`.
        report: what `compare` found in them; made here when it is not given.
        options: as for `compare`.
    """
    chosen = options or DriftOptions()
    found = report if report is not None else compare(reference, current, chosen)
    drifted = [one.field for one in found.drifted]
    swapped = list(_swapped(reference, current, drifted, chosen))
    explained = {name for one in swapped for name in one.fields}
    plain = [one for name in drifted if (one := _gone_wrong(name, reference.fields[name], current.fields[name])) is not None]
    explained |= {name for one in plain for name in one.fields}
    moved = [_moved(name, reference.fields[name], current.fields[name], chosen) for name in drifted if name not in explained]
    return (*plain, *swapped, *(one for one in moved if one is not None))


def _gone_wrong(name: str, reference: Summary, current: Summary) -> Suspicion | None:
    """A field that says nothing any more."""
    held, other = classes(reference), classes(current)
    if not other and held:
        return Suspicion("missing", (name,), f"{name} is always missing: {current.count} of {current.count} values")
    if set(other) == {"(numbers)"} != set(held) or (set(held) == {"(numbers)"} != set(other) and other):
        return Suspicion("kind", (name,), f"{name} changed its kind: it held {_kind(reference)}, and now holds {_kind(current)}")
    if (share := other.get("(unknown)", 0) / sum(other.values())) > 0.5 > held.get("(unknown)", 0) / max(sum(held.values()), 1):
        return Suspicion("unknown", (name,), f"{name} holds unknown categories: {share:.0%} of values")
    alone = current.low == current.high if current.finite else len(other) == 1
    usual = reference.low < reference.high if reference.finite else len(held) > 1
    if alone and usual:
        value = f"{current.low:g}" if current.finite else next(iter(other))
        return Suspicion("stuck", (name,), f"{name} is stuck at one value: {value}")
    return None


def _swapped(reference: Profile, current: Profile, drifted: list[str], options: DriftOptions) -> Iterator[Suspicion]:
    """Fields of one side and one kind that explain each other."""
    groups: dict[tuple[str, str, bool], list[str]] = {}
    for name in (*drifted, *(name for name in reference.fields if name in current.fields and name not in drifted)):
        if reference.fields[name].count and current.fields[name].count and not name.startswith(MADE):
            groups.setdefault((name.split(".")[0], name.partition(" @ ")[2], bool(reference.fields[name].finite)), []).append(name)
    for names in groups.values():
        if set(names) & set(drifted):
            yield from _exchanged(reference, current, names[:MOST], set(drifted), options)


def _exchanged(reference: Profile, current: Profile, names: list[str], drifted: set[str], options: DriftOptions) -> Iterator[Suspicion]:
    far = np.array([[_distance(reference.fields[there], current.fields[here]) for there in names] for here in names])
    known = np.array([[familiar(reference.fields[there].sketch, current.fields[here].sketch) for there in names] for here in names])
    costs = far - known
    calm = [place for place, name in enumerate(names) if name not in drifted and known[place, place] >= known[place].max() / 2]
    costs[calm, calm] = -1.0  # what has not moved stays where it is
    order = cheapest(costs)
    for cycle in cycles(order):
        moves = [_Move(names[place], names[order[place]], far[place, place], far[place, order[place]], known[place, place],
                       known[place, order[place]]) for place in cycle]  # fmt: skip
        explained = all(_explained(reference, current, move, move.here in drifted, options) for move in moves)
        if explained and any(move.here in drifted for move in moves):
            yield Suspicion("swapped", tuple(move.here for move in moves), _sentence(moves), max(move.left for move in moves))


def _explained(reference: Profile, current: Profile, move: _Move, drifted: bool, options: DriftOptions) -> bool:
    """Whether what `here` holds now is what `there` held: the same values, or near enough, or, where it drifted, at least much nearer."""
    if move.known_there >= RECOGNISED and move.known_here <= move.known_there / 4:
        return True
    near = _near(move.there, reference.fields[move.there], current.fields[move.here], options)
    return move.left <= near or (drifted and move.left <= move.before / 2)


def _sentence(moves: list[_Move]) -> str:
    if len(moves) == 2:
        return f"swapped columns: {moves[0].here} and {moves[0].there}"
    return f"swapped columns: {', '.join(f'{move.here} holds what {move.there} held' for move in moves)}"


def _moved(name: str, reference: Summary, current: Summary, options: DriftOptions) -> Suspicion | None:
    """A unit, a scale or an offset that brings the field back."""
    if not reference.finite or not current.finite:
        return None
    before, near = ks(reference.sketch, current.sketch), _near(name, reference, current, options)
    units = () if name.startswith(MADE) else UNITS
    tried = [(ks(_changed(reference.sketch, unit), current.sketch), unit) for unit in (*units, *_fitted(reference, current))]
    left, unit = min(tried, key=lambda pair: (pair[0] > near, pair[1].like == "", pair[0]))
    if left > near or left > before / 2:
        return None
    if not unit.like:
        return Suspicion("moved", (name,), f"{name} {unit.what}", left)
    return Suspicion("unit", (name,), f"unit of {name} changed: values are {unit.what} (like {unit.like})", left)


def _fitted(reference: Summary, current: Summary) -> list[Unit]:
    """The offset and the scale that the middles of both sides ask for."""
    (low, middle, high), (other_low, other, other_high) = (side.sketch.quantiles((0.25, 0.5, 0.75)) for side in (reference, current))
    side = "higher" if other > middle else "lower"
    found = [Unit(1.0, float(other - middle), f"is {side} by about {abs(other - middle):.3g} throughout", "")]
    if middle and isfinite(scale := float(other / middle)) and scale not in (0.0, 1.0):
        found.append(Unit(scale, 0.0, f"is about {scale:.3g} times what it was", ""))
    if high > low and other_high > other_low:
        scale = float((other_high - other_low) / (high - low))
        found.append(Unit(scale, float(other - scale * middle), f"has another place and {scale:.3g} times the spread", ""))
    return found


def _changed(sketch: Sketch, unit: Unit) -> Sketch:
    return replace(sketch, levels=tuple(level * unit.scale + unit.offset for level in sketch.levels))


def _near(name: str, reference: Summary, current: Summary, options: DriftOptions) -> float:
    """The distance that is none: what is tolerated, what chance makes, what the sketches do."""
    worth = together(reference.rows or reference.count, current.rows or current.count)
    return options.tolerance(name) + reach(SURE, worth) + reference.sketch.error + current.sketch.error


def _distance(reference: Summary, current: Summary) -> float:
    if reference.finite and current.finite:
        return ks(reference.sketch, current.sketch)
    return total_variation(*aligned(classes(reference), classes(current)))


def _kind(summary: Summary) -> str:
    return "numbers" if summary.finite else "categories"
