"""How a release lies in a store: an OCI index over the package's manifest and one manifest per compiled artifact.

An artifact's config blob is its own `artifact.json`, every other file a layer; its `subject` is the package. So any OCI
tool can copy a release, and equal files (weights, an engine) are stored once however many releases hold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .core.canonical import canonical_json, read_object
from .core.errors import FormatError, IntegrityError
from .core.folder import check_free, check_path, check_paths, put
from .core.manifest import FileEntry
from .core.package import sync_folder, sync_tree
from .core.release import Release, ReleasePart, ordered, part_notes, part_of
from .core.staging import staging
from .store_artifact import OCI_INDEX, OCI_MANIFEST, PACKAGE, RELEASE, RUNTIME_ARTIFACT, Descriptor
from .store_index import Version
from .store_layout import Layout
from .store_package import put_artifact, put_blob, read_artifact, read_config

DESCRIPTION = "artifact.json"
_NAME, _PACKAGE = "vnd.portside.name", "vnd.portside.digest"


@dataclass(frozen=True)
class Compiled:
    """An artifact folder on its way into a store.

    Attributes:
        part: how the release lists it.
        path: the folder, audited.
        files: its files without artifact.json.
    """

    part: ReleasePart
    path: Path
    files: Mapping[str, FileEntry]


def put_release(layout: Layout, version: Version, compiled: Sequence[Compiled]) -> tuple[Release, Descriptor]:
    """Store the artifacts and the index over them. Raises FormatError, and IntegrityError where a file changed meanwhile."""
    parts = ordered([item.part for item in compiled])
    subject = Descriptor(version.manifest.media_type, version.manifest.digest, version.manifest.size)
    held = {(item.part.target, item.part.platform): _put_compiled(layout, item, subject) for item in compiled}
    entries = [replace(subject, artifact_type=PACKAGE)]
    entries += [replace(held[part.target, part.platform], artifact_type=RUNTIME_ARTIFACT, annotations=part_notes(part)) for part in parts]
    text = canonical_json({
        "schemaVersion": 2, "mediaType": OCI_INDEX, "artifactType": RELEASE,
        "manifests": [entry.to_dict() for entry in entries], "annotations": {_NAME: version.name, _PACKAGE: version.digest},
    })  # fmt: skip
    described = put_blob(layout, OCI_INDEX, text)
    return Release(version.name, version.digest, parts, described.digest), described


def read_release(layout: Layout, descriptor: Descriptor) -> Release:
    """A release from its index. Raises IntegrityError, FormatError."""
    data = read_object(layout.read_blob(descriptor.digest, descriptor.size), "The index of a release")
    notes = data.get("annotations")
    if data.get("artifactType") != RELEASE or not isinstance(notes, Mapping):
        raise FormatError("An entry of the store is not a release", got=data.get("artifactType"))
    parts = ordered([part_of(entry.annotations) for entry in _artifacts(layout, descriptor)])
    try:
        return Release(notes[_NAME], notes[_PACKAGE], parts, descriptor.digest)
    except KeyError as error:
        raise FormatError(f"The index of a release lacks {error}") from error


def write_artifact(layout: Layout, descriptor: Descriptor, part: ReleasePart, out: Path) -> Path:
    """The files of one artifact of a release in a new folder, every byte compared with its digest.

    Raises StoreError where the folder is not empty, IntegrityError for a damaged blob, and for another artifact than the release says.
    """
    entry = next(entry for entry in _artifacts(layout, descriptor) if part_of(entry.annotations) == part)
    manifest = read_artifact(layout, entry)
    description = read_config(layout, manifest)
    _check_part(description, part, read_release(layout, descriptor).package)
    _check_names(manifest.files())
    check_free(out)
    with staging(out) as folder:
        made = folder / "artifact"
        for name, (digest, size) in manifest.files().items():
            if put(made / name, layout.blob(digest)) != FileEntry(digest.removeprefix("sha256:"), size):
                layout.audit_blob(digest, size)  # says which blob is damaged, and what to do
        put(made / DESCRIPTION, description)
        sync_tree(made)
        if out.exists():
            out.rmdir()
        made.rename(out)
    sync_folder(out.parent)
    return out.resolve()


def _put_compiled(layout: Layout, item: Compiled, subject: Descriptor) -> Descriptor:
    for name, entry in item.files.items():
        layout.put_file(item.path, name, entry)
    config = put_blob(layout, RUNTIME_ARTIFACT, (item.path / DESCRIPTION).read_bytes())
    return put_artifact(layout, RUNTIME_ARTIFACT, config, item.files, subject)


def _artifacts(layout: Layout, descriptor: Descriptor) -> list[Descriptor]:
    held = read_artifact(layout, descriptor)
    return [entry for entry in held.nested if entry.media_type == OCI_MANIFEST and entry.artifact_type == RUNTIME_ARTIFACT]


def _check_part(description: bytes, part: ReleasePart, package: str) -> None:
    """It is the artifact that the release lists, of its package, for its target. Opening it checks that it is what it says."""
    said = read_object(description, "The description of an artifact")
    verified = said.get("verified")
    verdict = verified.get("verdict") if isinstance(verified, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    found = (said.get("digest"), said.get("package"), said.get("target"), verdict)
    expected = (part.artifact, package, part.target, part.verdict)
    for name, one, other in zip(("digest", "package", "target", "verdict"), found, expected, strict=True):
        if one != other:
            raise IntegrityError(f"The artifact is not the one that the release lists: it has another {name}", got=one, expected=other)


def _check_names(names: Iterable[str]) -> None:
    """A layer's title is somebody's word: it must stay below the folder, and no two may be one file."""
    held = [f"artifact/{name}" for name in names]
    for name in held:
        try:
            check_path(name, ("artifact",))
        except FormatError as error:
            raise IntegrityError("A file of an artifact has a path that leaves it", got=name.partition("/")[2]) from error
    if f"artifact/{DESCRIPTION}" in held:
        raise IntegrityError("An artifact lists its own description as a file", got=DESCRIPTION)
    try:
        check_paths([*held, f"artifact/{DESCRIPTION}"])
    except FormatError as error:
        raise IntegrityError("Two files of an artifact are one, or one is a folder too", got=error.got) from error
