"""Preprocessing, linear and neural models within 1e-5 of their source; functions around a model; the last resort."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import AdaBoostClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, LinearSVC

from portside.runtimes.importers.dispatch import import_model
from portside.runtimes.importers.program import ImportOptions
from portside.runtimes.importers.sklearn_columns import Assembly, Parts
from portside.runtimes.importers.sklearn_inputs import Text, table_of
from portside.runtimes.importers.sklearn_preprocess import transform
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.errors import InputError, UnsupportedError

RNG = np.random.default_rng(0)
X = np.round(RNG.normal(size=(400, 5)) * [1, 10, 0.1, 3, 1] + [0, 1000, 0, -3, 50], 2)
CLASS = (X[:, 0] + X[:, 3] / 3 > -1).astype(int) + (X[:, 1] > 1010)


def features(transformer, x, fitted_on=X):
    """What the lowered transformer makes of rows."""
    parts = Parts()
    table = table_of(transformer, torch.from_numpy(fitted_on), Text({}, {}, np.nan))
    assembly = Assembly(transform(transformer, table.start(), parts), parts)
    return assembly(torch.from_numpy(x.astype(np.float32))).numpy()


@pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(), StandardScaler(with_mean=False), MinMaxScaler((-1, 2), clip=True), RobustScaler(), MaxAbsScaler(),
        Normalizer("l1"), Normalizer(),
        make_pipeline(MinMaxScaler(), FunctionTransformer(np.log1p)), make_pipeline(StandardScaler(), PCA(3, whiten=True)),
        make_pipeline(StandardScaler(), TruncatedSVD(2)), FeatureUnion([("a", StandardScaler()), ("b", "passthrough"), ("c", PCA(2))]),
        make_pipeline(RobustScaler(), MinMaxScaler(clip=True), StandardScaler()),
        ColumnTransformer([("a", StandardScaler(), [3, 0]), ("b", "drop", [1]), ("c", "passthrough", [4])], remainder=MinMaxScaler()),
    ],
    ids=lambda held: type(held).__name__,
)  # fmt: skip
def test_transformers_of_numbers(transformer):
    expected = transformer.fit(X).transform(X.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(features(transformer, X), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "imputer",
    [
        SimpleImputer(), SimpleImputer(strategy="most_frequent", add_indicator=True), SimpleImputer(strategy="constant", fill_value=-7.5),
        make_pipeline(StandardScaler(), SimpleImputer(strategy="median"), MinMaxScaler()), SimpleImputer(keep_empty_features=True),
    ],
    ids=range(5),
)  # fmt: skip
def test_imputers(imputer):
    x = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
    x[:, 2] = np.nan
    np.testing.assert_allclose(features(imputer.fit(x), x), imputer.transform(x), rtol=1e-5, atol=1e-5)


def test_a_number_that_stands_for_missing():
    x = np.where(RNG.random(X.shape) < 0.2, -999, X)
    imputer = SimpleImputer(missing_values=-999, add_indicator=True).fit(x)
    np.testing.assert_allclose(features(imputer, x), imputer.transform(x), rtol=1e-6)


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"), OneHotEncoder(drop="first", handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=4, sparse_output=False), TargetEncoder(random_state=0),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-5, encoded_missing_value=-9),
        make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"), StandardScaler(with_mean=False)),
    ],
    ids=range(6),
)  # fmt: skip
def test_encoders_of_numbers_with_unknown_and_missing_ones(encoder):
    x = RNG.integers(0, 12, (400, 3)) / 10
    x[RNG.random(x.shape) < 0.1] = np.nan
    test = np.where(RNG.random(x.shape) < 0.1, 55.5, x)
    expected = encoder.fit(x, CLASS == 0).transform(test)
    expected = expected.toarray() if hasattr(expected, "toarray") else expected
    np.testing.assert_allclose(features(encoder, test, x), expected, rtol=1e-5, atol=1e-6)


MODELS = {
    "linear": LinearRegression(), "net": ElasticNet(0.1), "logistic": LogisticRegression(max_iter=500), "ridge": RidgeClassifier(),
    "log loss": SGDClassifier(loss="log_loss", random_state=0), "hinge": SGDClassifier(random_state=0), "svc": LinearSVC(),
    "huber": SGDClassifier(loss="modified_huber", random_state=0), "mlp": MLPClassifier((8, 8), max_iter=30, random_state=0),
    "mlp tanh": MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", max_iter=30, random_state=0),
}  # fmt: skip
LABELS = {"two": (CLASS > 0).astype(int), "three": CLASS, "odd": CLASS * 5 - 7, "bool": CLASS > 0}
LABELS["text"] = np.array(["no", "yes", "maybe"])[CLASS]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "labels"),
    [("linear", "two"), ("net", "two"), ("logistic", "two"), ("logistic", "text"), ("ridge", "three"), ("log loss", "odd"),
     ("hinge", "bool"), ("svc", "three"), ("huber", "three"), ("mlp", "two"), ("mlp", "three"), ("mlp tanh", "two")],
)  # fmt: skip
def test_models(name, labels, run_program):
    model = make_pipeline(StandardScaler(), MODELS[name]).fit(X, LABELS[labels])
    program = import_model(model, ImportOptions(examples={"x": X[:32]}))
    narrowed = X.astype(np.float32).astype(np.float64)
    got, source = run_program(program, {"x": X}), program.source({"x": narrowed})
    for spec in program.signature.outputs:
        if spec.dtype == "f32":
            scale = max(1.0, np.abs(source[spec.name]).max())
            np.testing.assert_allclose(got[spec.name], source[spec.name], rtol=1e-5, atol=1e-5 * scale)
    if "label" in got:
        names = program.signature.output("label").categories
        label = np.array(names)[got["label"]] if names else got["label"]
        assert np.mean(label == model.predict(narrowed)) > 0.99 and (names is not None) == (labels == "text")
    single = [run_program(program, {"x": row[None]}) for row in X[:3]]
    for output in got:
        np.testing.assert_allclose(np.concatenate([answer[output] for answer in single]), got[output][:3], rtol=1e-5, atol=1e-6)


def table():
    rng = np.random.default_rng(3)
    colour = rng.choice(["red", "green", "blue"], 400).astype(object)
    colour[::9] = np.nan
    return pd.DataFrame({"cell type": colour, "age": np.where(rng.random(400) < 0.1, np.nan, rng.integers(18, 90, 400)), "class": X[:, 0]})


def test_a_table_of_text_and_numbers(run_program):
    frame = table()
    steps = ColumnTransformer([
        ("text", make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder()), ["cell type"]),
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "class"]),
    ])  # fmt: skip
    model = make_pipeline(steps, LogisticRegression()).fit(frame, CLASS > 0)
    examples = {name: frame[name].tolist() if name == "cell type" else frame[name].to_numpy() for name in frame}
    program = import_model(model, ImportOptions(examples=examples))
    assert [spec.name for spec in program.signature.inputs] == ["cell type", "age", "class"]
    text = program.signature.input("cell type")
    assert (text.dtype, text.missing, text.on_unknown) == ("i32", True, "reject")
    assert (program.signature.input("age").missing, program.signature.output("label").dtype) == (True, "bool")
    typed = Codec.from_steps(program.codec, lambda path: program.files[path]).encode(examples)
    got = run_program(program, typed)
    np.testing.assert_allclose(got["probabilities"], model.predict_proba(frame), atol=1e-5)
    np.testing.assert_allclose(program.source(typed)["probabilities"], model.predict_proba(frame), atol=1e-6)


def test_functions_around_a_forest_are_traced_with_its_trees_between(run_program):
    model = make_pipeline(StandardScaler(), RandomForestClassifier(10, random_state=0)).fit(X * 2, CLASS)

    def featurize(left, right):
        return torch.cat([left, right], 1) * 2

    def predict(model, features):
        chances = model.predict_proba(features)
        return {"certain": chances.amax(1) > 0.8, "class": model.predict(features), "chance": chances[:, 1]}

    inputs = {"left": X[:, :2], "right": X[:, 2:]}
    program = import_model(model, ImportOptions(examples=inputs, featurize=featurize, predict=predict))
    assert [stage.kind for stage in program.stages] == ["graph", "trees", "graph"]
    assert set(program.boundaries) == {"features", "model"}
    got, expected = run_program(program, inputs), model.predict_proba(X * 2)
    np.testing.assert_allclose(got["chance"], expected[:, 1], atol=1e-5)
    np.testing.assert_array_equal(got["class"], expected.argmax(1))
    np.testing.assert_array_equal(program.source(inputs)["certain"], got["certain"])


def test_predict_alone_and_features_by_name(run_program):
    frame = pd.DataFrame(X[:, :3], columns=["a", "b", "c"])
    model = HistGradientBoostingRegressor(max_iter=10).fit(frame, X[:, 0])
    inputs = {name: frame[name].to_numpy() for name in frame}
    program = import_model(model, ImportOptions(examples=inputs, predict=lambda model, held: {"y": model.predict(held) + 1}))
    np.testing.assert_allclose(run_program(program, inputs)["y"], model.predict(frame) + 1, atol=1e-5)


def test_one_target_in_a_column_of_its_own_is_one_value_per_row(run_program):
    model = LinearRegression().fit(X, X[:, :1] * 3)
    program = import_model(model, ImportOptions(examples={"x": X[:32]}))
    np.testing.assert_allclose(run_program(program, {"x": X})["value"], model.predict(X)[:, 0], atol=1e-3)


def test_a_transformer_alone(run_program):
    model = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    program = import_model(model, ImportOptions(examples={"x": X[:32]}))
    np.testing.assert_allclose(run_program(program, {"x": X})["features"], model.transform(X), atol=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("labels", ["two", "text"])
def test_the_last_resort_says_so(labels, run_program):
    model = make_pipeline(PolynomialFeatures(2), StandardScaler(), SVC()).fit(X, LABELS[labels])
    program = import_model(model, ImportOptions(examples={"x": X[:32].astype(np.float32)}))
    assert {stage.only for stage in program.stages} == {("onnx-cpu",)}
    assert len(program.notes) == 2 and "PolynomialFeatures" in program.notes[0] and "skl2onnx" in program.notes[0]
    got = run_program(program, {"x": X.astype(np.float32)})
    source = program.source({"x": X.astype(np.float32)})
    assert np.mean(got["label"] == source["label"]) > 0.98


def test_trees_never_take_the_last_resort():
    model = AdaBoostClassifier(n_estimators=3).fit(X, CLASS)
    with pytest.raises(UnsupportedError, match="AdaBoostClassifier is made of trees"):
        import_model(model, ImportOptions(examples={"x": X[:32]}))


def test_examples_that_do_not_fit_are_refused_by_name():
    model = LinearRegression().fit(X, X[:, 0])
    with pytest.raises(InputError, match="another number of columns"):
        import_model(model, ImportOptions(examples={"x": X[:, :3]}))
    framed = LinearRegression().fit(pd.DataFrame(X[:, :2], columns=["a", "b"]), X[:, 0])
    with pytest.raises(InputError, match="lack"):
        import_model(framed, ImportOptions(examples={"a": X[:, 0], "c": X[:, 1]}))
