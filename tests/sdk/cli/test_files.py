"""Files that commands read: objects of a user's Python file, and tables of labelled rows; and `portside pack`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portside.sdk.cli.objects import load_object
from portside.sdk.cli.tables import read
from portside.sdk.core.data import Data
from portside.sdk.core.errors import InputError
from portside.sdk.core.package import Package

Run = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path, package: Package) -> Path:
    """A user's file that makes a package, and prints while it does."""
    (tmp_path / "beside.py").write_text(f"FOLDER = {str(package.path)!r}\n")
    path = tmp_path / "train.py"
    path.write_text("""
import beside
import portside as ps
print("training")
thing = 3

def make():
    return ps.open(beside.FOLDER)
""")
    return path


def test_pack_prints_what_was_made(file: Path, portside: Run, package: Package) -> None:
    said = portside("pack", f"{file}:make", "--json")
    assert said.json["digest"] == package.digest
    assert "training" in said.err


def test_pack_copies_and_pushes(file: Path, portside: Run, tmp_path: Path, home: Path) -> None:
    said = portside("pack", f"{file}:make", "--out", tmp_path / "copy", "--store", "--json")
    assert said.json["reference"] == "sums:1"
    assert portside("inspect", tmp_path / "copy").code == 0
    assert portside("pack", f"{file}:make", "--out", tmp_path / "copy").code == 3


@pytest.mark.parametrize("word", ["train.py", "train.py:", "train.py:absent", "train.py:thing", "absent.py:make"])
def test_pack_says_what_is_wrong_with_the_word(word: str, file: Path, portside: Run) -> None:
    said = portside("pack", str(file.parent / word))
    assert said.code == 2
    assert "Traceback" not in said.err


def test_what_a_users_file_raises_is_shown(tmp_path: Path, portside: Run) -> None:
    (tmp_path / "bad.py").write_text("raise RuntimeError('no disk today')\n")
    said = portside("pack", f"{tmp_path / 'bad.py'}:make")
    assert said.code == 3
    assert "no disk today" in said.err


def test_load_object_of_a_kind(tmp_path: Path) -> None:
    (tmp_path / "held.py").write_text("import portside as ps\nrows = ps.Data(inputs={'x': [1, 2]})\n")
    assert len(load_object(f"{tmp_path / 'held.py'}:rows", Data)) == 2


def test_csv_columns(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("age,income,colour,label,site\n41,1.5,red,1,a\n30,,,0,b\n")
    data = read(str(tmp_path / "rows.csv"), slices=["site"])
    assert list(data.inputs) == ["age", "income", "colour", "site"]
    assert data.inputs["age"].dtype == np.int64
    assert np.isnan(data.inputs["income"][1])
    assert data.inputs["colour"] == ["red", None]
    assert data.labels.tolist() == [1, 0]
    assert data.slices["site"].tolist() == ["a", "b"]


@pytest.mark.parametrize(("text", "row"), [("a,b\n1,2\n3\n", 1), ("a,b\n1,2,3\n", 0), ("a,b\n", None)])
def test_a_broken_csv_names_the_row(text: str, row: int | None, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read(str(tmp_path / "rows.csv"))
    assert caught.value.row == row


@pytest.mark.parametrize("word", ["rows.parquet", "absent.csv", "absent.npz"])
def test_what_is_no_data(word: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read(str(tmp_path / word))


def test_a_slice_that_is_not_a_column(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.zeros(3))
    with pytest.raises(InputError, match="no such column"):
        read(str(tmp_path / "rows.npz"), slices=["site"])


@pytest.mark.parametrize("content", [b"", b"\xff\x00garbage" * 20, b"PK\x03\x04 no archive", b"\x80\x04cos\nsystem\n."])
def test_a_file_that_is_no_npz_is_usage(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="npz"):
        read(str(path))


def test_objects_in_an_npz_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.array([Path("anything")], dtype=object))
    with pytest.raises(InputError, match="unpickling"):
        read(str(tmp_path / "rows.npz"))


def test_rows_that_are_not_there_are_missing_and_not_of_a_wrong_kind(tmp_path: Path) -> None:
    for name in ("test.npz", "test.csv"):
        with pytest.raises(InputError, match=r"There is no such file.*'truth' for the truth"):
            read(str(tmp_path / name), label="truth")
    with pytest.raises(InputError, match="not labelled data"):
        read(str(tmp_path / "test.parquet"))
