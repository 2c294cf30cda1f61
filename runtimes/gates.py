"""The three gates on quality, judged on what an audit found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..sdk.core.decisions import NOT_ENOUGH
from ..sdk.core.gates import Gate, judge, rows_needed, unjudged
from .changes import Changes
from .flipped import Flips
from .quality import LOW_IS_GOOD

_NO_LABELS = "labels are needed to measure a drop: Data(..., labels=...)"
_SHOWN = 5


def judged(limits: Mapping[str, float], changes: Changes, slices: Mapping[str, Changes | None], counts: Mapping[str, int],
           flips: Sequence[Flips]) -> tuple[Gate, ...]:  # fmt: skip
    """One verdict per limit that was given."""
    found: list[Gate] = []
    for name, limit in limits.items():
        if name == "max_flips":
            found.append(_flips(limit, flips))
        else:
            found.append(_drop(limit, changes) if name == "max_drop" else _slice_drop(limit, changes, slices, counts))
    return tuple(found)


def _drop(limit: float, changes: Changes) -> Gate:
    if not changes:
        return unjudged("max_drop", limit, _NO_LABELS)
    metric, change = next(iter(changes.items()))
    return judge("max_drop", limit, change.drop.low, change.drop.high, change.drop.rows, metric, rate=metric not in LOW_IS_GOOD)


def _slice_drop(limit: float, changes: Changes, slices: Mapping[str, Changes | None], counts: Mapping[str, int]) -> Gate:
    """The worst slice among those with enough rows; a smaller one decides only where it is surely over the limit."""
    if not changes:
        return unjudged("max_slice_drop", limit, _NO_LABELS)
    if not slices:
        return unjudged("max_slice_drop", limit, "slices are needed: Data(..., slices={name: group per row})")
    metric = next(iter(changes))
    gates = {
        key: judge("max_slice_drop", limit, held[metric].drop.low, held[metric].drop.high, counts[key], f"{metric}, {key}",
                   rate=metric not in LOW_IS_GOOD)
        for key, held in slices.items() if held is not None
    }  # fmt: skip
    able = [gate for gate in gates.values() if gate.verdict != NOT_ENOUGH]
    small = [key for key in slices if key not in gates or gates[key].verdict == NOT_ENOUGH]
    needed = rows_needed(limit, metric not in LOW_IS_GOOD)
    left = f"not enough data in {', '.join(f'{key} ({counts[key]} rows)' for key in small[:_SHOWN])}" if small else ""
    left += f" and {len(small) - _SHOWN} more" if len(small) > _SHOWN else ""
    if not able:
        wanted = f"{needed} rows are needed in a slice" if needed else "no number of rows proves a limit of 0"
        return unjudged("max_slice_drop", limit, f"{left}; {wanted}")
    worst = max(able, key=lambda gate: (gate.verdict == "failed", gate.measured))
    return replace(worst, note="; ".join(filter(None, (worst.note, left))))


def _flips(limit: float, flips: Sequence[Flips]) -> Gate:
    if not flips:
        return unjudged("max_flips", limit, "no output is a decision: nothing can flip")
    worst = max(flips, key=lambda held: held.high)
    return judge("max_flips", limit, worst.low, worst.high, worst.rate.rows, worst.output)
