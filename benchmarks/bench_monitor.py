"""The monitor: how many records a second it counts, what a round and a judged span cost, and what it takes of a core beside a server.

    python benchmarks/bench_monitor.py [--short]

Records of 8 and of 50 columns with two outputs and two slices, already in a SQLite file; counting is from there into minutes, with every
commit synced. A round is one that finds nothing new, as most do. Processor time, so that what else runs matters little.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from portside.cloud.deployment.monitor import Monitor
from portside.cloud.monitoring import reading
from portside.cloud.monitoring.about import About
from portside.cloud.monitoring.counting import count
from portside.cloud.monitoring.pipeline import Pipeline
from portside.cloud.monitoring.replay import row_of
from portside.cloud.monitoring.tables import prepare
from portside.cloud.monitoring.turn import Turn
from portside.cloud.records.database import Database
from portside.cloud.records.rows import insert
from portside.runtimes.timing import table
from portside.sdk.core.profile import Profile
from portside.sdk.core.records import Receipt, Record, new_id
from portside.sdk.core.signature import Signature, TensorSpec
from portside.sdk.core.window import packaged

START, PER_SECOND = 1_800_000_000_000, 200


def signature_of(columns: int) -> Signature:
    """Columns, a group to slice by, a decision and its confidence."""
    return Signature((TensorSpec("x", "f32", ("batch", columns)), TensorSpec("group", "i64", ("batch",), categories=("a", "b"))),
                     (TensorSpec("label", "i64", ("batch",), categories=("no", "yes"), kind="decision"),
                      TensorSpec("confidence", "f32", ("batch",), kind="score")))  # fmt: skip


def records(count: int, columns: int) -> Iterator[Record]:
    """So many, at 200 a second."""
    draws = np.random.default_rng(0).normal(size=(count, columns)).round(4)
    receipt = Receipt("net", "sha256:1", "onnx-cpu", 0, "primary", (), 5.0, 4.0, 50.0, True).to_dict()
    for place in range(count):
        now = START + place * 1000 // PER_SECOND
        inputs = {"x": [draws[place].tolist()], "group": [place % 2]}
        outputs = {"label": [place % 2], "confidence": [0.75]}
        yield Record(new_id(), now, now, name="bench", deployment="sha256:d", receipt=receipt, inputs=inputs, outputs=outputs)


@contextmanager
def filled(count: int, columns: int) -> Iterator[tuple[Database, About]]:
    """A database with records, and what is known of their deployment."""
    signature = signature_of(columns)
    trained = {"x": np.random.default_rng(1).normal(size=(4000, columns)), "group": np.arange(4000) % 2, "label": np.arange(4000) % 2,
               "confidence": np.full(4000, 0.75)}  # fmt: skip
    settings = Monitor.model_validate({"slices": ["group"], "confidence": "confidence", "slo": {"p99_ms": 200.0, "availability": 0.999}})
    about = About("bench", settings, Path(), signature, packaged(Profile.of(trained, signature), signature), 50.0, "net", "sha256:p")
    with tempfile.TemporaryDirectory() as folder, Database.open(Path(folder) / "records.sqlite") as database:
        prepare(database)
        with database.write() as connection:
            insert(connection, [row_of(record) for record in records(count, columns)])
        yield database, about


def measured(columns: int, count_of: int) -> dict[str, Any]:
    """One size."""
    with filled(count_of, columns) as (database, about):
        end = START + count_of * 1000 // PER_SECOND + 120_000
        turn = Turn(database, "bench")
        assert turn.take(end)
        began = time.process_time()
        while count(turn, about):
            pass
        counting = time.process_time() - began
        pipeline = Pipeline(turn, about, lambda: end)
        began = time.process_time()
        first = pipeline.step()
        judging = time.process_time() - began
        began = time.process_time()
        for _ in range(20):
            pipeline.step()
        idle = (time.process_time() - began) / 20
        assert reading.window_between(database, "bench", START - 60_000, end).requests == count_of
        each = counting / count_of
        return {"columns": columns, "records": count_of, "counted a second of a core": 1 / each, "us of a core a record": each * 1e6,
                "core at 200/s, %": each * PER_SECOND * 100, "spans": first.spans,
                "ms to judge a span": judging / max(first.spans, 1) * 1e3, "ms of an idle round": idle * 1e3}  # fmt: skip


def measure(short: bool = False) -> list[dict[str, Any]]:
    """Both sizes."""
    return [measured(columns, 4000 if short else 24_000) for columns in (8, 50)]


def show(rows: list[dict[str, Any]]) -> str:
    """One line per size."""
    return table([list(rows[0]), *([f"{value:.1f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows)])


if __name__ == "__main__":
    print(show(measure("--short" in sys.argv)))
