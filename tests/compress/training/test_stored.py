"""The `training/` folder: written by `pack`, refused without trust, and giving the model again bit for bit."""

from __future__ import annotations

import digits
import numpy as np
import pytest
import torch

import portside as ps
from portside.compress.training.stored import ABOUT, WEIGHTS, trainee_of, written
from portside.sdk.core import errors


def test_the_model_is_made_again(trainable, trained):
    trainee = trainee_of(trainable)
    assert {name: held.tolist() for name, held in trainee.model.state_dict().items()} == {
        name: held.tolist() for name, held in trained.state_dict().items()
    }
    x = torch.rand(5, 64) * 16
    assert trainee.featurize is not None
    with torch.no_grad():
        assert torch.equal(trainee.model(trainee.featurize(x)), trained(digits.featurize(x)))
    assert trainee.schedule == ps.Schedule(epochs=2, lr=2e-3)
    assert not trainee.model.training


def test_nothing_runs_without_trust(trainable):
    with pytest.raises(errors.TrustError, match=r"training/"):
        trainee_of(ps.open(trainable.path))


def test_a_package_without_the_folder_says_how_to_get_one(trained, parts, tmp_path):
    x = parts[0].inputs["image"][:64]
    made = ps.pack(trained, name="plain", featurize=digits.featurize, predict=digits.predict, examples={"image": x}, out=tmp_path / "plain")
    with pytest.raises(errors.UnsupportedError, match=r"training=ps\.Training"):
        trainee_of(made)


def test_the_folder_is_content(trainable):
    assert {ABOUT, WEIGHTS, "training/digits.py"} <= set(trainable.content.files)
    file = trainable.path / "training" / "digits.py"
    text = file.read_bytes()
    try:
        file.write_bytes(text + b"\n")
        with pytest.raises(errors.IntegrityError):
            ps.open(trainable.path, trust=True)
    finally:
        file.write_bytes(text)


@pytest.mark.parametrize(("factory", "config", "said"), [
    (lambda: digits.make(), {}, "top level"),
    ("nowhere", {}, "module:function"),
    (digits.make, {"first": 8}, "do not fit"),
    (digits.make, {"third": 8}, "factory failed"),
    (digits.make, {"first": np.int64}, "no JSON"),
    (digits.featurize, {}, "factory failed"),
    ("portside_no_such_module:make", {}, "Install what provides"),
])  # fmt: skip
def test_what_does_not_give_the_model_is_refused(trained, factory, config, said):
    with pytest.raises(errors.InputError, match=said):
        written(ps.Training(factory, config), trained, digits.featurize, digits.predict)


def test_an_estimator_cannot_be_trained_on():
    with pytest.raises(errors.InputError, match="torch module"):
        written(ps.Training(digits.make), object(), None, None)


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"lr": -1}, {"batch": True}, {"clip": float("nan")}, {"optimizer": "adagrad"}])
def test_a_schedule_that_means_nothing_is_refused(changes):
    with pytest.raises(errors.InputError):
        ps.Schedule(**changes)


def test_a_loss_of_the_users_own_travels(trained):
    files = written(ps.Training(digits.make, loss=digits.smoothed), trained, digits.featurize, digits.predict)
    assert b"smoothed" in files[ABOUT]
