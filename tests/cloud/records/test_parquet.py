"""Parquet: as they are and back without loss; by row with a column per field; nothing of what is redacted."""

import json
from functools import partial

import numpy as np
import pyarrow.parquet as parquet
import pytest
from drafts import SIGNATURE, draft, filled, label

from portside.cloud.records.labelling import label as write
from portside.cloud.records.parquet import read_records, write_records, write_rows
from portside.cloud.records.reading import between, labels_of, records
from portside.cloud.records.store import Draft
from portside.sdk.core.errors import FormatError


@pytest.fixture
def held(database, place):
    """Three records of 1, 2 and 3 rows; features of the second; a label on its second row."""
    drafts = [draft("ana"), draft(rows=2, features={"traits": {"photo.brightness": [0.25, None]}, "features": {"z": [[1.0], [2.0]]}}),
              draft(rows=3, sequence=7, parent="p")]  # fmt: skip
    ids = filled(place, drafts)
    write(database, [label(ids[1], row=1, values={"label": "mono"})])
    return partial(between, database, 0, 1 << 60), partial(labels_of, database)


def test_there_and_back(held, place, tmp_path):
    chosen, labels = held
    assert write_records(tmp_path / "all.parquet", chosen(), labels) == 3
    found = list(read_records(tmp_path / "all.parquet"))
    assert [record for record, _ in found] == list(records(place))
    assert [[said.values for said in labels] for _, labels in found] == [[], [{"label": 0}], []]
    assert [path.name for path in tmp_path.glob("*.parquet*")] == ["all.parquet"]


def test_a_line_per_row(held, tmp_path):
    chosen, labels = held
    assert write_rows(tmp_path / "rows.parquet", chosen, labels) == 6
    table = parquet.read_table(tmp_path / "rows.parquet")
    named = {"in.x", "out.y", "out.label", "label.label", "label_author", "trait.photo.brightness", "feature.z", "row", "model"}
    assert named <= set(table.column_names)
    assert "in.secret" not in table.column_names and "1234.5" not in str(table.to_pylist())
    assert table["row"].to_pylist() == [0, 0, 1, 0, 1, 2] and table["out.label"].to_pylist() == [0, 0, 1, 0, 1, 0]
    assert table["label.label"].to_pylist() == [None, None, 0, None, None, None]
    assert table["trait.photo.brightness"].to_pylist() == [None, 0.25, None, None, None, None]
    assert json.loads(table["in.x"].to_pylist()[0]) == [1.0, None]
    assert str(table.schema.field("out.y").type) == "double" and str(table.schema.field("out.label").type) == "int64"


def test_large_tensors_and_no_records_leave_no_columns(place, tmp_path):
    item = draft()
    filled(place, [Draft(item.record, {"x": np.zeros((1, 5000), np.float32)}, item.outputs, SIGNATURE)])
    write_rows(tmp_path / "rows.parquet", lambda: list(records(place)), lambda ids: {})
    assert "in.x" not in parquet.read_table(tmp_path / "rows.parquet").column_names
    assert write_rows(tmp_path / "none.parquet", list, lambda ids: {}) == 0
    assert write_records(tmp_path / "empty.parquet", [], lambda ids: {}) == 0 and list(read_records(tmp_path / "empty.parquet")) == []


def test_files_that_cannot_be_written_or_read(held, tmp_path):
    chosen, labels = held
    with pytest.raises(FormatError, match="cannot be written"):
        write_records(tmp_path / "no" / "folder.parquet", chosen(), labels)
    write_rows(tmp_path / "rows.parquet", chosen, labels)
    with pytest.raises(FormatError, match="holds no records"):
        list(read_records(tmp_path / "rows.parquet"))
    (tmp_path / "odd.parquet").write_bytes(b"PAR1 and nothing")
    with pytest.raises(FormatError, match="cannot be read"):
        list(read_records(tmp_path / "odd.parquet"))
