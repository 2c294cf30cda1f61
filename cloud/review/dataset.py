"""Writing a dataset: labelled rows with their files and provenance, split so that nothing leaks, in a folder named by its content.

The same rows, options and Portside give the same digest on any machine at any time; nothing in the folder says when or where it was made.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ...sdk.core.canonical import canonical_json, digest_of, digest_of_bytes
from ...sdk.core.errors import InputError, StoreError
from ...sdk.core.likeness import NEAR
from ...sdk.core.signature import Array
from ...sdk.core.splits import Member, by_hash, by_time, groups
from ...sdk.core.staging import staging
from ...sdk.dataset import FILES, FORMAT, MANIFEST, ROWS, VERSION, VERSIONS, Dataset, dataset, versions
from . import likeness
from .gathering import Labelled
from .likeness import prints_of
from .payload import NPY, Part

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/bmp": "bmp", "image/webp": "webp", "image/tiff": "tif",
              "audio/wav": "wav", "audio/ogg": "ogg", "audio/flac": "flac", "audio/mpeg": "mp3", NPY: "npy"}  # fmt: skip
LARGE = ("image", "audio", "text", "file")
"""Kinds of fields whose content alone ties two rows together."""


@dataclass(frozen=True)
class Options:
    """How rows are split.

    Attributes:
        how: "hash": at random, stable while the dataset grows. "time": the latest rows test.
        fractions: split -> share of groups ("hash") or rows ("time").
        seed: of "hash".
        near: pictures whose thumbnails correlate so much go together (sdk/core/likeness.py); None: only those that are the same bytes.
    """

    how: Literal["hash", "time"] = "hash"
    fractions: Mapping[str, float] = field(default_factory=lambda: {"train": 0.8, "validation": 0.1, "test": 0.1})
    seed: int = 0
    near: float | None = None

    def __post_init__(self) -> None:
        if self.near is not None and not 0.9 <= self.near <= 1:
            raise InputError("How near pictures are is a correlation", field="near", got=self.near, expected=f"0.9 to 1, such as {NEAR}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; what is not said is not there."""
        data = {**asdict(self), "fractions": dict(self.fractions)}
        return data if self.near is not None else {name: value for name, value in data.items() if name != "near"}


def write(rows: Iterable[Labelled], out: Path, name: str, options: Options = Options(), classes: Sequence[str] | None = None,
          now_ms: int = 0) -> tuple[Dataset, int]:  # fmt: skip
    """Write a dataset below `out` and give it the next version; the same content keeps its version.

    Args:
        name: what it is called, for people.
        classes: names of the codes of the reviewed output.

    Returns (the dataset, its version). Raises InputError without rows, StoreError where it cannot be written.
    """
    try:
        with staging(out / "dataset") as folder:
            manifest = _fill(folder, rows, name, options, classes)
            place = out / manifest["digest"].removeprefix("sha256:")
            if not place.exists():
                os.replace(folder, place)
            return dataset(place), _version(out, manifest["digest"], now_ms)
    except OSError as error:
        raise StoreError(f"The dataset cannot be written: {error.strerror or error}", got=str(out), fix="Name another --out.") from error


def ties(row: Labelled) -> tuple[str, ...]:
    """What this row shares with others that it must not be parted from: its entity, all of its content, each large part of it."""
    whole = digest_of([[part.field, part.digest] for part in row.parts])
    found = [f"content:{whole}", *(f"part:{part.digest}" for part in row.parts if part.kind in LARGE)]
    texts = (part.value for part in row.parts if part.kind == "text")
    found += [f"text:{digest_of_bytes(' '.join(text.casefold().split()).encode())}" for text in texts]
    return (f"entity:{row.entity}", *found) if row.entity is not None else tuple(found)


def _fill(folder: Path, rows: Iterable[Labelled], name: str, options: Options, classes: Sequence[str] | None) -> dict[str, Any]:
    """Write everything into an empty folder; the manifest. Files are held one row at a time."""
    folder.chmod(0o755)
    (folder / FILES).mkdir()
    held, lines, prints = list[Labelled](), list[dict[str, Any]](), dict[str, tuple[Array, ...]]()
    for row in rows:
        lines.append(_line(row, folder / FILES))
        if options.near is not None:
            prints[row.key] = prints_of(row.parts)
        held.append(replace(row, parts=tuple(replace(part, data=None) for part in row.parts)))
    if not held:
        raise InputError("No row is labelled yet, so there is nothing to write", fix="Review some first, or ask for another time.")
    near = {} if options.near is None else likeness.ties(prints, options.near)
    members = [Member(row.key, (*ties(row), *near.get(row.key, ())), row.created_ms) for row in held]
    places = by_time(members, options.fractions) if options.how == "time" else by_hash(members, options.fractions, options.seed)
    lines = [{**line, "split": place} for line, place in zip(lines, places, strict=True)]
    content = b"".join(canonical_json(line) + b"\n" for line in lines)
    _put(folder / ROWS, content)
    described = _described(held, lines, name, options, classes, len(set(groups(members))), content)
    manifest = {**described, "digest": digest_of(described)}
    _put(folder / MANIFEST, (json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode())
    return manifest


def _described(rows: Sequence[Labelled], lines: Sequence[Mapping[str, Any]], name: str, options: Options, classes: Sequence[str] | None,
               count: int, content: bytes) -> dict[str, Any]:  # fmt: skip
    """The manifest without its digest."""
    placed = Counter(line["split"] for line in lines)
    kinds = {part.field: part.kind for row in rows for part in row.parts}
    split = {**options.to_dict(), "groups": count, "left_out": placed.pop(None, 0),
             "rows": {part: placed.get(part, 0) for part in options.fractions}}  # fmt: skip
    return {
        "format": FORMAT, "version": VERSION, "name": name, "rows_digest": digest_of_bytes(content), "fields": dict(sorted(kinds.items())),
        "outputs": sorted({output for line in lines for output in line["label"]}), "classes": None if classes is None else list(classes),
        "splits": split, "provenance": _provenance(rows),
    }  # fmt: skip


def _provenance(rows: Sequence[Labelled]) -> dict[str, Any]:
    """Where the rows came from: by deployment, package, author, source and reason, from when to when, chosen how."""
    counted = {
        "deployments": [row.deployment for row in rows], "packages": [row.package for row in rows], "reasons": [row.reason for row in rows],
        "authors": [row.label.author for row in rows], "sources": [row.label.source for row in rows],
    }  # fmt: skip
    spans = {"selection": [row.selection for row in rows], "asked_ms": [row.created_ms for row in rows],
             "labelled_ms": [row.label.at_ms for row in rows]}  # fmt: skip
    return {
        "rows": len(rows), "records": len({row.record for row in rows}), **{what: [min(held), max(held)] for what, held in spans.items()},
        **{what: dict(sorted(Counter(values).items())) for what, values in counted.items()},
    }  # fmt: skip


def _line(row: Labelled, files: Path) -> dict[str, Any]:
    """One row of rows.jsonl, but its split; its files are written."""
    label = row.label
    return {
        "record": row.record, "row": row.row, "review": row.review, "deployment": row.deployment, "package": row.package,
        "entity": row.entity, "inputs": {part.field: _input(part, files) for part in row.parts}, "model": {row.output: row.model},
        "label": {name: value for name, value in label.values.items() if value is not None}, "label_id": label.id, "note": label.note,
        "author": label.author, "source": label.source, "labelled_ms": label.at_ms, "asked_ms": row.created_ms, "reason": row.reason,
        "selection": row.selection, "weight": 1 / row.selection if row.selection > 0 else 0.0,
    }  # fmt: skip


def _input(part: Part, files: Path) -> Any:
    if part.data is None:
        return part.value
    name = f"{part.digest.removeprefix('sha256:')}.{EXTENSIONS.get(part.media or '', 'bin')}"
    if not (files / name).exists():
        _put(files / name, part.data)
    more = {"rate": part.value["rate"]} if part.kind == "audio" and part.media == NPY else {}
    return {"file": name, "kind": part.kind, **more}


def _version(out: Path, digest: str, now_ms: int) -> int:
    """The version of this content; a new one where it is new."""
    known = versions(out)
    held = next((entry["version"] for entry in known if entry["digest"] == digest), None)
    if held is None:
        held = known[-1]["version"] + 1 if known else 1
        draft = out / f".{VERSIONS}.{os.getpid()}"
        _put(draft, (json.dumps([*known, {"version": held, "digest": digest, "made_ms": now_ms}], indent=1) + "\n").encode())
        os.replace(draft, out / VERSIONS)
    return held


def _put(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
