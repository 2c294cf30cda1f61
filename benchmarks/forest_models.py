"""What the benchmark of smaller forests runs on: four ensembles of the zoo, rows that did not train them, and other small models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import subjects
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import portside as ps
from portside.compress.base import PassContext
from portside.compress.forest_build import built
from portside.compress.forest_fit import Shape, thinned
from portside.compress.retold import retold
from portside.runtimes.onnx_weights import TensorPart, read_tensors
from portside.runtimes.trees import Trees
from portside.sdk.core.package import Package

ROWS = 20_000
"""Unseen rows at most, to shrink and to judge on."""
FIRST = {"forest": 20_000, "boosting": 30_000, "gradient": 2500, "regressor": 2500}
"""Model -> the first row that did not train it."""
COLUMNS = {"forest": ("car_value", "debt_to_income_ratio", "loan_length", "driver_tenure"), "boosting": ("AGEP",)}
"""Models that teach others -> their columns of numbers; the rest are texts."""
Step: TypeAlias = Callable[[Package, ps.Data, PassContext], Package]


@dataclass(frozen=True)
class Subject:
    """A packed ensemble, and rows that it was not trained on, with groups of them."""

    package: Package
    rows: ps.Data


@cache
def subject(name: str) -> Subject:
    """Of the zoo, packed where it is not there: rows behind those that trained it."""
    datasets, pipelines = subjects.import_module("datasets"), subjects.import_module("pipelines")
    if not (subjects.PACKAGES / name).is_dir():
        getattr(pipelines, name)()
    frame, labels = {"forest": datasets.loans, "boosting": datasets.census}.get(name, datasets.houses)()
    if name == "gradient":
        frame = frame.round(1)
    if name == "regressor":
        frame, labels = frame.drop(columns="MedInc"), frame["MedInc"].to_numpy()
    unseen = slice(FIRST[name], FIRST[name] + ROWS)
    columns = pipelines.columns_of(frame.iloc[unseen])
    groups = {"forest": "salary_range", "boosting": "RAC1P"}.get(name, "HouseAge")
    held = np.array(columns[groups]).astype(str) if groups != "HouseAge" else _quarters(columns[groups])
    return Subject(ps.open(subjects.PACKAGES / name), ps.Data(columns, labels[unseen], {groups: held}))


def _quarters(held: Any) -> Any:
    return np.digitize(held, np.quantile(held, [0.25, 0.5, 0.75])).astype(str)


def first_trees(share: float) -> Step:
    """The baseline: the first trees that a share of the nodes holds, nothing fitted; a forest's mean is over these."""

    def run(package: Package, rows: ps.Data, context: PassContext) -> Package:
        trees = trees_of(package)
        assert trees is not None
        held = int((np.cumsum(np.bincount(trees.tree_of)) <= share * len(trees.feature)).sum())
        made = built(thinned(Shape.of(trees), np.arange(max(1, held))))
        stage = next(stage for stage in package.content.stages if stage.kind == "trees")
        return retold(package, {stage.name: TensorPart(made.to_dict(), made.to_tensors())}, {"kind": "first-trees"}, context)

    return run


def unlabelled(step: Any) -> Step:
    """A pass that is not given the labels."""
    return lambda package, rows, context: step.run(package, replace(rows, labels=None), context)


def fewer_numbers(step: Any, package: Package, rows: ps.Data, context: PassContext) -> Package:
    """After the pass, 32 thresholds per column at most, and leaf values in the narrowest form that the rules allow."""
    recipe = ps.Recipe([step, ps.Forest(1.0, thresholds=32, leaves="auto")])
    return ps.compress(package, recipe, rows, out=context.out, seed=context.seed)


def distilled(last: str) -> Step:
    """A single tree, or a small network, taught by the ensemble on the same rows."""

    def run(package: Package, rows: ps.Data, context: PassContext) -> Package:
        estimator: Any = {
            "tree": DecisionTreeClassifier(max_leaf_nodes=128, min_samples_leaf=5, random_state=context.seed),
            "network": MLPClassifier((32,), early_stopping=True, max_iter=100, random_state=context.seed),
        }[last]
        return ps.Distil(Pipeline([("columns", _columns(package.name, rows)), ("model", estimator)])).run(package, rows, context)

    return run


def _columns(name: str, rows: ps.Data) -> Any:
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    rest = [column for column in rows.inputs if column not in COLUMNS[name]]
    return ColumnTransformer([("numbers", numbers, list(COLUMNS[name])), ("texts", texts, rest)])


def trees_of(package: Package) -> Trees | None:
    """The package's ensemble; None where it has none."""
    stage = next((stage for stage in package.content.stages if stage.kind == "trees"), None)
    return None if stage is None else Trees.from_tensors(*read_tensors(package, stage))


def model_bytes(artifact: Path) -> int:
    """Of the files that hold the model; a page's engine is not among them."""
    files = (file for file in (artifact / "engine").rglob("*") if file.is_file() and "ort" not in file.relative_to(artifact).parts)
    return sum(file.stat().st_size for file in files)
