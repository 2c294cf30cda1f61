"""Rows that lie on a tree's threshold are fragile where featurize computes the feature, and firm where it only moves it."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

import portside as ps

RNG = np.random.default_rng(0)


def predict(model, features):
    probability = model.predict_proba(features)[:, 1]
    return {"label": probability > 0.5, "probability": probability}


def computed(x):
    return x @ x.new_ones((6, 6)).tril() / 7


def moved(x):
    return x.flip(1)


def packed(featurize, tmp_path):
    x = RNG.normal(size=(300, 6)).astype(np.float32)

    features = featurize(torch.from_numpy(x)).numpy()
    y = (features[:, 0] + 0.3 * features[:, 3] > 0).astype(int)
    trees = HistGradientBoostingClassifier(max_iter=30, random_state=0).fit(features, y)
    return ps.pack(trees, name="trees", featurize=featurize, predict=predict, examples={"x": x}, out=tmp_path / "trees")


@pytest.fixture(scope="module")
def contract_of(tmp_path_factory):
    def build(featurize):
        package = packed(featurize, tmp_path_factory.mktemp(featurize.__name__))
        assert ps.verify(package, targets=["onnx-cpu"])
        return ps.open(package.path)

    return build


def firm_of(package):
    artifact = ps.compile(package, out=package.path.parent / "artifact")
    return [case.firm for case in artifact.contract().cases]


@pytest.mark.slow
def test_training_rows_on_thresholds_of_computed_features_are_fragile(contract_of):
    masks = firm_of(contract_of(computed))
    assert any("probability" in firm and not firm["probability"].all() for firm in masks)


def test_features_that_are_only_moved_leave_every_score_firm(contract_of):
    assert all("probability" not in firm for firm in firm_of(contract_of(moved)))
