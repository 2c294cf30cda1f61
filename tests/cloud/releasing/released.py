"""A champion and challengers of one decision, written directly, with labelled records behind them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent.parent)]

from packages import SIGNATURE, host_package  # noqa: E402  found beside these tests

from portside.cloud.deployment.file import read  # noqa: E402
from portside.cloud.records.database import Database  # noqa: E402
from portside.cloud.records.draft import Draft  # noqa: E402
from portside.cloud.records.labelling import label  # noqa: E402
from portside.cloud.records.store import RecordStore  # noqa: E402
from portside.sdk.core.data import Data  # noqa: E402
from portside.sdk.core.labels import Label  # noqa: E402
from portside.sdk.core.manifest import Annotations  # noqa: E402
from portside.sdk.core.package import write  # noqa: E402
from portside.sdk.core.records import Record, new_id  # noqa: E402
from portside.sdk.store import Store  # noqa: E402

NOW = 1_700_000_000_000
MINUTE = 60_000
SOURCE = '''"""Decides by a weighted sum of x."""
import numpy as np


def answer(x):
    score = 1 / (1 + np.exp(-(x @ np.array({weights}) + {bias})))
    return {{"label": (score > 0.5).astype(np.int32), "score": score.astype(np.float32)}}
'''
GOOD, EQUAL, WORSE = (1.0, 1.0, 1.0), (1.001, 1.0, 1.0), (1.0, -1.0, 0.2)
"""Weights of a right model, of one like it, and of one that is often wrong."""
FILE = """name = "tester"

[champion]
package = "main"
isolation = "inline"
trust = true

[rollout]
challenger = {{ package = "{challenger}", trust = true }}
"""


def rows(count: int, seed: int = 1):
    """(inputs, right labels)."""
    x = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    return x, (x.sum(axis=1) > 0).astype(np.int64)


def made(folder: Path, name: str, weights=GOOD, bias=0.0, **content):
    """A package; `content`: fields of its content, such as evidence, recipe, parents."""
    first = host_package(folder / f"{name}-first", SOURCE.format(weights=list(weights), bias=bias), name)
    files = {path: first.path / path for path in first.content.files}
    noted = Annotations(name, {"licence": "MIT"} | content.pop("noted", {}))
    return write(replace(first.content, files={}, **content), files, folder / name, noted, trusted=True)


def evidence(count: int = 400, wrong: float = 0.05):
    """The digest of a static set in the store; a share of its labels is wrong."""
    x, y = rows(count, 2)
    y = np.where(np.random.default_rng(3).random(count) < wrong, 1 - y, y)
    return Store().put_evidence(Data({"x": x}, y, {"half": np.where(np.arange(count) % 2, "odd", "even")}))


def deployment(folder: Path, challenger: str = "next", more: str = ""):
    """The deployment, read."""
    (folder / "deployment.toml").write_text(FILE.format(challenger=challenger) + more)
    return read(folder / "deployment.toml")


def served(folder: Path, count: int, *, labelled: float = 1.0, at_ms: int = NOW, seed: int = 5, source="api", **more):
    """Records in the deployment's database, one row each a minute, and labels of a share of them; ids of the records."""
    x, y = rows(count, seed)
    store, ids = RecordStore(folder / "records.sqlite"), [new_id() for _ in range(count)]
    for place, id in enumerate(ids):
        record = Record(id, at_ms + place * MINUTE, at_ms + place * MINUTE, name="tester", package="sha256:1", **more)
        store.put(Draft(record, {"x": x[place : place + 1]}, {"label": y[place : place + 1], "score": np.full(1, 0.9, np.float32)}, SIGNATURE))
    store.close()
    with Database.open(folder / "records.sqlite") as database:
        label(database, [Label(new_id(), id, 0, {"label": int(y[place])}, "ana", at_ms + place * MINUTE + 1, source)
                         for place, id in enumerate(ids) if place < labelled * count])  # fmt: skip
    return ids
