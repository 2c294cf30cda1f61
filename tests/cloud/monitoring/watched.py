"""A watched deployment as tests make it: records with a time, labels, a profile, a monitor with a clock that is set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from portside.cloud.deployment.monitor import Monitor
from portside.cloud.monitoring.about import About
from portside.cloud.monitoring.pipeline import Pipeline
from portside.cloud.monitoring.replay import row_of
from portside.cloud.monitoring.turn import Turn
from portside.cloud.records.database import Database
from portside.cloud.records.labelling import label as write_labels
from portside.cloud.records.rows import insert
from portside.sdk.core.labels import Label
from portside.sdk.core.profile import Profile
from portside.sdk.core.records import Receipt, Record, uuid7
from portside.sdk.core.signature import Signature, TensorSpec
from portside.sdk.core.window import packaged

NAME, MINUTE, HOUR = "cells", 60_000, 3_600_000
START = 1_800_000_000_000 // HOUR * HOUR
SIGNATURE = Signature(
    inputs=(TensorSpec("x", "f32", ("batch",)), TensorSpec("cell", "i64", ("batch",), categories=("mono", "poly"))),
    outputs=(TensorSpec("label", "i64", ("batch",), categories=("good", "bad"), kind="decision"),
             TensorSpec("score", "f32", ("batch",), kind="score")),
)  # fmt: skip
ROWS = 4000
TRAINED = {"x": np.random.default_rng(0).normal(size=ROWS), "cell": np.arange(ROWS) % 2, "label": np.arange(ROWS) % 2,
           "score": np.full(ROWS, 0.9, np.float32)}  # fmt: skip
PROFILE = packaged(Profile.of(TRAINED, SIGNATURE), SIGNATURE)


def number(place: int, kind: str = "record") -> str:
    return uuid7(START + place, sha256(f"{kind} {place}".encode()).digest()[:10])


def record(place: int, at_ms: int, x: float = 0.0, label: int = 0, time_ms: float = 5.0, **more: Any) -> Record:
    """Record number `place`; its id says its number."""
    receipt = Receipt("net", "sha256:1", "onnx-cpu", 0, "primary", (), time_ms, time_ms, 50.0, time_ms <= 50).to_dict()
    given = {"inputs": {"x": [x], "cell": [place % 2]}, "outputs": {"label": [label], "score": [0.9]}, "receipt": receipt, "name": NAME}
    return Record(number(place), at_ms, at_ms, package="sha256:p", deployment="sha256:d", **{**given, **more})


def stream(rows: int, seconds: float = 1.0, start: int = 0, begin_ms: int = START, shift: float = 0.0) -> list[Record]:
    """One record every so many seconds, its x as in the profile, moved by `shift`."""
    draws = np.random.default_rng(start + 7).normal(size=rows) + shift
    return [record(start + place, begin_ms + int((start + place) * seconds * 1000), float(draws[place]), (start + place) % 2)
            for place in range(rows)]  # fmt: skip


def write(database: Database, records: Iterable[Record]) -> None:
    with database.write() as connection:
        insert(connection, [row_of(one) for one in records])


def labelled(database: Database, places: Iterable[int], value: int | Sequence[int], kind: str = "label", at_ms: int = START) -> None:
    """Labels of records by number."""
    held = list(places)
    values = [value] * len(held) if isinstance(value, int) else value
    write_labels(database, [Label(number(place, kind), number(place), 0, {"label": one}, "ana", at_ms)
                            for place, one in zip(held, values, strict=True)])  # fmt: skip


def about(folder: Path = Path(), **settings: Any) -> About:
    return About(NAME, Monitor.model_validate(settings), folder, SIGNATURE, PROFILE, 50.0, "net", "sha256:p")


class Watch:
    """A pipeline and its clock. `now` moves it."""

    def __init__(self, database: Database, known: About, targets: Sequence[str] = (), holder: str = "test", **more: Any) -> None:
        self.database, self.about, self.now = database, known, START
        self.pipeline = Pipeline(Turn(database, NAME, holder), known, lambda: self.now, targets, **more)

    def at(self, now_ms: int) -> Any:
        """One round at this time, and rounds until nothing waits."""
        self.now = now_ms
        done = self.pipeline.step()
        while done.waiting:
            done = self.pipeline.step()
        return done

    def until(self, end_ms: int, every_ms: int = 5 * MINUTE) -> list[Any]:
        """Rounds up to then; what was told."""
        told = []
        while self.now < end_ms:
            told += self.at(min(self.now + every_ms, end_ms)).events
        return told

    def close(self) -> None:
        self.pipeline.close()
