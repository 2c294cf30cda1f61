"""Six scikit-learn pipelines of the zoo, trained on float64 tables with decimals and ties, text and missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from datasets import census, houses, loans, weather
from packing import Entry, folder_for, held_out
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

import portside as ps

NUMBERS = ["car_value", "debt_to_income_ratio", "loan_length", "driver_tenure"]
TEXTS = ["salary_range", "size_of_downpayment"]


def columns_of(frame: pd.DataFrame) -> dict[str, object]:
    """Rows of a frame by column, as a caller would send them."""
    return {name: frame[name].tolist() if frame[name].dtype == object else frame[name].to_numpy() for name in frame.columns}


def _packed(name: str, model: object, frame: pd.DataFrame, y: np.ndarray, train: int, rows: int = 4000) -> Entry:
    package = ps.pack(model, name=name, examples=frame[:512], labels=y[:512], out=folder_for(name))
    test = slice(train, train + rows)
    return package, held_out(columns_of(frame.iloc[test]), y[test])


def logistic() -> Entry:
    """Standard scaler and logistic regression on weather, one array in."""
    x, y = weather()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x[:8000], y[:8000])
    package = ps.pack(model, name="logistic", examples={"x": x[:512]}, labels=y[:512], out=folder_for("logistic"))
    return package, held_out({"x": x[8000:12000]}, y[8000:12000])


def forest() -> Entry:
    """Imputer, scaler and one-hot text in front of a random forest, on loans."""
    frame, y = loans()
    steps = ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
        ("texts", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), TEXTS),
    ])  # fmt: skip
    forest = RandomForestClassifier(100, max_depth=12, n_jobs=2, random_state=0)
    return _packed("forest", Pipeline([("columns", steps), ("forest", forest)]).fit(frame[:20000], y[:20000]), frame, y, 20000)


def boosting() -> Entry:
    """HistGradientBoosting with categorical splits on ordinal codes and missing values, on census answers."""
    frame, y = census()
    texts = list(frame.columns[1:])
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan)
    steps = ColumnTransformer([("texts", encode, texts)], remainder="passthrough")
    columns: Any = list(range(len(texts)))  # type checkers know only the type of scikit-learn's default
    trees = HistGradientBoostingClassifier(max_iter=100, categorical_features=columns, random_state=0)
    return _packed("boosting", Pipeline([("columns", steps), ("trees", trees)]).fit(frame[:30000], y[:30000]), frame, y, 30000)


def gradient() -> Entry:
    """Min-max scaler folded into the thresholds of gradient boosting, on houses with one decimal."""
    frame, y = houses()
    frame = frame.round(1)
    model = make_pipeline(MinMaxScaler(), GradientBoostingClassifier(n_estimators=80, random_state=0))
    return _packed("gradient", model.fit(frame[:2500], y[:2500]), frame, y, 2500, rows=3300)


def perceptron() -> Entry:
    """Scaler, principal components and a multilayer perceptron, on houses."""
    frame, y = houses()
    model = make_pipeline(StandardScaler(), PCA(6), MLPClassifier((32, 16), max_iter=80, random_state=0))
    return _packed("perceptron", model.fit(frame[:2500], y[:2500]), frame, y, 2500, rows=3300)


def regressor() -> Entry:
    """A forest of regression trees for the income of a block, on houses."""
    frame, _ = houses()
    income, rest = frame["MedInc"].to_numpy(), frame.drop(columns="MedInc")
    model = RandomForestRegressor(60, min_samples_leaf=3, n_jobs=2, random_state=0)
    return _packed("regressor", model.fit(rest[:2500], income[:2500]), rest, income, 2500, rows=3300)
