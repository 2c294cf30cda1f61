"""Pack a torch model and a forest for the check of an install without torch. Usage: pack_elsewhere.py OUT"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier

import portside as ps


def predict(model: Any, features: Any) -> dict[str, Any]:
    """Class and confidence from logits."""
    logits = model(features)
    return {"label": logits.argmax(-1), "confidence": logits.softmax(-1).amax(-1)}


def main(out: Path) -> None:
    """Write two package folders below `out`."""
    torch.manual_seed(0)
    rows = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
    labels = (rows.sum(1) > 0).astype(np.int64)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).eval()
    ps.pack(network, name="network", predict=predict, examples=rows, labels=labels, out=out / "network")
    forest = RandomForestClassifier(n_estimators=10, random_state=0).fit(rows, labels)
    ps.pack(forest, name="forest", examples=rows, labels=labels, out=out / "forest")


main(Path(sys.argv[1]))
