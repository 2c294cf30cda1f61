"""A champion and challengers of one decision, written directly, with labelled records behind them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from made_packages import EQUAL, GOOD, WORSE, made  # noqa: E402  found beside these tests
from packages import SIGNATURE  # noqa: E402

from portside.cloud.deployment.file import read  # noqa: E402
from portside.cloud.records.database import Database  # noqa: E402
from portside.cloud.records.draft import Draft  # noqa: E402
from portside.cloud.records.labelling import label  # noqa: E402
from portside.cloud.records.store import RecordStore  # noqa: E402
from portside.sdk.core.data import Data  # noqa: E402
from portside.sdk.core.labels import Label  # noqa: E402
from portside.sdk.core.records import Record, new_id  # noqa: E402
from portside.sdk.store import Store  # noqa: E402

__all__ = ["EQUAL", "GOOD", "WORSE", "made"]
NOW = 1_700_000_000_000
MINUTE = 60_000
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
    for place, name in enumerate(ids):
        record = Record(name, at_ms + place * MINUTE, at_ms + place * MINUTE, name="tester", package="sha256:1", **more)
        outputs = {"label": y[place : place + 1], "score": np.full(1, 0.9, np.float32)}
        store.put(Draft(record, {"x": x[place : place + 1]}, outputs, SIGNATURE))
    store.close()
    with Database.open(folder / "records.sqlite") as database:
        label(database, [Label(new_id(), name, 0, {"label": int(y[place])}, "ana", at_ms + place * MINUTE + 1, source)
                         for place, name in enumerate(ids) if place < labelled * count])  # fmt: skip
    return ids
