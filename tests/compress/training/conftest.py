"""A network that was trained, packed with `training=`, opened with trust; and the rows around it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import portside as ps

sys.path.insert(0, str(Path(__file__).parent))
import digits
from narrowed import NARROWER


@pytest.fixture(scope="session")
def parts():
    """(train, held out) as Data: 1,200 and 597 digits."""
    held = load_digits()
    order = np.random.default_rng(0).permutation(len(held.target))
    x, y = held.data[order].astype(np.float32), held.target[order].astype(np.int64)
    halves = (slice(0, 1200), slice(1200, None))
    return tuple(ps.Data({"image": x[rows]}, labels=y[rows], slices={"digit": y[rows].astype(str)}) for rows in halves)


@pytest.fixture(scope="session")
def trained(parts):
    """The network after a few epochs: about 97% of the digits."""
    torch.manual_seed(0)
    model, (train, _) = digits.make(), parts
    x, y = digits.featurize(torch.from_numpy(train.inputs["image"])), torch.from_numpy(train.labels)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for epoch in range(6):
        for rows in torch.randperm(len(y), generator=torch.Generator().manual_seed(epoch)).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return model.eval()


@pytest.fixture(scope="session")
def trainable(trained, parts, tmp_path_factory):
    """Packed with its factory, opened by somebody who trusts it."""
    folder, (train, _) = tmp_path_factory.mktemp("trainable") / "digits", parts
    few = train.take(range(128))
    ps.pack(trained, name="digits", featurize=digits.featurize, predict=digits.predict, examples={"image": few.inputs["image"]},
            labels=few.labels, slices=few.slices, out=folder,
            training=ps.Training(digits.make, {"first": 16, "second": 32}, schedule=ps.Schedule(epochs=2, lr=2e-3)))  # fmt: skip
    return ps.open(folder, trust=True)


@pytest.fixture(scope="session")
def unlabelled(parts):
    """The rows to train on, without labels."""
    return ps.Data(parts[0].inputs)


@pytest.fixture(scope="session")
def narrower(trainable, unlabelled, tmp_path_factory):
    """The network after `NARROWER`, untaught."""
    return ps.compress(trainable, NARROWER, unlabelled, out=tmp_path_factory.mktemp("narrower") / "made")
