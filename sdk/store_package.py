"""How a package lies in a store: its blobs and OCI manifests, and the read-only folder that `pull` hands out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .core.errors import FormatError, IntegrityError
from .core.folder import Source, put
from .core.manifest import Annotations, FileEntry, Manifest
from .core.package import MANIFEST, Package, check_listed, open_folder, sync_tree
from .store_artifact import (
    ANNOTATIONS,
    EMPTY,
    OCI_MANIFEST,
    PACKAGE,
    ArtifactManifest,
    Descriptor,
    artifact_manifest,
    notes_config,
    package_config,
    parse_notes,
)
from .store_index import Version
from .store_layout import Layout


def put_blob(layout: Layout, media_type: str, data: bytes) -> Descriptor:
    """Store bytes and describe them."""
    return Descriptor(media_type, layout.put_bytes(data), len(data))


def put_content(layout: Layout, package: Package) -> Descriptor:
    """Store the digested half of a package; its OCI manifest. Raises IntegrityError where a file changed."""
    for path, entry in package.content.files.items():
        layout.put_file(package.path, path, entry)
    config = put_blob(layout, PACKAGE, package_config(package.manifest))
    return put_artifact(layout, PACKAGE, config, package.content.files)


def put_notes(layout: Layout, subject: Descriptor, given: Annotations, extra: Mapping[str, Any], held: Version | None) -> Descriptor:
    """Store annotations, over those that the version has; their OCI manifest. Files of `given` are stored already."""
    old, kept = read_notes(layout, held) if held else (Annotations(), {})
    merged = replace(given, fields={**old.fields, **given.fields}, files={**old.files, **given.files}, extra={**old.extra, **given.extra})
    config = put_blob(layout, ANNOTATIONS, notes_config(merged, {**kept, **extra}))
    return put_artifact(layout, ANNOTATIONS, config, merged.files, Descriptor(subject.media_type, subject.digest, subject.size))


def put_artifact(layout: Layout, kind: str, config: Descriptor, files: Mapping[str, FileEntry],
                 subject: Descriptor | None = None) -> Descriptor:  # fmt: skip
    """Store an OCI manifest over blobs that are stored already."""
    layout.put_bytes(EMPTY)
    return put_blob(layout, OCI_MANIFEST, artifact_manifest(kind, config, files, subject))


def put_source(layout: Layout, source: Source) -> FileEntry:
    """Store an annotation file."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    layout.put_bytes(data)
    return FileEntry.of(data)


def read_artifact(layout: Layout, descriptor: Descriptor) -> ArtifactManifest:
    """An OCI manifest. Raises IntegrityError, FormatError."""
    return ArtifactManifest.parse(layout.read_blob(descriptor.digest, descriptor.size), "An OCI manifest in the store")


def read_config(layout: Layout, manifest: ArtifactManifest) -> bytes:
    """The config blob of an OCI manifest. Raises IntegrityError, FormatError."""
    if manifest.config is None:
        raise FormatError("An OCI manifest in the store has no config")
    return layout.read_blob(manifest.config.digest, manifest.config.size)


def read_notes(layout: Layout, version: Version) -> tuple[Annotations, dict[str, Any]]:
    """(annotations, unknown fields of manifest.json) of a version."""
    return parse_notes(read_config(layout, read_artifact(layout, version.notes)))


def read_version(layout: Layout, version: Version) -> Manifest:
    """The whole manifest of a version, compared with the index and with its OCI manifest.

    Raises IntegrityError where they disagree or a blob is damaged, FormatError where a path leaves the package.
    """
    described = read_artifact(layout, version.manifest)
    manifest = Manifest.from_json(read_config(layout, described))
    if manifest.digest != version.digest or manifest.content.parents != version.parents:
        raise IntegrityError(f"{version.ref} is not the package that the index says", got=manifest.digest, expected=version.digest)
    expected = {path: (f"sha256:{entry.sha256}", entry.size) for path, entry in manifest.content.files.items()}
    if described.files() != expected:
        raise IntegrityError(f"The OCI manifest of {version.ref} lists other files than its package")
    notes, extra = read_notes(layout, version)
    whole = replace(manifest, annotations=notes, extra=extra).annotate(name=version.name, version=version.number)
    check_listed(whole)
    return whole


def cached(layout: Layout, version: Version, trust: bool) -> Package:
    """The folder of a version, verified; made where it is missing, and anew where somebody changed it."""
    manifest = read_version(layout, version)
    label = f"{version.name.replace('/', '_')}-{version.notes.digest[7:23]}"
    folder = layout.cache / version.digest.removeprefix("sha256:") / label
    try:
        held = open_folder(folder, version.digest, trust)
        if held.manifest == manifest:
            return held
    except (FormatError, IntegrityError):
        pass  # absent, or changed by somebody: made from the blobs below, or refused there
    with layout.workspace() as space:
        _fill(layout, manifest, space / "package")
        folder.parent.mkdir(parents=True, exist_ok=True)
        _swap(space / "package", folder, space / "old")
    return Package(folder.resolve(), manifest, trust)


def _fill(layout: Layout, manifest: Manifest, folder: Path) -> None:
    """Make the folder of links to blobs and read all of it once, as any package is."""
    files = {**manifest.content.files, **manifest.annotations.files}
    for path, entry in files.items():
        _link(layout.blob(f"sha256:{entry.sha256}"), folder / path)
    put(folder / MANIFEST, manifest.to_json().encode())
    (folder / MANIFEST).chmod(0o444)
    try:
        open_folder(folder, manifest.digest)
    except IntegrityError as error:
        raise IntegrityError(f"A blob of the store is damaged: {error.what}", got=error.got, expected=error.expected,
                             fix="Push the package again from where it came, which replaces the blob.") from error  # fmt: skip
    sync_tree(folder)


def _link(blob: Path, target: Path) -> None:
    if blob.is_symlink() or not blob.is_file():
        raise IntegrityError("A blob of the store is missing or a link", got=str(blob),
                             fix="Push the package again from where it came, which replaces the blob.")  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(blob, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(blob, target)
        target.chmod(0o444)


def _swap(made: Path, folder: Path, aside: Path) -> None:
    """Put a folder in place; where another process was first, the two are the same."""
    if folder.exists():
        folder.rename(aside)
    try:
        made.rename(folder)
    except OSError:
        if not (folder / MANIFEST).exists():
            raise
