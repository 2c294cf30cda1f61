"""Packages of one decision by a weighted sum, written directly. Imports little: training commands of tests make them too."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent)]

from packages import host_package  # noqa: E402  found beside these tests

from portside.sdk.core.manifest import Annotations  # noqa: E402
from portside.sdk.core.package import write  # noqa: E402

SOURCE = '''"""Decides by a weighted sum of x."""
import numpy as np


def answer(x):
    score = 1 / (1 + np.exp(-(x @ np.array({weights}) + {bias})))
    return {{"label": (score > 0.5).astype(np.int32), "score": score.astype(np.float32)}}
'''
GOOD, EQUAL, WORSE = (1.0, 1.0, 1.0), (1.001, 1.0, 1.0), (1.0, -1.0, 0.2)
"""Weights of a right model, of one like it, and of one that is often wrong."""


def made(folder: Path, name: str, weights=GOOD, bias=0.0, **content):
    """A package; `content`: fields of its content, such as evidence, recipe, parents."""
    first = host_package(folder / f"{name}-first", SOURCE.format(weights=list(weights), bias=bias), name)
    files = {path: first.path / path for path in first.content.files}
    noted = Annotations(name, {"licence": "MIT"} | content.pop("noted", {}))
    return write(replace(first.content, files={}, **content), files, folder / name, noted, trusted=True)
