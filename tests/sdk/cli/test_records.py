"""`portside records` and `portside label`: what was served, filtered, written to files, deleted; what was right, said later."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest

from portside.cloud.records.store import Draft, RecordStore
from portside.sdk.cli.moments import moment_ms
from portside.sdk.core.errors import InputError
from portside.sdk.core.records import Record, uuid7
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("label", "i64", ("batch",), categories=("cat", "dog")),))
START = 1_700_000_000_000
Run = Callable[..., Any]


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A deployment file, and ten records of two rows, an hour apart, the newest now."""
    store, now = RecordStore(tmp_path / "records.sqlite"), time.time_ns() // 1_000_000
    store.introduce("pets", "sha256:d", SIGNATURE)
    for number in range(10):
        when = now - (9 - number) * 3_600_000
        receipt = {"model": "small" if number % 5 == 0 else "large", "reason": "deadline" if number % 5 == 0 else "primary", "time_ms": 1.5}
        record = Record(uuid7(START + number, bytes(10)), when, when, "ana" if number % 2 else "ben", deployment="sha256:d", name="pets",
                        receipt=receipt, flags=({"field": "x", "why": "range"},) if number == 3 else ())  # fmt: skip
        store.put(Draft(record, {"x": np.ones((2, 2), np.float32)}, {"label": np.array([0, 1])}, SIGNATURE))
    store.close()
    file = tmp_path / "deployment.toml"
    file.write_text('name = "pets"\n[champion]\npackage = "p"\n[records]\nkeep_days = 0.2\n')
    return file


def number(place: int) -> str:
    return uuid7(START + place, bytes(10))


@pytest.mark.parametrize(("words", "places"), [
    (["--last", "2"], [8, 9]), (["--entity", "ana"], [1, 3, 5, 7, 9]), (["--model", "small"], [0, 5]), (["--reason", "deadline"], [0, 5]),
    (["--since", "150m"], [7, 8, 9]), (["--until", "450m"], [0, 1]), (["--flagged"], [3]), (["--deployment", "other"], []),
    (["--since", "5h", "--entity", "ben", "--last", "1"], [8]), (["--labelled"], [4]),
], ids=["last", "entity", "model", "reason", "since", "until", "flagged", "name", "several", "labelled"])  # fmt: skip
def test_which_records(portside: Run, served: Path, words: list[str], places: list[int]) -> None:
    assert portside("label", served, number(4), "label=dog", "--author", "ana").code == 0
    assert [record["id"] for record in portside("records", served, *words, "--json").json] == [number(place) for place in places]


def test_one_record_whole_with_its_labels(portside: Run, served: Path) -> None:
    for values, author in (("label=dog", "ana"), ("label=cat", "ben")):
        assert portside("label", served, number(2), values, "--row", "1", "--author", author).code == 0
    [record] = portside("records", served, "--id", number(2), "--json").json
    said = [(label["author"], label["row"], label["values"]) for label in record["labels"]]
    assert said == [("ana", 1, {"label": 1}), ("ben", 1, {"label": 0})]
    said = portside("records", served, "--id", number(2))
    assert "ben" in said.out and "receipt" in said.out
    assert portside("records", served, "--id", "nobody").code == 1


def test_files(portside: Run, served: Path, tmp_path: Path) -> None:
    said = portside("records", served, "--parquet", tmp_path / "all.parquet", "--entity", "ana", "--json")
    assert said.json == {"file": str(tmp_path / "all.parquet"), "records": 5}
    assert portside("records", served, "--parquet", tmp_path / "rows.parquet", "--by-row").code == 0
    assert parquet.read_table(tmp_path / "rows.parquet").num_rows == 20
    assert portside("records", served, "--by-row").code == 2 and portside("records", served, "--parquet", tmp_path / "none.parquet",
                                                                          "--model", "other").code == 1  # fmt: skip


def test_a_subject_is_deleted_when_it_is_meant(portside: Run, served: Path) -> None:
    said = portside("records", served, "delete", "--entity", "ana")
    assert said.code == 1 and "5 records" in said.out and "--yes" in said.out
    said = portside("records", served, "delete", "--entity", "ana", "--yes", "--json")
    assert said.json == {"records": 5, "deleted": True, "wiped": True}
    assert {record["entity"] for record in portside("records", served, "--json").json} == {"ben"}
    assert portside("records", served, "delete").code == 2


def test_what_need_not_be_kept_goes(portside: Run, served: Path) -> None:
    assert portside("records", served, "expire", "--json").json == {"records": 5}  # older than 4.8 hours
    assert len(portside("records", served, "--json").json) == 5
    assert portside("records", served.with_name("records.sqlite"), "expire").code == 2


def test_labels_from_a_file_are_there_once(portside: Run, served: Path, tmp_path: Path) -> None:
    file = tmp_path / "outcomes.csv"
    file.write_text(f"record,row,label,at\n{number(0)},0,dog,2026-05-01\n{number(0)},1,cat,\n{number(1)},,dog,\n")
    first = portside("label", served, "--file", file, "--author", "crm", "--json").json
    assert first["new"] == 3
    again = portside("label", served, "--file", file, "--author", "crm")
    assert again.code == 0 and "3 were there already" in again.out
    lines = tmp_path / "outcomes.jsonl"
    lines.write_text(json.dumps({"record": number(1), "row": 1, "values": {"label": "cat"}, "author": "till"}) + "\n")
    assert portside("label", served, "--file", lines, "--json").json["new"] == 1
    held = portside("records", served, "--id", number(1), "--json").json[0]["labels"]
    assert [(label["author"], label["source"], label["values"]) for label in held] == [("crm", "import", {"label": 1}),
                                                                                      ("till", "import", {"label": 0})]  # fmt: skip


@pytest.mark.parametrize(("words", "match"), [
    (["label=bird", "--author", "ana"], "no such category"), (["label=dog"], "has an author"), (["dog", "--author", "ana"], "OUTPUT=VALUE"),
    (["label=dog", "--row", "5", "--author", "ana"], "no such row"),
], ids=["value", "author", "pair", "row"])  # fmt: skip
def test_labels_that_say_nothing(portside: Run, served: Path, words: list[str], match: str) -> None:
    said = portside("label", served, number(0), *words)
    assert said.code == 2 and match in said.err


def test_a_wrong_line_of_a_file_is_named(portside: Run, served: Path, tmp_path: Path) -> None:
    file = tmp_path / "outcomes.csv"
    file.write_text(f"record,label\n{number(0)},dog\n,dog\n")
    said = portside("label", served, "--file", file, "--author", "crm")
    assert said.code == 2 and "label 2" in said.err
    (tmp_path / "outcomes.txt").touch()
    assert portside("label", served, "--file", tmp_path / "outcomes.txt").code == 3
    assert portside("label", served).code == 2


def test_moments() -> None:
    assert moment_ms("90m", 10_000.0) == 4_600_000 and moment_ms("2026-05-01T12:00") == moment_ms("2026-05-01T14:00+02:00")
    with pytest.raises(InputError):
        moment_ms("yesterday")
