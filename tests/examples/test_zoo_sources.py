"""The zoo's scikit-learn packages against the estimators themselves, on rows that neither training nor the contract saw.

`portside verify` holds an artifact against its package; this holds the compiled artifact against the source.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import portside as ps

ZOO = Path(__file__).resolve().parents[2] / "examples" / "zoo"


@pytest.fixture(scope="module")
def pipelines():
    sys.path.insert(0, str(ZOO))
    try:
        import pipelines

        yield pipelines
    finally:
        sys.path.remove(str(ZOO))


def as_users_ask(model, inputs):
    """The rows as the estimator was trained on them: its own columns, text as objects with None, or one matrix."""
    if not hasattr(model, "feature_names_in_"):
        return inputs["x"]
    return pd.DataFrame({name: pd.Series(held, dtype=object if isinstance(held, list) else None) for name, held in inputs.items()})


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", ["logistic", "forest", "boosting", "gradient", "perceptron", "regressor"])
def test_no_answer_differs_from_the_estimator(name, pipelines, monkeypatch, tmp_path):
    held, pack = {}, ps.pack

    def keep(model, **rest):
        held["model"] = model
        return pack(model, **{**rest, "out": tmp_path / name})

    monkeypatch.setattr(ps, "pack", keep)
    package, data = getattr(pipelines, name)()
    got = ps.load(ps.compile(package, out=tmp_path / "artifact")).predict(data.inputs)
    rows = as_users_ask(held["model"], data.inputs)
    truth = held["model"].predict(rows)
    assert len(truth) >= 3000
    if name == "regressor":
        assert np.abs(got["value"] - truth).max() <= 1e-5 * np.abs(truth).max()
        return
    chances = held["model"].predict_proba(rows)
    decided = np.abs(chances[:, 1] - 0.5) > 1e-5
    assert np.array_equal(got["label"][decided], truth[decided])
    assert np.abs(got["probabilities"] - chances).max() <= 1e-5
