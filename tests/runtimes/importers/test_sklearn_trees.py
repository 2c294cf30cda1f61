"""Tree ensembles take the path of their source on its native dtype: decimals, ties, missing values, folded preprocessing."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
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
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier

from portside.runtimes.importers.dispatch import import_model
from portside.runtimes.importers.opaque import Opaques
from portside.runtimes.importers.program import ImportOptions
from portside.runtimes.importers.sklearn_fallback import Fallback
from portside.runtimes.importers.sklearn_inputs import Text, table_of
from portside.runtimes.importers.sklearn_model import lower
from portside.runtimes.importers.sklearn_table import typical
from portside.sdk.core.errors import UnsupportedError


def gridded(rows, columns=5, seed=0, missing=0.0, dtype=np.float64):
    """One-decimal numbers with many ties, and NaN."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-60, 60, (rows, columns)) / 10
    x[rng.random(x.shape) < missing] = np.nan
    return x.astype(dtype)


def truth(x, classes=2):
    score = np.nan_to_num(x[:, 0]) + np.nan_to_num(x[:, 1]) * np.nan_to_num(x[:, 2]) / 3
    return np.digitize(score, np.quantile(score, np.arange(1, classes) / classes)) if classes else score


def scores(model, x):
    """What the lowered model says of rows, and what the source says."""
    tensor = torch.from_numpy(x)
    table = table_of(model, tensor, Text({}, {}, np.nan))
    lowered = lower(model, table, typical(table, x.astype(np.float64)), Fallback(Opaques()))
    head = lowered.head
    raw = torch.from_numpy(x.astype(np.float32))
    score = torch.from_numpy(head.score.trees.evaluate(lowered.assembly(raw).numpy()))
    method = "predict_proba" if head.classes is not None else "predict"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = getattr(model, method)(x)
    return head.answer(method, score).numpy(), expected


def off(model, x):
    """Rows on which the two differ by more than adding up leaves in float32 explains."""
    got, expected = scores(model, x)
    difference = np.abs(got - expected).reshape(len(x), -1).max(1)
    return int((difference > 1e-6 * max(1.0, float(np.abs(expected).max()))).sum())


MODELS = {
    "tree": lambda: DecisionTreeClassifier(max_depth=9, random_state=0),
    "tree regressor": lambda: DecisionTreeRegressor(random_state=0),
    "extra tree": lambda: ExtraTreeClassifier(max_depth=9, random_state=0),
    "forest": lambda: RandomForestClassifier(8, random_state=0),
    "forest regressor": lambda: RandomForestRegressor(8, random_state=0),
    "extra trees": lambda: ExtraTreesClassifier(8, random_state=0),
    "extra trees regressor": lambda: ExtraTreesRegressor(8, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=12, random_state=0),
    "boosting exponential": lambda: GradientBoostingClassifier(n_estimators=12, loss="exponential", random_state=0),
    "boosting regressor": lambda: GradientBoostingRegressor(n_estimators=12, random_state=0),
    "boosting quantile": lambda: GradientBoostingRegressor(n_estimators=15, loss="quantile", init="zero", random_state=0),
    "histogram": lambda: HistGradientBoostingClassifier(max_iter=12, random_state=0),
    "histogram regressor": lambda: HistGradientBoostingRegressor(max_iter=12, random_state=0),
}
SCALERS = {
    "": lambda: (),
    "standard": lambda: (StandardScaler(),),
    "minmax": lambda: (MinMaxScaler(clip=True),),
    "robust": lambda: (SimpleImputer(strategy="median"), RobustScaler()),
    "maxabs": lambda: (MaxAbsScaler(), StandardScaler(with_std=False)),
}


@pytest.mark.parametrize(
    ("scaler", "dtype"), [*((scaler, np.float64) for scaler in SCALERS), ("", np.float32), ("standard", np.float32)]
)
@pytest.mark.parametrize("name", MODELS)
def test_no_row_leaves_its_path_on_a_grid_with_ties(name, scaler, dtype):
    model = make_pipeline(*SCALERS[scaler](), MODELS[name]())
    x = gridded(250, seed=1, dtype=dtype)
    model.fit(x, truth(x, 0 if "regressor" in name or "quantile" in name else 2))
    assert off(model, gridded(1200, seed=2, dtype=dtype)) == 0


@pytest.mark.parametrize("name", ["tree", "forest", "extra trees", "histogram"])
@pytest.mark.parametrize("steps", [(), (StandardScaler(),), (SimpleImputer(add_indicator=True),), (SimpleImputer(), MinMaxScaler())])
def test_missing_values_take_the_source_s_side(name, steps):
    model = make_pipeline(*steps, MODELS[name]())
    x = gridded(500, seed=3, missing=0.15)
    model.fit(x, truth(x, 3))
    assert off(model, gridded(2000, seed=4, missing=0.3)) == 0


@pytest.mark.parametrize("name", ["tree", "forest", "extra trees", "boosting", "histogram"])
def test_several_classes(name):
    x = gridded(500, seed=5)
    model = MODELS[name]().fit(x, truth(x, 4))
    assert off(model, gridded(2000, seed=6)) == 0


def test_infinities_go_where_histogram_boosting_sends_them():
    x = gridded(500, seed=7, missing=0.1)
    x[::9, 1], x[::11, 2] = np.inf, -np.inf
    model = HistGradientBoostingClassifier(max_iter=20).fit(x, truth(np.clip(x, -6, 6)))
    test = gridded(1000, seed=8, missing=0.1)
    test[::5, 1], test[::7, 0], test[::3, 3] = np.inf, -np.inf, np.inf
    assert off(model, test) == 0


def test_numbers_of_every_scale_keep_their_side():
    rng = np.random.default_rng(9)
    x = rng.integers(-60, 60, (600, 4)) / 10 * np.array([1e-6, 1.0, 1e4, 1e7])
    y = (x[:, 0] * 1e6 + x[:, 2] / 1e4 + x[:, 3] / 1e7 > 0).astype(int)
    test = rng.integers(-60, 60, (2000, 4)) / 10 * np.array([1e-6, 1.0, 1e4, 1e7])
    for model in (RandomForestClassifier(10, random_state=0), HistGradientBoostingClassifier(max_iter=20)):
        assert off(make_pipeline(StandardScaler(), model).fit(x, y), test) == 0
        assert off(model.fit(x, y), test) == 0


@given(seed=st.integers(0, 2**31), decimals=st.integers(0, 3), scaled=st.booleans(), histogram=st.booleans())
@settings(max_examples=15, deadline=None)
def test_decimals_fall_as_in_the_source(seed, decimals, scaled, histogram):
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(200, 3)) * rng.choice([0.1, 1, 100]), decimals)
    model = HistGradientBoostingRegressor(max_iter=8) if histogram else RandomForestRegressor(5, random_state=0)
    model = make_pipeline(*([StandardScaler()] if scaled else []), model).fit(x, x.sum(1))
    assert off(model, np.round(rng.normal(size=(500, 3)), decimals)) == 0


def categories(rows, seed, extra=0):
    """A numeric matrix whose first two columns are categories; `extra` codes beyond those of training."""
    rng = np.random.default_rng(seed)
    x = gridded(rows, seed=seed, missing=0.1)
    x[:, 0] = rng.integers(0, 12 + extra, rows) * 3
    x[:, 1] = rng.integers(0, 40 + extra, rows)
    x[rng.random(rows) < 0.1, 0] = np.nan
    return x


def test_category_splits_of_a_matrix_with_unknown_and_missing_ones():
    x = categories(800, 10)
    y = ((np.nan_to_num(x[:, 0]) // 3 % 3 == 1) ^ (x[:, 1] % 7 < 3)).astype(int)
    model = HistGradientBoostingClassifier(max_iter=20, categorical_features=[0, 1], random_state=0).fit(x, y)
    assert any(tree[0].nodes["is_categorical"].any() for tree in model._predictors)
    assert off(model, categories(2000, 11, extra=5)) == 0


def loans(rows, seed, unknown=False):
    rng = np.random.default_rng(seed)
    colour = rng.choice(["red", "green", "blue", "deep blue", *(["never seen"] if unknown else [])], rows).astype(object)
    size = rng.choice(["S", "M", "L"], rows).astype(object)
    size[rng.random(rows) < 0.15] = np.nan
    price = rng.integers(0, 500, rows) / 10
    price[rng.random(rows) < 0.1] = np.nan
    return pd.DataFrame({"unit price": price, "colour": colour, "class": size, "count": rng.integers(0, 9, rows)})


def answer(frame):
    return np.where((frame["colour"] == "red") ^ (frame["class"] == "M"), "yes", "no")


def columns(frame):
    return {name: frame[name].tolist() if name in ("colour", "class") else frame[name].to_numpy() for name in frame.columns}


TEXTS = ["colour", "class"]
TABLES = {
    "one-hot forest": lambda: make_pipeline(
        ColumnTransformer([
            ("numbers", make_pipeline(SimpleImputer(strategy="mean"), StandardScaler()), ["unit price", "count"]),
            ("texts", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), TEXTS),
        ]),
        RandomForestClassifier(20, random_state=0),
    ),
    "ordinal histogram": lambda: make_pipeline(
        ColumnTransformer(
            [("texts", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), TEXTS)], remainder="passthrough"
        ),
        HistGradientBoostingClassifier(max_iter=20, categorical_features=[0, 1], random_state=0),
    ),
    "histogram on text": lambda: HistGradientBoostingClassifier(max_iter=20, categorical_features=TEXTS, random_state=0),
    "infrequent boosting": lambda: make_pipeline(
        ColumnTransformer([
            ("texts", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=130, sparse_output=False), TEXTS),
            ("count", "passthrough", [3]),
        ]),
        GradientBoostingClassifier(n_estimators=20, random_state=0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_tables_with_text_missing_and_unknown_values(name, run_program):
    train, test = loans(600, 1), loans(1500, 2, unknown=True)
    model = TABLES[name]().fit(train, answer(train))
    program = import_model(model, ImportOptions(examples=columns(train[:64])))
    assert [stage.kind for stage in program.stages] == ["graph", "trees", "graph"]
    specs = {spec.name: spec for spec in program.signature.inputs}
    assert list(specs) == ["unit price", "colour", "class", "count"]
    assert specs["colour"].dtype == "i32" and set(specs["colour"].categories) == {"blue", "deep blue", "green", "red"}
    assert specs["class"].missing and specs["colour"].on_unknown == "flag"
    assert program.signature.output("label").categories == ("no", "yes")
    typed = typed_rows(program, test)
    got, source = run_program(program, typed), program.source(typed)
    expected = model.predict_proba(test)
    np.testing.assert_allclose(source["probabilities"], expected, atol=1e-6)
    np.testing.assert_allclose(got["probabilities"], expected, atol=1e-5)
    np.testing.assert_array_equal(got["label"], source["label"])
    np.testing.assert_array_equal(np.array(["no", "yes"])[got["label"]], model.predict(test))


def typed_rows(program, frame):
    """A DataFrame as typed tensors, by the program's own codec."""
    from portside.sdk.core.codec.codec import Codec

    return Codec.from_steps(program.codec, lambda path: program.files[path]).encode(columns(frame))


def test_a_scaler_in_front_of_trees_leaves_no_graph_behind(run_program):
    x = gridded(500, seed=12)
    model = make_pipeline(StandardScaler(), RandomForestRegressor(10, random_state=0)).fit(x, truth(x, 0))
    program = import_model(model, ImportOptions(examples={"x": x[:32]}))
    assert (program.stages[0].kind, program.stages[0].inputs) == ("trees", ("x",))
    test = gridded(1000, seed=13)
    got = run_program(program, {"x": test})["value"]
    np.testing.assert_allclose(got, model.predict(test), atol=1e-5)
    np.testing.assert_array_equal(np.concatenate([run_program(program, {"x": row[None]})["value"] for row in test[:5]]), got[:5])


def test_several_targets(run_program):
    x = gridded(300, seed=14)
    model = RandomForestRegressor(5, random_state=0).fit(x, np.stack([x[:, 0], x[:, 1] * 2, x[:, 2]], 1))
    program = import_model(model, ImportOptions(examples={"x": x[:32]}))
    np.testing.assert_allclose(run_program(program, {"x": x})["value"], model.predict(x), atol=1e-5)


def test_an_init_estimator_is_refused_by_name():
    x = gridded(100, seed=15)
    model = GradientBoostingRegressor(n_estimators=3, init=DecisionTreeRegressor()).fit(x, x[:, 0])
    with pytest.raises(UnsupportedError, match="init estimator"):
        import_model(model, ImportOptions(examples={"x": x[:32]}))
