"""A forest teaches what is far smaller than a forest: a single tree and a small network, on every target."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import portside as ps
from portside.compress.distil_estimators import estimator_of
from portside.runtimes.reference import Reference
from portside.sdk.core.errors import InputError


def first(package, x) -> np.ndarray:
    return next(iter(Reference().open(package).predict({"x": x}).values()))


def weight(package) -> int:
    return sum(entry.size for name, entry in package.content.files.items() if name.startswith("program/"))


@pytest.fixture(scope="module")
def forest(cancer, tmp_path_factory):
    x, y = cancer
    model = RandomForestClassifier(50, random_state=0).fit(x[:300], y[:300])
    return ps.pack(model, name="forest", examples={"x": x[:64]}, labels=y[:64], out=tmp_path_factory.mktemp("forest") / "forest")


@pytest.fixture(scope="module", params=["tree", "network"])
def student(request, forest, cancer, tmp_path_factory):
    x, _ = cancer
    model = {
        "tree": DecisionTreeClassifier(max_depth=5, random_state=0),
        "network": make_pipeline(StandardScaler(), MLPClassifier((16,), max_iter=400, random_state=0)),
    }[request.param]
    return ps.compress(forest, ps.Distil(model), ps.Data({"x": x[:400]}), out=tmp_path_factory.mktemp(request.param) / "student")


def test_a_tree_and_a_network_answer_as_the_forest_does_and_are_smaller(student, forest, cancer) -> None:
    x, y = cancer
    assert (first(student, x[400:]) == y[400:]).mean() > 0.9
    assert (first(student, x[400:]) == first(forest, x[400:])).mean() > 0.9
    assert weight(student) < 0.2 * weight(forest)
    assert student.content.parents == (forest.digest,)
    assert student.content.recipe[-1]["kind"] == "distil"


@pytest.mark.parametrize("target", [
    "onnx-cpu", pytest.param("tflite", marks=[pytest.mark.slow, pytest.mark.long]),
    pytest.param("wasm", marks=[pytest.mark.browser, pytest.mark.long]),
])  # fmt: skip
def test_they_run_on_every_target(target: str, student, cancer, tmp_path) -> None:
    x, _ = cancer
    session = ps.load(ps.compile(student, target, out=tmp_path / "artifact").path)
    try:
        answered = session.predict({"x": x[400:]})
    finally:
        session.close()
    truth = Reference().open(student).predict({"x": x[400:]})
    assert np.array_equal(answered["label"], truth["label"])
    np.testing.assert_allclose(answered["probabilities"], truth["probabilities"], atol=1e-5)


@pytest.mark.parametrize("student", [
    DecisionTreeRegressor(max_depth=4, random_state=0),
    MLPRegressor(hidden_layer_sizes=(16,), solver="lbfgs", alpha=1.0, max_iter=2000, random_state=0),
])  # fmt: skip
def test_values_of_a_forest_are_taught_too(student, tmp_path) -> None:
    x, y = load_diabetes(return_X_y=True)
    model = RandomForestRegressor(40, random_state=0).fit(x[:300], y[:300])
    package = ps.pack(model, name="values", examples={"x": x[:64]}, out=tmp_path / "values")
    made = ps.compress(package, ps.Distil(make_pipeline(StandardScaler(), student)), ps.Data({"x": x[:300]}), out=tmp_path / "made")
    assert np.corrcoef(first(package, x[300:]).ravel(), first(made, x[300:]).ravel())[0, 1] > 0.8
    assert weight(made) < 0.2 * weight(package)


def test_labels_count_for_the_rest_of_the_weight(forest, cancer, tmp_path) -> None:
    x, _ = cancer
    wrong = 1 - first(forest, x[:300])
    plan = ps.Distil(DecisionTreeClassifier(random_state=0), weight=0.01)
    made = ps.compress(forest, plan, ps.Data({"x": x[:300]}, labels=wrong), out=tmp_path / "labels")
    assert (first(made, x[:300]) == wrong).mean() > 0.9
    with pytest.raises(InputError, match="none of the teacher's classes"):
        ps.compress(forest, plan, ps.Data({"x": x[:300]}, labels=wrong + 7), out=tmp_path / "none")


def test_estimators_have_names_of_scikit_learn() -> None:
    assert estimator_of("sklearn.neural_network:MLPClassifier", {"hidden_layer_sizes": [8]}).hidden_layer_sizes == [8]
    for word in ("os:system", "sklearn.tree:Nothing", "sklearn.nowhere:Tree", "sklearn.metrics:accuracy_score"):
        with pytest.raises(InputError):
            estimator_of(word, {})
