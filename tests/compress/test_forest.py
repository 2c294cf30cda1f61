"""The forest pass on packages: pipelines in front, every kind of ensemble, contracts of its own, artifacts that shrink."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import portside as ps
from portside.runtimes.onnx_weights import read_tensors
from portside.runtimes.reference import Reference
from portside.runtimes.subjects import contract_of
from portside.runtimes.trees import Trees
from portside.sdk.core.errors import InputError, UnsupportedError


def packed(model, folder: Path, x, y, name: str = "model"):
    return ps.pack(model, name=name, examples={"x": x[:64]}, labels=y[:64], out=folder)


def trees_of(package) -> Trees:
    return Trees.from_tensors(*read_tensors(package, next(stage for stage in package.content.stages if stage.kind == "trees")))


def answers(package, x) -> dict[str, np.ndarray]:
    return Reference().open(package).predict({"x": x})


@pytest.fixture(scope="module")
def forest(cancer, tmp_path_factory):
    x, y = cancer
    model = make_pipeline(StandardScaler(), RandomForestClassifier(40, random_state=0)).fit(x[:350], y[:350])
    return packed(model, tmp_path_factory.mktemp("forest") / "forest", x, y, "forest")


def test_a_whole_ratio_leaves_every_answer_bit_for_bit(forest, cancer, tmp_path) -> None:
    x, y = cancer
    made = ps.compress(forest, ps.Forest(ratio=1.0), ps.Data({"x": x[350:]}, labels=y[350:]), out=tmp_path / "same")
    for name, held in answers(forest, x).items():
        assert np.array_equal(held, answers(made, x)[name])
    assert made.content.recipe[-1]["kind"] == "forest"
    assert made.content.parents == (forest.digest,)


def test_a_fifth_of_the_nodes_keeps_nearly_all_answers(forest, cancer, tmp_path) -> None:
    x, _ = cancer
    made = ps.compress(forest, ps.Forest(ratio=0.2), ps.Data({"x": x[:350]}), out=tmp_path / "small")
    before, after = trees_of(forest), trees_of(made)
    assert len(after.feature) <= 0.2 * len(before.feature)
    assert len(after.roots) < len(before.roots)
    same = answers(forest, x[350:])["label"] == answers(made, x[350:])["label"]
    assert same.mean() > 0.95
    assert ps.verify(made, targets=["onnx-cpu"])  # against the contract that was rebuilt
    assert ps.open(tmp_path / "small").digest == made.digest


def test_the_contract_is_that_of_the_new_trees(forest, cancer, tmp_path) -> None:
    x, _ = cancer
    made = ps.compress(forest, ps.Forest(ratio=0.05), ps.Data({"x": x[:350]}), out=tmp_path / "small")
    case = contract_of(made).cases[0]
    session = Reference().open(made)
    given = {name: held.astype(np.float64) for name, held in case.inputs.items()}
    for name, held in session.run(given).items():
        assert np.array_equal(held, case.outputs[name])
    old = contract_of(forest).cases[0].outputs["probabilities"]
    assert not np.array_equal(case.outputs["probabilities"], old[: len(case.outputs["probabilities"])])


@pytest.mark.parametrize("model", [
    HistGradientBoostingClassifier(max_iter=30, random_state=0), GradientBoostingClassifier(n_estimators=30, random_state=0),
    GradientBoostingClassifier(n_estimators=30, loss="exponential", random_state=0), RandomForestClassifier(20, random_state=0),
])  # fmt: skip
def test_every_classifier_of_two_classes_with_labels(model, cancer, tmp_path) -> None:
    x, y = cancer
    package = packed(model.fit(x[:350], y[:350]), tmp_path / "whole", x, y)
    data = ps.Data({"x": x[350:450]}, labels=y[350:450])
    made = ps.compress(package, ps.Forest(ratio=0.3, labels=0.3), data, out=tmp_path / "small")
    assert len(trees_of(made).feature) <= 0.3 * len(trees_of(package).feature)
    assert (answers(made, x[450:])["label"] == y[450:]).mean() > (answers(package, x[450:])["label"] == y[450:]).mean() - 0.05


@pytest.mark.parametrize("model", [
    RandomForestClassifier(20, random_state=0), GradientBoostingClassifier(n_estimators=15, random_state=0),
    HistGradientBoostingClassifier(max_iter=15, random_state=0),
])  # fmt: skip
def test_three_classes_that_are_names(model, tmp_path) -> None:
    x, codes = load_wine(return_X_y=True)
    y = np.array(["barolo", "grignolino", "barbera"])[codes]
    order = np.random.default_rng(0).permutation(len(y))
    x, y = x[order], y[order]
    package = packed(model.fit(x[:100], y[:100]), tmp_path / "whole", x, y)
    made = ps.compress(package, ps.Forest(ratio=0.4, labels=0.2), ps.Data({"x": x[:100]}, labels=y[:100]), out=tmp_path / "small")
    assert (answers(made, x[100:])["label"] == y[100:]).mean() > 0.85
    with pytest.raises(InputError, match="none of the classes"):
        ps.compress(package, ps.Forest(labels=0.2), ps.Data({"x": x[:4]}, labels=["rioja"] * 4), out=tmp_path / "none")


@pytest.mark.parametrize("model", [
    ExtraTreesRegressor(20, random_state=0), HistGradientBoostingRegressor(max_iter=30, loss="poisson", random_state=0),
])  # fmt: skip
def test_regression(model, tmp_path) -> None:
    x, y = load_diabetes(return_X_y=True)
    package = packed(model.fit(x[:300], y[:300]), tmp_path / "whole", x, y)
    made = ps.compress(package, ps.Forest(ratio=0.3, labels=0.1), ps.Data({"x": x[:300]}, labels=y[:300]), out=tmp_path / "small")
    one, other = (next(iter(answers(held, x[300:]).values())) for held in (package, made))
    assert np.corrcoef(one, other)[0, 1] > 0.9
    assert abs(other - one).mean() < 0.35 * one.std()
    with pytest.raises(InputError, match="no numbers"):
        ps.compress(package, ps.Forest(), ps.Data({"x": x[:300]}, labels=np.where(y[:300] > 100, np.nan, y[:300])), out=tmp_path / "none")


def test_labels_choose_but_are_not_fitted_to(forest, cancer, tmp_path) -> None:
    x, y = cancer
    plan, rows = ps.Forest(ratio=0.2), {"x": x[350:]}
    wrong = ps.compress(forest, plan, ps.Data(rows, labels=1 - y[350:]), out=tmp_path / "wrong")
    assert (answers(wrong, x[350:])["label"] == y[350:]).mean() > 0.9  # a bad choice of trees, and trees for all that
    made = ps.compress(forest, plan, ps.Data(rows, labels=y[350:]), out=tmp_path / "made")
    one, other = (((answers(held, x[350:])["probabilities"][:, 1] - y[350:]) ** 2).mean() for held in (made, wrong))
    assert one < other
    with pytest.raises(InputError, match="none of the classes"):
        ps.compress(forest, plan, ps.Data(rows, labels=y[350:] + 5), out=tmp_path / "none")


def test_missing_values_and_categories_are_kept(tmp_path) -> None:
    random = np.random.default_rng(0)
    x = np.stack([random.integers(0, 8, 900), *random.normal(size=(2, 900))], 1).astype(float)
    y = ((np.isin(x[:, 0], [1, 4, 6]) ^ (x[:, 1] > 0.3)) | (random.random(900) < 0.05)).astype(int)
    x[random.random(x.shape) < 0.1] = np.nan
    model = HistGradientBoostingClassifier(max_iter=40, categorical_features=[0], random_state=0).fit(x[:600], y[:600])
    package = packed(model, tmp_path / "whole", x, y)
    made = ps.compress(package, ps.Forest(ratio=0.3), ps.Data({"x": x[:600]}), out=tmp_path / "small")
    small = trees_of(made)
    assert (small.bitset >= 0).any()
    assert len(np.unique(small.bitset[small.bitset >= 0])) == len(small.bitsets)
    missing = np.isnan(x[600:]).any(axis=1)
    same = answers(package, x[600:])["label"] == answers(made, x[600:])["label"]
    assert same[missing].mean() > 0.9


def test_thresholds_and_leaves(forest, cancer, tmp_path) -> None:
    x, _ = cancer
    data = ps.Data({"x": x[:350]})
    exact = ps.compress(forest, ps.Forest(ratio=1.0, thresholds="exact"), data, out=tmp_path / "exact")
    for name, held in answers(forest, x[:350]).items():
        assert np.array_equal(held, answers(exact, x[:350])[name])
    assert len(np.unique(trees_of(exact).threshold)) < len(np.unique(trees_of(forest).threshold))
    few = ps.compress(forest, ps.Forest(ratio=0.3, thresholds=4, leaves="auto"), data, out=tmp_path / "few")
    held = trees_of(few)
    inner = held.feature >= 0
    assert all(len(np.unique(held.threshold[inner & (held.feature == column)])) <= 4 for column in range(held.columns))
    assert len(held.values) <= 256
    assert (answers(few, x[350:])["label"] == answers(forest, x[350:])["label"]).mean() > 0.9


def test_a_rule_can_forbid_a_form_of_leaves(cancer, tmp_path) -> None:
    x, y = cancer
    model = RandomForestClassifier(3, random_state=0).fit(x[:350], y[:350])
    package = ps.pack(model, name="strict", examples={"x": x[:64]}, tolerances={"probabilities": {"p99": 1e-6}}, out=tmp_path / "whole")
    data = ps.Data({"x": x[:350]})
    made = ps.compress(package, ps.Forest(ratio=0.5, leaves="auto", trees=2), data, out=tmp_path / "auto")
    assert len(trees_of(made).values) > 0
    with pytest.raises(UnsupportedError, match="probabilities"):
        ps.compress(package, ps.Forest(ratio=0.5, leaves="int8", trees=2), data, out=tmp_path / "int8")


def test_what_it_cannot_do_is_said(cancer, forest, tmp_path) -> None:
    x, y = cancer
    linear = packed(make_pipeline(StandardScaler(), LogisticRegression()).fit(x[:350], y[:350]), tmp_path / "linear", x, y)
    with pytest.raises(UnsupportedError, match="no ensembles"):
        ps.compress(linear, ps.Forest(), ps.Data({"x": x}), out=tmp_path / "none")
    with pytest.raises(InputError, match="no rows"):
        ps.compress(forest, ps.Forest(), ps.Data({"x": x[:0]}), out=tmp_path / "none")
    with pytest.raises(InputError, match="fewer trees"):
        ps.compress(forest, ps.Forest(trees=99), ps.Data({"x": x}), out=tmp_path / "none")
    for wrong in ({"ratio": 0.0}, {"ratio": 2}, {"trees": 0}, {"thresholds": "few"}, {"thresholds": 0}, {"leaves": "int4"}, {"labels": 2}):
        with pytest.raises(InputError, match="means nothing"):
            ps.Recipe.from_dict({"pass": [{"kind": "forest", **wrong}]})
    with pytest.raises(InputError, match="no such option"):
        ps.Recipe.from_dict({"pass": [{"kind": "forest", "depth": 3}]})


def test_a_recipe_keeps_it_and_what_it_made_can_be_shrunk_again(forest, cancer, tmp_path) -> None:
    x, _ = cancer
    (tmp_path / "recipe.toml").write_text('[[pass]]\nkind = "forest"\nratio = 0.5\nthresholds = "exact"\nleaves = "auto"\n')
    recipe = ps.Recipe.from_file(tmp_path / "recipe.toml")
    assert json.loads(json.dumps(recipe.to_dict())) == ps.Recipe.from_dict(recipe.to_dict()).to_dict()
    once = ps.compress(forest, recipe, ps.Data({"x": x[:350]}), out=tmp_path / "once")
    again = ps.compress(once, ps.Forest(ratio=0.5), ps.Data({"x": x[:350]}), out=tmp_path / "again")
    assert len(trees_of(again).feature) <= 0.5 * len(trees_of(once).feature) <= 0.25 * len(trees_of(forest).feature)
    assert [step["kind"] for step in again.content.recipe] == ["forest", "forest"]
    assert len(again.content.parents) == 2


def test_the_same_seed_makes_the_same_trees(forest, cancer, tmp_path) -> None:
    x, _ = cancer
    made = [ps.compress(forest, ps.Forest(0.2), ps.Data({"x": x[:350]}), out=tmp_path / f"{run}", seed=4) for run in range(2)]
    assert made[0].digest == made[1].digest


@pytest.mark.parametrize("target", [
    "onnx-cpu", pytest.param("tflite", marks=pytest.mark.slow), pytest.param("wasm", marks=pytest.mark.browser),
])  # fmt: skip
def test_files_shrink_and_answer_as_the_package_does(target: str, forest, cancer, tmp_path) -> None:
    x, y = cancer
    small = ps.compress(forest, ps.Forest(0.2), ps.Data({"x": x[:350]}, labels=y[:350]), out=tmp_path / "small")
    made = [ps.compile(package, target, out=tmp_path / f"{target}{number}").path for number, package in enumerate((forest, small))]
    files = [[file for file in (path / "engine").glob("*") if file.is_file()] for path in made]  # beside the engine of a page
    sizes = [sum(file.stat().st_size for file in held) for held in files]
    assert 0 < sizes[1] < 0.4 * sizes[0]
    session = ps.load(made[1])
    try:
        answered = session.predict({"x": x[350:]})
    finally:
        session.close()
    truth = answers(small, x[350:])
    assert np.array_equal(answered["label"], truth["label"])
    np.testing.assert_allclose(answered["probabilities"], truth["probabilities"], atol=1e-5)
