"""Replays: the same pipeline with the clock that records bring; the same answers as a monitor gave who was there."""

from __future__ import annotations

import numpy as np
import pytest
from watched import HOUR, MINUTE, NAME, START, Watch, about, labelled, stream, write

import portside as ps
from portside.cloud.deployment.monitor import Monitor
from portside.cloud.monitoring import reading
from portside.cloud.monitoring.about import About, profile_of
from portside.cloud.monitoring.replay import Replay
from portside.cloud.monitoring.sources import Table, is_table, records_of, rows_of
from portside.cloud.monitoring.tables import prepare
from portside.cloud.records.database import Database
from portside.cloud.records.parquet import write_records
from portside.cloud.records.reading import between, labels_of
from portside.sdk.core.errors import InputError

SETTINGS = {"spans": {"rows": 100, "minutes": 60}, "drift": {"looks_a_month": 1000}, "slo": {"p99_ms": 20.0},
            "quality": {"label": {"min_accuracy": 0.9}}}  # fmt: skip


@pytest.fixture
def past(tmp_path):
    """A database with what was served, and what a monitor told of it then."""
    with Database.open(tmp_path / "past.sqlite") as database:
        prepare(database)
        write(database, [*stream(600), *stream(300, start=600, shift=3.0), *stream(900, start=900)])
        labelled(database, range(100), [place % 2 for place in range(100)])
        watch = Watch(database, about(**SETTINGS))
        told = [event for event in watch.until(START + 30 * MINUTE + 6000) if event.alert.name == "drift"]
        yield database, [(event.id, event.alert.name, event.alert.subject, event.alert.state) for event in told]


def replayed(place, source, known, minutes=1):
    with Database.open(place) as database:
        result = Replay(database, known, minutes).run(source)
        return result, reading.window_between(database, known.name, 0, START + 24 * HOUR * 400)


def test_a_replay_tells_what_was_told_then(past, tmp_path):
    _, told = past
    result, window = replayed(tmp_path / "again.sqlite", records_of(str(tmp_path / "past.sqlite")), about(**SETTINGS))
    assert (result.records, result.labels, window.requests, window.quality["label"].rows) == (1800, 100, 1800, 100)
    assert [(one["id"], one["name"], one["subject"], one["state"]) for one in result.events if one["name"] == "drift"] == told != []
    assert result.start_ms == START and result.end_ms == START + 1799 * 1000


def test_records_come_from_parquet_too(past, tmp_path):
    database, told = past
    write_records(tmp_path / "past.parquet", between(database, 0, 1 << 62), lambda ids: labels_of(database, ids))
    assert not is_table(str(tmp_path / "past.parquet"))
    result, _ = replayed(tmp_path / "again.sqlite", records_of(str(tmp_path / "past.parquet")), about(**SETTINGS), minutes=10)
    assert result.labels == 100 and [one["id"] for one in result.events if one["name"] == "drift"] == [one[0] for one in told]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    import torch

    rows = np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)
    truth = (rows[:, 0] > 0).astype(int)
    examples = {"a": rows[:, 0], "b": rows[:, 1] * 10 + 5}

    class Net(torch.nn.Module):
        def forward(self, a, b):
            return {"label": (a > 0).long(), "score": torch.sigmoid(a + 0 * b)}

    return ps.pack(Net(), name="net", examples=examples, labels=truth, out=tmp_path_factory.mktemp("net") / "net")


def csv_of(path, rows, swapped_from):
    """a and b change places at a row; the truth is in `rain`."""
    draws = np.random.default_rng(5).normal(size=(rows, 2))
    lines = ["a,b,rain"]
    for place, (a, b) in enumerate(draws):
        pair = (a, b * 10 + 5) if place < swapped_from else (b * 10 + 5, a)
        lines.append(f"{pair[0]:.4f},{pair[1]:.4f},{int(a > 0)}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rows_of_a_table_are_asked_of_the_package_and_swapped_columns_are_named(package, tmp_path):
    settings = Monitor.model_validate({**SETTINGS, "spans": {"rows": 100, "minutes": 60}})
    known = About(NAME, settings, tmp_path, package.signature, profile_of(package), None, "net", package.digest)
    path = csv_of(tmp_path / "rain.csv", 1200, 800)
    assert is_table(str(path))
    result, window = replayed(tmp_path / "r.sqlite", rows_of(str(path), package, NAME, Table("rain", "label", None, 20)), known)
    assert window.rows == 1200 and window.quality["label"].rows == 1200
    swapped = [one for one in result.events if one["name"] == "input-broken"]
    assert swapped and "swapped" in swapped[0]["data"]["finding"]["what"]
    row = (swapped[0]["at_ms"] - result.start_ms) / MINUTE * 20
    assert 800 < row <= 1000, "within 200 rows"
    assert [one["name"] for one in result.events if (one["at_ms"] - result.start_ms) / MINUTE * 20 <= 800] == [], "calm until then"


def test_a_table_that_lacks_a_column_is_refused_by_name(package, tmp_path):
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match="no such column"):
        list(rows_of(str(tmp_path / "t.csv"), package, NAME, Table()))


def test_times_come_from_a_column(package, tmp_path):
    (tmp_path / "t.csv").write_text("a,b,when\n1,2,2026-01-01T00:00:00+00:00\n1,2,1767225660\n")
    found = list(rows_of(str(tmp_path / "t.csv"), package, NAME, Table(time="when")))
    assert [record.server_ms for record, _ in found] == [1_767_225_600_000, 1_767_225_660_000]
