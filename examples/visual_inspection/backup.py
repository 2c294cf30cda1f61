"""The backup: gradient-boosted trees on a 12 x 12 thumbnail and simple statistics. Less exact, and far cheaper."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor

import portside as ps


def featurize(image: Tensor) -> Tensor:
    """uint8 (batch, 300, 300) grey -> float32 (batch, 12*12 + 24): thumbnail, and mean and spread of rows and columns."""
    grey = image.unsqueeze(-1).to(torch.float32)
    small = ps.image.resize(grey, (12, 12))[..., 0]
    fine = ps.image.resize(grey, (48, 48))[..., 0]
    centred = fine - fine.mean((1, 2), keepdim=True)
    rows = (centred * centred).mean(2).reshape(-1, 12, 4).mean(2).sqrt()
    columns = (centred * centred).mean(1).reshape(-1, 12, 4).mean(2).sqrt()
    return torch.cat([(small - small.mean((1, 2), keepdim=True)).flatten(1), rows, columns], 1)


def predict(model: object, features: Tensor) -> dict[str, Tensor]:
    """The same outputs as the main model."""
    defect = model.predict_proba(features)[:, 1]  # type: ignore[attr-defined]
    return {"label": (defect > 0.5).to(torch.int64), "defect": defect}


def train(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> HistGradientBoostingClassifier:
    """Fit the trees on featurized images."""
    with torch.no_grad():
        features = featurize(torch.from_numpy(images)).numpy()
    trees = HistGradientBoostingClassifier(max_iter=120, learning_rate=0.07, class_weight="balanced", random_state=0)
    return trees.fit(features, labels)
