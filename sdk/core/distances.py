"""How far two answers are apart, per row and per kind of output. Pure numpy; rows are axis 0.

- NaN equals NaN in the same place; NaN against a number is infinitely far. Infinities of one sign are equal, otherwise
  infinitely far.
- A *ranking* is (rows, items) of float scores, ranked downwards, or (rows, places) of integer item numbers in order.
- *Detections* are (rows, places, 6) of x1, y1, x2, y2, score, label; a place with score <= 0, a NaN or a negative label
  is empty, so that models pad to a fixed number of places.
"""

from __future__ import annotations

import numpy as np

from .signature import Array

BOX_COLUMNS = 6
NEIGHBOURS = 10


def gaps(reference: Array, got: Array) -> Array:
    """Absolute difference per element, float64, with the rules above."""
    one, two = np.asarray(reference, np.float64), np.asarray(got, np.float64)
    same = (one == two) | (np.isnan(one) & np.isnan(two))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(one - two)
    return np.where(same, 0.0, np.where(np.isfinite(apart), apart, np.inf))


def row_max(values: Array) -> Array:
    """The largest value of each row; 0 for rows without elements."""
    flat = values.reshape(len(values), -1) if values.size else np.zeros((len(values), 0))
    return flat.max(axis=1, initial=0.0)


def differs(reference: Array, got: Array) -> Array:
    """1.0 for rows in which any element is another one (for strings, integers, bools; floats by value), else 0.0."""
    if reference.dtype.kind == "f":
        return (row_max(gaps(reference, got)) > 0).astype(np.float64)
    return row_max((reference != got).astype(np.float64))


def angular(reference: Array, got: Array) -> Array:
    """1 - cosine per row of flattened vectors; two zero vectors are equal; a NaN is infinitely far unless both hold it."""
    one, two = _vectors(reference), _vectors(got)
    same = row_max(gaps(one, two)) == 0
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        cosine = (_unit(one) * _unit(two)).sum(axis=1)
    return np.where(same, 0.0, np.where(np.isfinite(cosine), np.maximum(1.0 - cosine, 0.0), np.inf))


def norm_gap(reference: Array, got: Array) -> Array:
    """How far the ratio of the two vectors' lengths is from 1, per row."""
    one, two = np.linalg.norm(_vectors(reference), axis=1), np.linalg.norm(_vectors(got), axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.abs(two / one - 1.0)
    return np.where((one == two) | (np.isnan(one) & np.isnan(two)), 0.0, np.where(np.isfinite(ratio), ratio, np.inf))


def neighbour_overlap(reference: Array, got: Array, k: int = NEIGHBOURS) -> Array:
    """Per row the share of its k nearest other rows (by cosine) that stay the same; all of them where rows are few."""
    k = min(k, len(reference) - 1)
    if k < 1:
        return np.ones(len(reference))
    one, two = _neighbours(_vectors(reference), k), _neighbours(_vectors(got), k)
    return np.array([len(np.intersect1d(a, b)) / k for a, b in zip(one, two, strict=True)])


def inversion(reference: Array, got: Array, top: int | None = None) -> Array:
    """Per row by how much the reference scores contradict the order of `got`, in its first `top` places.

    For integer rankings: 1.0 where the places differ. 0 where both orders agree but for ties.
    """
    places = reference.shape[1] if top is None else min(top, reference.shape[1])
    if reference.dtype.kind != "f":
        return differs(reference[:, :places], got[:, :places])
    order = np.argsort(-np.nan_to_num(got.astype(np.float64), nan=-np.inf), axis=1, kind="stable")
    along = np.take_along_axis(np.nan_to_num(reference.astype(np.float64), nan=-np.inf), order, axis=1)
    later = np.maximum.accumulate(along[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore"):
        worst = np.where(later == along, 0.0, later - along)[:, :places].max(axis=1, initial=0.0)
    return np.where((np.isnan(reference) != np.isnan(got)).any(axis=1), np.inf, worst)


def top_overlap(reference: Array, got: Array, k: int) -> Array:
    """Per row the share of the first k items of the reference that are among the first k of `got`."""
    k = min(k, reference.shape[1])
    if k < 1:
        return np.ones(len(reference))
    one, two = _first(reference, k), _first(got, k)
    return np.array([len(np.intersect1d(a, b)) / k for a, b in zip(one, two, strict=True)])


def unmatched(reference: Array, got: Array, iou: float) -> tuple[Array, Array, Array]:
    """(boxes of the reference, boxes of `got`, matched pairs) per row, matched greedily by falling score.

    A pair has the same label and an intersection over union of at least `iou`.
    """
    counts = [_match(_boxes(one), _boxes(two), iou) for one, two in zip(reference, got, strict=True)]
    ours, theirs, pairs = np.array(counts, np.int64).reshape(-1, 3).T
    return ours, theirs, pairs


def _vectors(values: Array) -> Array:
    return np.asarray(values, np.float64).reshape(len(values), -1)


def _unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _neighbours(vectors: Array, k: int) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.nan_to_num(_unit(vectors))
    close = unit @ unit.T
    np.fill_diagonal(close, -np.inf)
    return np.argsort(-close, axis=1, kind="stable")[:, :k]


def _first(ranking: Array, k: int) -> Array:
    if ranking.dtype.kind != "f":
        return ranking[:, :k]
    return np.argsort(-np.nan_to_num(ranking, nan=-np.inf), axis=1, kind="stable")[:, :k]


def _boxes(places: Array) -> Array:
    held = np.asarray(places, np.float64)
    return held[(held[:, 4] > 0) & (held[:, 5] >= 0) & ~np.isnan(held).any(axis=1)]


def _match(reference: Array, got: Array, iou: float) -> tuple[int, int, int]:
    free, pairs = np.ones(len(reference), bool), 0
    for box in got[np.argsort(-got[:, 4], kind="stable")]:
        overlap = np.where(free & (reference[:, 5] == box[5]), _overlap(reference, box), -1.0)
        if overlap.size and overlap.max() >= iou:
            free[int(overlap.argmax())] = False
            pairs += 1
    return len(reference), len(got), pairs


def _overlap(boxes: Array, box: Array) -> Array:
    """Intersection over union of every box with one; two empty boxes in the same place are the same."""
    same = (boxes[:, :4] == box[:4]).all(axis=1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        sides = np.minimum(boxes[:, 2:4], box[2:4]) - np.maximum(boxes[:, :2], box[:2])
        shared = np.clip(sides, 0, None).prod(axis=1)
        whole = (boxes[:, 2:4] - boxes[:, :2]).prod(axis=1) + (box[2:4] - box[:2]).prod() - shared
        found = np.nan_to_num(shared / whole, nan=0.0, posinf=0.0, neginf=0.0)
    return np.where(same, 1.0, np.where(whole > 0, found, 0.0))
