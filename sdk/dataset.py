"""Datasets of labelled rows: a folder named by its content, made by `portside review dataset`, read here as `ps.Data`.

    datasets/cells/versions.json              [{"version": 1, "digest": "sha256:...", "made_ms": ...}, ...]
    datasets/cells/<digest>/manifest.json     what it holds and where it came from
                            rows.jsonl        one row a line: inputs, label, author, split, selection, weight
                            files/<sha256>.png   pictures and sounds, as they came

The digest is that of the manifest, which names that of the rows, which name those of the files: what is read is what was hashed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from .core.canonical import digest_of, digest_of_bytes, read_json, read_object
from .core.data import Data
from .core.errors import FormatError, InputError, IntegrityError
from .core.signature import Array

FORMAT, VERSION = "portside-dataset", 1
MANIFEST, ROWS, FILES, VERSIONS = "manifest.json", "rows.jsonl", "files", "versions.json"


@dataclass(frozen=True)
class Dataset:
    """A dataset that was opened and checked.

    Attributes:
        folder: where it lies.
        manifest: what it holds and where it came from.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Of everything in it."""
        return self.manifest["digest"]

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """One mapping per row, as rows.jsonl has them. Raises IntegrityError."""
        content = _read(self.folder / ROWS)
        if digest_of_bytes(content) != self.manifest["rows_digest"]:
            raise IntegrityError("The rows of this dataset are not those that were written", got=str(self.folder / ROWS))
        return [cast("dict[str, Any]", read_json(line, ROWS)) for line in content.splitlines()]

    def data(self, split: str | None = None, output: str | None = None) -> Data:
        """Inputs as a package takes them, labels of one output, and slices by author, source, reason and split.

        Args:
            split: only its rows; default: all that are in one.
            output: default: the only one that is labelled.

        Raises InputError: there is no such split or output. IntegrityError: a file is not what was written.
        """
        held, name = self._of(split), output or self._only_output()
        if not any(name in row["label"] for row in held):
            raise InputError("No row is labelled with this output", field="output", got=name, expected=", ".join(self.manifest["outputs"]))
        held = [row for row in held if row["label"].get(name) is not None]
        inputs = {field: column([self._value(row["inputs"].get(field)) for row in held]) for field in self.manifest["fields"]}
        slices = {key: np.array([str(row[key]) for row in held], dtype=object) for key in ("split", "author", "source", "reason")}
        return Data(inputs, np.array([row["label"][name] for row in held]), slices)

    def weights(self, split: str | None = None, output: str | None = None) -> Array:
        """One number per row of `data`: 1 / the probability with which it was chosen. Sums over the rows, weighted so, are unbiased for
        all answers (Horvitz and Thompson, 1952)."""
        name = output or self._only_output()
        return np.array([row["weight"] for row in self._of(split) if row["label"].get(name) is not None], dtype=np.float64)

    def _of(self, split: str | None) -> list[dict[str, Any]]:
        if split is not None and split not in self.manifest["splits"]["rows"]:
            raise InputError("There is no such split", field="split", got=split, expected=", ".join(self.manifest["splits"]["rows"]))
        return [row for row in self.rows if row["split"] is not None and split in (None, row["split"])]

    def _only_output(self) -> str:
        names = list(self.manifest["outputs"])
        if len(names) != 1:
            raise InputError("Several outputs are labelled; say which", field="output", expected=", ".join(names))
        return names[0]

    def _value(self, held: Any) -> Any:
        """An input: itself, or what its file holds."""
        if not isinstance(held, dict) or "file" not in held:
            return held
        entry = cast("Mapping[str, Any]", held)
        content = _read(self.folder / FILES / entry["file"])
        if digest_of_bytes(content) != f"sha256:{entry['file'].partition('.')[0]}":
            raise IntegrityError("A file of this dataset is not the one that was written", got=entry["file"])
        return np.load(io.BytesIO(content), allow_pickle=False) if entry["file"].endswith(".npy") else content


def dataset(path: str | Path, version: int | None = None) -> Dataset:
    """Open a dataset and check its manifest.

    Args:
        path: the folder of one, or one that holds versions.
        version: which; default: the newest.

    Raises FormatError: there is none. IntegrityError: it was changed.
    """
    folder = Path(path)
    known = versions(folder)
    if known:
        entry = known[-1] if version is None else next((one for one in known if one["version"] == version), None)
        if entry is None:
            raise FormatError("There is no such version of this dataset", got=version, expected=f"1 to {known[-1]['version']}")
        folder = folder / str(entry["digest"]).removeprefix("sha256:")
    if not (folder / MANIFEST).is_file():
        raise FormatError("There is no dataset in this folder", got=str(folder), fix="portside review dataset writes one.")
    manifest = read_object(_read(folder / MANIFEST), MANIFEST)
    if manifest.get("format") != FORMAT or manifest.get("version") != VERSION:
        raise FormatError("This dataset was written by another version of Portside", got=manifest.get("version"), expected=VERSION)
    content = {key: value for key, value in manifest.items() if key != "digest"}
    if manifest.get("digest") != digest_of(content):
        raise IntegrityError("The manifest of this dataset was changed", got=str(folder), expected=manifest.get("digest"))
    return Dataset(folder, manifest)


def versions(folder: Path) -> list[dict[str, Any]]:
    """[{"version", "digest", "made_ms"}] of a folder that holds versions, the newest last; none where it holds none."""
    path = folder / VERSIONS
    return cast("list[dict[str, Any]]", read_json(_read(path), VERSIONS)) if path.is_file() else []


def column(values: Sequence[Any]) -> Any:
    """Rows of one wire field: an array where all are numbers or arrays of one shape, else a list."""
    if all(isinstance(value, np.ndarray) for value in values) and len({value.shape for value in values}) == 1:
        return np.stack(values)
    if values and all(isinstance(value, int | float | None) and not isinstance(value, bool) for value in values):
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    if values and all(isinstance(value, list) for value in values):
        try:
            return np.array(json.loads(json.dumps(values)), dtype=np.float64)
        except (ValueError, TypeError):  # rows of different lengths, or of texts
            return list(values)
    return list(values)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"A file of this dataset cannot be read: {error.strerror or error}", got=str(path)) from error
