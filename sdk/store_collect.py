"""What a store can lose and what it has lost: the garbage collector and the file-system check."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .core.errors import IntegrityError, PortsideError
from .core.folder import entry_of
from .core.manifest import Manifest
from .store_artifact import Descriptor
from .store_index import Index
from .store_layout import Layout
from .store_package import read_artifact, read_version


@dataclass(frozen=True)
class Freed:
    """What the collector removed: number of blobs, and bytes."""

    blobs: int
    size_bytes: int


@dataclass(frozen=True)
class Problem:
    """Something wrong in a store: where, and the error that says what to do."""

    where: str
    error: PortsideError

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"where": self.where, **self.error.to_dict()}


def collect(layout: Layout, index: Index, caches: bool) -> Freed:
    """Remove unreferenced blobs. The caller is alone in the store.

    Raises IntegrityError, removing nothing, where a manifest is damaged: what it refers to is then not known.
    """
    needed: set[str] = set()
    for root in roots(index):
        _mark(layout, root, needed)
    freed = [(path, path.stat().st_size) for path in layout.blobs.iterdir() if f"sha256:{path.name}" not in needed]
    for path, _ in freed:
        path.unlink()
    for path in layout.staging.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if caches and layout.cache.exists():
        shutil.rmtree(layout.cache)
    return Freed(len(freed), sum(size for _, size in freed))


def roots(index: Index) -> Iterable[Descriptor]:
    """Descriptors that the index keeps alive."""
    for version in index.versions.values():
        yield from (version.manifest, version.notes)
    yield from index.evidence.values()
    yield from index.releases.values()
    yield from index.others


def examine(layout: Layout, index: Index) -> tuple[Problem, ...]:
    """Every problem of a store: versions that do not open, blobs that are not their digest."""
    problems: list[Problem] = []
    for version in index.versions.values():
        problems += _trial(version.ref, lambda version=version: _check_version(layout, read_version(layout, version)))
    for digest, descriptor in index.evidence.items():
        problems += _trial(f"evidence {digest}", lambda descriptor=descriptor: _check_tree(layout, descriptor))
    for digest, descriptor in index.releases.items():
        problems += _trial(f"release {digest}", lambda descriptor=descriptor: _check_release(layout, descriptor))
    for path in sorted(layout.blobs.iterdir()) if layout.blobs.exists() else ():
        problems += _trial(f"blobs/sha256/{path.name}", lambda name=path.name: _check_blob(layout, name))
    return tuple(problems)


def _mark(layout: Layout, descriptor: Descriptor, needed: set[str]) -> None:
    if descriptor.digest in needed:
        return
    needed.add(descriptor.digest)
    manifest = read_artifact(layout, descriptor)
    needed |= {blob.digest for blob in (*([manifest.config] if manifest.config else []), *manifest.layers)}
    for nested in manifest.nested:
        _mark(layout, nested, needed)


def _trial(where: str, check: Callable[[], None]) -> list[Problem]:
    try:
        check()
    except PortsideError as error:
        return [Problem(where, error)]
    return []


def _check_version(layout: Layout, manifest: Manifest) -> None:
    for entry in (*manifest.content.files.values(), *manifest.annotations.files.values()):
        layout.audit_blob(f"sha256:{entry.sha256}", entry.size)


def _check_release(layout: Layout, descriptor: Descriptor) -> None:
    for nested in read_artifact(layout, descriptor).nested:
        _check_tree(layout, nested)


def _check_tree(layout: Layout, descriptor: Descriptor) -> None:
    manifest = read_artifact(layout, descriptor)
    for blob in (*([manifest.config] if manifest.config else []), *manifest.layers):
        layout.audit_blob(blob.digest, blob.size)


def _check_blob(layout: Layout, name: str) -> None:
    path = layout.blob(f"sha256:{name}")
    if path.is_symlink() or not path.is_file() or entry_of(path).sha256 != name:
        raise IntegrityError("A blob of the store is damaged", got=str(path),
                             fix="Push what it belongs to again; if nothing refers to it, run: portside store gc")  # fmt: skip
