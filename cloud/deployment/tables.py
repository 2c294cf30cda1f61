"""Tables of precomputed answers, held against a signature when a deployment is read: every row is an answer the champion could give."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from ...sdk.core.door import Door
from ...sdk.core.errors import FormatError, InputError
from ...sdk.core.signature import MISSING_CODE, NUMPY, UNKNOWN_CODE, Array, Signature, TensorSpec
from .table_files import Columns, read_columns

By: TypeAlias = Literal["content", "entity"]
FORMAT = 1
KEY_HEX = 32


@dataclass(frozen=True)
class Table:
    """Answers by key.

    Attributes:
        name: of the file. digest: sha256 of its bytes.
        by: what the keys are.
        places: key (16 bytes of a row's content, or an entity) -> row.
        outputs: name -> column, in the signature's dtype, rows along the first axis.
    """

    name: str
    digest: str
    by: By
    places: Mapping[bytes | str, int] = field(repr=False)
    outputs: Mapping[str, Array] = field(repr=False)

    def __len__(self) -> int:
        return len(self.places)


def read_table(path: Path, by: By, signature: Signature, front: str) -> Table:
    """Read a file and check every row of it.

    Args:
        path: .npz, .jsonl or .parquet (table_files.py).
        by: what its keys are.
        signature: whose outputs they have to be.
        front: digest of the champion's codec and inputs; keys by content that were made behind another would never be found.

    Raises:
        FormatError: not there, of another kind, or a row that is no answer; names the row, counted from 0.
    """
    columns = read_columns(path, "key" if by == "content" else "entity")
    _check_about(path, by, columns.about, front)
    if not columns.keys:
        raise FormatError(f"{path.name} holds no precomputed answer")
    with path.open("rb") as file:
        digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    return Table(path.name, digest, by, _places(path, by, columns.keys), checked_outputs(path, signature, columns))


def checked_outputs(path: Path, signature: Signature, columns: Columns) -> dict[str, Array]:
    """The columns in the signature's dtypes. Raises FormatError naming output and row."""
    names = [spec.name for spec in signature.outputs]
    if wrong := sorted(set(names) ^ set(columns.outputs)):
        word = "lacks the" if wrong[0] in names else "has an unknown"
        raise FormatError(f"{path.name} {word} output {wrong[0]!r}", got=", ".join(columns.outputs), expected=", ".join(names))
    specs = tuple(_strict(path, spec) for spec in signature.outputs)
    given = {spec.name: _codes(spec, columns.outputs[spec.name]) for spec in specs}
    try:
        arrays = Door(Signature(specs, ())).check(given).arrays
    except InputError as error:
        row = "" if error.row is None else f", row {error.row}"
        raise FormatError(f"{path.name}{row}: not an answer that the signature allows: {error.what}", got=error.got,
                          expected=error.expected) from error  # fmt: skip
    if wrong := [name for name, array in arrays.items() if len(array) != len(columns.keys)]:
        raise FormatError(f"{path.name}: {wrong[0]!r} has another number of rows than there are keys", got=len(arrays[wrong[0]]),
                          expected=len(columns.keys))  # fmt: skip
    return {spec.name: arrays[spec.name].astype(NUMPY[spec.dtype], copy=False) for spec in specs}


def _check_about(path: Path, by: By, about: Mapping[str, Any], front: str) -> None:
    if about and about.get("format") != FORMAT:
        raise FormatError(f"{path.name} was written by another version of Portside", got=about.get("format"), expected=FORMAT)
    if about.get("by", by) != by:
        raise FormatError(f"{path.name} holds answers by {about['by']}", expected=f"by {by}", fix=f'Say by = "{about["by"]}".')
    if by == "content" and about.get("front") != front:
        raise FormatError(f"The keys of {path.name} were made behind another codec or other inputs, so none would be found",
                          got=about.get("front"), expected=front, fix="Run portside precompute with this deployment.")  # fmt: skip


def _places(path: Path, by: By, keys: Sequence[Any]) -> dict[bytes | str, int]:
    places: dict[bytes | str, int] = {}
    for row, key in enumerate(keys):
        place = _key(path, by, key, row)
        if places.setdefault(place, row) != row:
            raise FormatError(f"{path.name}, row {row}: the key stands in row {places[place]} too", got=repr(key))
    return places


def _key(path: Path, by: By, key: Any, row: int) -> bytes | str:
    if by == "entity":
        if isinstance(key, str) and 0 < len(key) <= 256:
            return key
        raise FormatError(f"{path.name}, row {row}: an entity is text of 1 to 256 characters", got=repr(key)[:80])
    try:
        if isinstance(key, str) and len(key) == KEY_HEX:
            return bytes.fromhex(key)
    except ValueError:
        pass
    raise FormatError(f"{path.name}, row {row}: a key by content is {KEY_HEX} hexadecimal digits", got=repr(key)[:80])


def _strict(path: Path, spec: TensorSpec) -> TensorSpec:
    """The output as an input that nothing unusual passes, rows first."""
    if spec.batch_axis is None:
        raise FormatError(f"{path.name}: the output {spec.name!r} has no row of its own, so it cannot be precomputed")
    rest = tuple(size for axis, size in enumerate(spec.shape) if axis != spec.batch_axis)
    return TensorSpec(spec.name, spec.dtype, ("row", *rest), 0, range=spec.range, on_range="reject", categories=spec.categories,
                      on_unknown="reject", missing=spec.missing)  # fmt: skip


def _codes(spec: TensorSpec, values: Any) -> Any:
    """Names of categories as codes; codes stay."""
    if spec.categories is None:
        return values
    table: dict[Any, int] = {None: MISSING_CODE, **{name: code for code, name in enumerate(spec.categories)}}
    held = np.asarray(values)
    if held.dtype.kind in "iu":
        return held
    flat = [value if isinstance(value, int) else table.get(value, UNKNOWN_CODE) for value in held.ravel().tolist()]
    return np.array(flat, np.int64).reshape(held.shape)
