"""scikit-learn's fitted tree ensembles as arrays, thresholds still in the source's float64.

`ensemble` reads single trees, forests, gradient boosting and histogram gradient boosting; `sklearn_thresholds.py` then
narrows the thresholds to float32 and folds preprocessing into them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from ...sdk.core.errors import UnsupportedError
from ...sdk.core.signature import Array
from ..trees import LEAF, Aggregate
from .sklearn_heads import Classes, Link

WORDS = 8


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Trees as in `runtimes/trees.py`, but with the source's float64 thresholds and leaf values.

    Attributes:
        arrays: feature, threshold, left, right, missing_left, bitset, bitsets, roots, offsets, values, base.
        aggregate: "sum" or "mean".
        link: from the sums to answers.
        classes: of a classifier.
        casts: the source casts x to float32 before it compares; otherwise it compares in float64.
        encoder: the source's own encoder of category columns, or None.
        categories: columns that `encoder` reads, in its order.
        closed: a score of exactly 0 belongs to the second class.
    """

    arrays: dict[str, Array]
    aggregate: Aggregate
    link: Link
    classes: Classes | None
    casts: bool
    encoder: Any = None
    categories: tuple[int, ...] = ()
    closed: bool = False


def ensemble(estimator: Any) -> Ensemble:
    """The arrays of a fitted ensemble. Raises UnsupportedError for one that has no lowering."""
    if not is_trees(estimator):
        known = ", ".join(sorted(kind.__name__ for kind in READERS))
        raise UnsupportedError(f"{type(estimator).__name__} is not an ensemble that Portside lowers", expected=known)
    return READERS[type(estimator)](estimator)


def is_trees(estimator: Any) -> bool:
    """Whether `ensemble` reads this estimator."""
    return type(estimator) in READERS


def _single(estimator: Any) -> Ensemble:
    return _averaged(estimator, [estimator])


def _forest(estimator: Any) -> Ensemble:
    return _averaged(estimator, list(estimator.estimators_))


def _averaged(estimator: Any, members: Sequence[Any]) -> Ensemble:
    classes = Classes.of(estimator.classes_) if hasattr(estimator, "classes_") else None
    values = [_leaf_values(member.tree_, classes) for member in members]
    outputs = values[0].shape[1]
    arrays = _joined([_nodes(member.tree_) for member in members], values, np.zeros(len(members)), np.zeros(outputs))
    return Ensemble(arrays, "mean", "value" if classes is None else "proba", classes, casts=True)


def _leaf_values(tree: Any, classes: Classes | None) -> Array:
    """(nodes, outputs): a regressor's outputs, or class probabilities; of two classes only the second's."""
    values = np.asarray(tree.value, np.float64)
    if classes is None:
        return values[:, :, 0]
    chances = values[:, 0] / values[:, 0].sum(axis=1, keepdims=True)
    return chances[:, 1:] if classes.count == 2 else chances


def _boosting(estimator: Any) -> Ensemble:
    if not (estimator.init_ == "zero" or isinstance(estimator.init_, DummyClassifier | DummyRegressor)):
        raise UnsupportedError("GradientBoosting with an init estimator has no lowering", fix="Fit it with init=None or 'zero'.")
    base = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), np.float32))[0]
    members = [(tree, output) for stage in estimator.estimators_ for output, tree in enumerate(stage)]
    values = [estimator.learning_rate * tree.tree_.value[:, :, 0] for tree, _ in members]
    arrays = _joined([_nodes(tree.tree_) for tree, _ in members], values, [output for _, output in members], base)
    if not hasattr(estimator, "classes_"):
        return Ensemble(arrays, "sum", "value", None, casts=True)
    classes = Classes.of(estimator.classes_)
    single = "sigmoid2" if estimator.loss == "exponential" else "sigmoid"
    return Ensemble(arrays, "sum", single if classes.count == 2 else "softmax", classes, casts=True, closed=True)


def _histogram(estimator: Any) -> Ensemble:
    members = [(tree, output) for stage in estimator._predictors for output, tree in enumerate(stage)]
    columns, encoder, categories = _original_columns(estimator)
    known, place = estimator._bin_mapper.make_known_categories_bitsets()
    nodes = [_histogram_nodes(tree, columns, known, place) for tree, _ in members]
    values = [np.asarray(tree.nodes["value"], np.float64)[:, None] for tree, _ in members]
    arrays = _joined(nodes, values, [output for _, output in members], np.ravel(estimator._baseline_prediction))
    classes = Classes.of(estimator.classes_) if hasattr(estimator, "classes_") else None
    link: Link = "sigmoid" if classes is not None and classes.count == 2 else "softmax"
    if classes is None:
        link = "exp" if estimator.loss in ("poisson", "gamma") else "value"
    return Ensemble(arrays, "sum", link, classes, casts=False, encoder=encoder, categories=categories)


def _original_columns(estimator: Any) -> tuple[Array, Any, tuple[int, ...]]:
    """Tree column -> the caller's column; the encoder of categories, and the columns that it reads.

    The source puts category columns first.
    """
    if estimator._preprocessor is None:
        return np.arange(estimator._n_features), None, ()
    mask = np.asarray(estimator.is_categorical_)
    categories = np.flatnonzero(mask)
    encoder = estimator._preprocessor.named_transformers_["encoder"]
    return np.concatenate([categories, np.flatnonzero(~mask)]), encoder, tuple(categories.tolist())


def _nodes(tree: Any) -> dict[str, Array]:
    leaf = tree.children_left < 0
    missing = getattr(tree, "missing_go_to_left", None)
    return {
        "feature": np.where(leaf, LEAF, tree.feature), "threshold": np.where(leaf, 0.0, tree.threshold),
        "left": np.asarray(tree.children_left), "right": np.asarray(tree.children_right),
        "missing_left": np.zeros(len(leaf), np.uint8) if missing is None else np.asarray(missing),
        "bitset": np.full(len(leaf), -1), "bitsets": np.zeros((0, WORDS), np.uint32),
    }  # fmt: skip


def _histogram_nodes(tree: Any, columns: Array, known: Array, place: Array) -> dict[str, Array]:
    nodes = tree.nodes
    leaf, category = nodes["is_leaf"] != 0, nodes["is_categorical"] != 0
    category &= ~leaf
    missing_left = nodes["missing_go_to_left"].astype(np.uint8)
    bitset = np.where(category, nodes["bitset_idx"].astype(np.int64), -1)
    sets = np.asarray(tree.raw_left_cat_bitsets, np.uint32).reshape(-1, WORDS).copy()
    for node in np.flatnonzero(category & (missing_left != 0)):  # codes without training data go where missing values go
        sets[bitset[node]] |= ~known[place[nodes["feature_idx"][node]]]
    return {
        "feature": np.where(leaf, LEAF, columns[np.where(leaf, 0, nodes["feature_idx"])]),
        "threshold": np.where(leaf | category, 0.0, nodes["num_threshold"]), "left": nodes["left"].astype(np.int64),
        "right": nodes["right"].astype(np.int64), "missing_left": missing_left, "bitset": bitset, "bitsets": sets,
    }  # fmt: skip


def _joined(nodes: Sequence[dict[str, Array]], values: Sequence[Array], offsets: Any, base: Any) -> dict[str, Array]:
    """Single trees one after the other; `values` has a row per node, of which leaves are kept."""
    sizes = np.array([len(tree["feature"]) for tree in nodes])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    joined = {name: np.concatenate([tree[name] for tree in nodes]) for name in ("feature", "threshold", "missing_left", "bitsets")}
    leaf = joined["feature"] == LEAF
    shift = np.repeat(roots, sizes)
    row = np.cumsum(leaf) - 1
    sets = np.cumsum([0] + [len(tree["bitsets"]) for tree in nodes[:-1]])
    bitset = np.concatenate([tree["bitset"] for tree in nodes])
    left, right = (np.concatenate([tree[side] for tree in nodes]) + shift for side in ("left", "right"))
    return joined | {
        "left": np.where(leaf, row, left), "right": np.where(leaf, 0, right),
        "bitset": np.where(bitset < 0, -1, bitset + np.repeat(sets, sizes)), "roots": roots, "offsets": np.asarray(offsets),
        "values": np.concatenate(list(values))[leaf], "base": np.asarray(base, np.float64),
    }  # fmt: skip


_FORESTS = (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor)
_SINGLE = (DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor)
READERS: dict[type, Callable[[Any], Ensemble]] = {
    **dict.fromkeys(_FORESTS, _forest), **dict.fromkeys(_SINGLE, _single),
    GradientBoostingClassifier: _boosting, GradientBoostingRegressor: _boosting,
    HistGradientBoostingClassifier: _histogram, HistGradientBoostingRegressor: _histogram,
}  # fmt: skip
