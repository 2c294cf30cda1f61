"""How far an answer is off, by the kind of the output: the middle part of judging, between distances and verdicts.

A kind is a function (rule, reference, got) -> Measured. A new kind is one function, one line in `LIMITS` and in `KINDS`,
and test vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from . import distances
from .contract import Rule
from .signature import Array, Kind

LIMITS: Mapping[Kind, Mapping[str, float]] = {
    "decision": {"max_flips": 0.01},
    "score": {"atol": 1e-4, "p99": 0.05},
    "value": {"max": 1e-4, "p95": 0.02},
    "embedding": {"cosine": 0.99999, "lossy_cosine": 0.99, "overlap": 0.95, "norm": 0.01, "lossy_norm": 0.1},
    "ranking": {"atol": 1e-4, "overlap": 0.95},
    "detections": {"iou": 0.9, "matched": 0.98},
    "sequence": {},
}
"""Default tolerances; `Rule.limits` overrides them by name. `norm` bounds |length ratio - 1| of embeddings, which the cosine cannot see."""



@dataclass(frozen=True)
class Measured:
    """Per row: `distance` in the kind's unit and `off` (outside the float tolerance); the limit of that tolerance."""

    distance: Array
    off: Array
    limit: float
    lossy: Callable[[], tuple[float, float, str]] | None = None
    """() -> (measured, limit, what) of the lossy column; None for decisions."""


def limit_of(rule: Rule, name: str, kind: Kind | None = None) -> float:
    """A tolerance of this rule: the user's, else the kind's default."""
    return float(rule.limits.get(name, LIMITS[kind or rule.kind].get(name, float("nan"))))


def element_kind(rule: Rule, reference: Array) -> Kind:
    """The kind of one step of a sequence: as the rule says, else decision for discrete and value for real numbers."""
    if rule.element:
        return rule.element
    return "value" if reference.dtype.kind == "f" else "decision"


def measure(rule: Rule, reference: Array, got: Array) -> Measured:
    """The distances of one output; the arrays must fit each other (`misfit`)."""
    return _KINDS[rule.kind](rule, reference, got)


def misfit(rule: Rule, reference: Array, got: Array) -> str:
    """Why these two cannot be compared, or ""."""
    text = "OUS"
    if reference.shape != got.shape:
        return f"shape {list(got.shape)} where the reference has {list(reference.shape)}"
    if reference.dtype != got.dtype and not (reference.dtype.kind in text and got.dtype.kind in text):
        return f"dtype {got.dtype} where the reference has {reference.dtype}"
    if rule.kind not in ("decision", "sequence") and reference.dtype.kind in text:
        return f"strings cannot be judged as {rule.kind}"
    if rule.kind == "ranking" and reference.ndim != 2:
        return f"a ranking is (rows, items), not {list(reference.shape)}"
    if rule.kind == "detections" and (reference.ndim != 3 or reference.shape[2] != distances.BOX_COLUMNS):
        return f"detections are (rows, places, {distances.BOX_COLUMNS}), not {list(reference.shape)}"
    return "" if reference.ndim else "a tensor without rows"


def _decision(rule: Rule, reference: Array, got: Array) -> Measured:
    off = distances.differs(reference, got)
    return Measured(off, off.astype(bool), 0.0)


def _score(rule: Rule, reference: Array, got: Array) -> Measured:
    apart, limit = distances.row_max(distances.gaps(reference, got)), limit_of(rule, "atol", "score")
    return Measured(apart, apart > limit, limit, lambda: (_quantile(apart, 0.99), limit_of(rule, "p99", "score"), "p99"))


def _value(rule: Rule, reference: Array, got: Array) -> Measured:
    apart, limit = distances.row_max(distances.gaps(reference, got)), limit_of(rule, "max", "value") * rule.scale
    return Measured(apart, apart > limit, limit, lambda: (_quantile(apart, 0.95), limit_of(rule, "p95", "value") * rule.scale, "p95"))


def _embedding(rule: Rule, reference: Array, got: Array) -> Measured:
    apart, length = distances.angular(reference, got), distances.norm_gap(reference, got)
    limit = 1.0 - limit_of(rule, "cosine", "embedding")
    off = (apart > limit) | (length > limit_of(rule, "norm", "embedding"))

    def lossy() -> tuple[float, float, str]:
        lost = 1.0 - float(distances.neighbour_overlap(reference, got).mean())
        pairs = [
            (float(apart.max()), 1.0 - limit_of(rule, "lossy_cosine", "embedding"), "1 - min cosine"),
            (float(length.max()), limit_of(rule, "lossy_norm", "embedding"), "the change of length"),
            (lost, 1.0 - limit_of(rule, "overlap", "embedding"), "1 - neighbour overlap@10"),
        ]
        return max(pairs, key=lambda pair: pair[0] / pair[1] if pair[1] else float("inf"))

    return Measured(apart, off, limit, lossy)


def _ranking(rule: Rule, reference: Array, got: Array) -> Measured:
    places = rule.top_k or reference.shape[1]
    apart = distances.inversion(reference, got, rule.top_k)
    limit = limit_of(rule, "atol", "ranking") * rule.scale if reference.dtype.kind == "f" else 0.0

    def lossy() -> tuple[float, float, str]:
        lost = 1.0 - float(distances.top_overlap(reference, got, places).mean())
        return lost, 1.0 - limit_of(rule, "overlap", "ranking"), f"1 - overlap@{places}"

    return Measured(apart, apart > limit, limit, lossy)


def _detections(rule: Rule, reference: Array, got: Array) -> Measured:
    ours, theirs, pairs = distances.unmatched(reference, got, limit_of(rule, "iou", "detections"))
    apart = (ours + theirs - 2 * pairs).astype(np.float64)

    def lossy() -> tuple[float, float, str]:
        whole = max(int(ours.sum()), int(theirs.sum()))
        lost = 1.0 - int(pairs.sum()) / whole if whole else 0.0
        return lost, 1.0 - limit_of(rule, "matched", "detections"), "the share of unmatched boxes"

    return Measured(apart, apart > 0, 0.0, lossy)


def _sequence(rule: Rule, reference: Array, got: Array) -> Measured:
    """(rows, steps, ...) as rows x steps rows of the element's kind, folded back: a row is as far off as its worst step."""
    if reference.ndim < 2 or not reference.size:
        return _KINDS[element_kind(rule, reference)](rule, reference, got)
    rows, steps = reference.shape[:2]
    flat = (rows * steps, *reference.shape[2:])
    inner = _KINDS[element_kind(rule, reference)](rule, reference.reshape(flat), got.reshape(flat))
    distance = inner.distance.reshape(rows, steps).max(axis=1)
    off = np.asarray(inner.off.reshape(rows, steps).any(axis=1))
    return Measured(distance, off, inner.limit, inner.lossy)


_KINDS: Mapping[Kind, Callable[[Rule, Array, Array], Measured]] = {
    "decision": _decision, "score": _score, "value": _value, "embedding": _embedding,
    "ranking": _ranking, "detections": _detections, "sequence": _sequence,
}  # fmt: skip


def _quantile(values: Array, share: float) -> float:
    return float(np.sort(values)[ceil(round(share * (len(values) - 1), 9))])
