"""Labelled data from the command line: FILE.py:OBJECT, an .npz file, or a .csv file with a head line."""

from __future__ import annotations

import csv
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ...runtimes.subjects import codec_of
from ..core.data import Data
from ..core.errors import InputError
from ..core.signature import Array
from .models import Model
from .objects import load_object

LABEL = "label"
"""The column of labels where nobody names another."""


def arguments(parser: ArgumentParser) -> None:
    """The options that say which columns are labels and slices."""
    parser.add_argument("--label", default=LABEL, help=f"the column of a .csv or .npz file that holds the truth (default: {LABEL})")
    parser.add_argument("--slice", action="append", default=[], metavar="COLUMN", help="a column to report apart; may be repeated")


def data_words(word: str, args: Namespace) -> list[str]:
    """`--data WORD` with the label and slices that were given: what another command has to be told to read the same rows."""
    label = [] if args.label == LABEL else ["--label", args.label]
    return ["--data", word, *label, *(part for column in args.slice for part in ("--slice", column))]


def rows_of(word: str, args: Namespace, model: Model, *, judged: bool = True) -> Data:
    """The rows of an option for a model. Rows that nothing is judged on, as those of calibration, may lack columns to slice by.

    Raises InputError, which names the file: a command may have several.
    """
    return fitting(read(word, args.label, args.slice, judged=judged), model, word)


def read(word: str, label: str = LABEL, slices: Sequence[str] = (), *, judged: bool = True) -> Data:
    """The data that a word names; columns to slice by are among the inputs too (see `fitting`). Raises InputError."""
    path = Path(word)
    if path.suffix in (".npz", ".csv") and path.is_file():
        columns = _npz_columns(path) if path.suffix == ".npz" else _csv_columns(path)
        return _split(columns, label, slices if judged else [name for name in slices if name in columns], word)
    if ":" in word:
        return load_object(word, Data)
    if path.suffix in (".npz", ".csv"):
        held = f"numpy.savez of an array per input, and {label!r} for the truth; in a .csv they are columns"
        raise InputError("There is no such file", got=word, expected=held)
    raise InputError("This is not labelled data", got=word, expected="FILE.py:OBJECT, an .npz file or a .csv file")


def _npz_columns(path: Path) -> dict[str, Array]:
    """The arrays of a file; objects, which would be unpickled, are refused."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except (ValueError, TypeError, OSError, EOFError, AttributeError, BadZipFile) as error:
        raise InputError("This .npz file cannot be read without unpickling, or at all", got=f"{path}: {str(error).splitlines()[0][:100]}",
                         expected="numpy.savez of arrays of numbers or texts") from error  # fmt: skip


def fitting(data: Data, model: Model, word: str = "the data") -> Data:
    """The data, which errors call `word`, without the inputs that are columns to slice by and nothing that the model takes."""
    taken = {field.name for field in codec_of(model).wire_fields(model.signature)}
    if odd := [name for name in data.inputs if name not in taken and name not in data.slices]:
        raise InputError(f"A column of {word} is neither an input nor the label", field=odd[0], expected=", ".join(sorted(taken)),
                         fix=f"Name it with --slice {odd[0]} or --label {odd[0]}, or leave it out.")  # fmt: skip
    return replace(data, inputs={name: held for name, held in data.inputs.items() if name in taken or name not in data.slices})


def _split(columns: dict[str, Any], label: str, slices: Sequence[str], word: str) -> Data:
    if absent := [name for name in slices if name not in columns]:
        raise InputError(f"{word} has no such column to slice by", got=absent[0], expected=", ".join(columns))
    inputs = {name: values for name, values in columns.items() if name != label}
    return Data(inputs=inputs, labels=columns.get(label), slices={name: np.asarray(columns[name]) for name in slices})


def _csv_columns(path: Path) -> dict[str, Any]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    if not rows:
        raise InputError("The file holds no row", got=str(path))
    for number, row in enumerate(rows):
        if None in row or None in row.values():
            raise InputError(f"{path} has a row with another number of columns than its head line", row=number)
    return {name: _column([row[name] for row in rows]) for name in rows[0]}


def _column(cells: list[str]) -> Array | list[str | None]:
    """Whole numbers, else numbers with empty cells as NaN, else text with empty cells as None."""
    for dtype in (np.int64, np.float64):
        try:
            return np.array([cell or "nan" if dtype is np.float64 else cell for cell in cells]).astype(dtype)
        except ValueError:
            continue
    return [cell or None for cell in cells]
