"""The Package: an immutable, content-addressed folder, and the only two ways to get one: `write` and `open_folder`.

Opening is parse -> audit -> construct. The audit reads every content file once and compares it with the manifest before
anything from the package is interpreted: a changed byte, an extra file, a link or a path that leaves the folder is
refused. Nothing is ever unpickled; host and training code runs only for callers that say `trust=True`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from .errors import FormatError, IntegrityError, StoreError, TrustError
from .manifest import CONTENT_FOLDERS, Annotations, Content, FileEntry, Manifest
from .signature import Array, Signature

Source: TypeAlias = bytes | Path
"""Content of a file to be written: bytes, or a file to copy."""
_CHUNK = 1 << 20
_MAX_MANIFEST = 64 << 20


@dataclass(frozen=True)
class Package:
    """A verified package folder. Nothing in it changes; derive a new one instead.

    Attributes:
        path: the folder.
        manifest: parsed and audited.
        trusted: the caller allowed host-stage and training code to run.
    """

    path: Path
    manifest: Manifest
    trusted: bool = False

    @property
    def content(self) -> Content:
        """The digested half of the manifest."""
        return self.manifest.content

    @property
    def digest(self) -> str:
        """The package digest, "sha256:..."."""
        return self.manifest.digest

    @property
    def name(self) -> str:
        """The annotated name."""
        return self.manifest.annotations.name

    @property
    def signature(self) -> Signature:
        """Named tensors in and out."""
        return self.content.signature

    @property
    def lineage(self) -> tuple[str, ...]:
        """Digests of the packages this one was derived from, nearest last."""
        return self.content.parents

    def read(self, path: str) -> bytes:
        """The bytes of a file that the manifest lists, checked again against its sha256.

        Raises FormatError for a file that is not listed, IntegrityError for other bytes than promised.
        """
        entry = self.content.files.get(path) or self.manifest.annotations.files.get(path)
        if entry is None:
            raise FormatError(f"The package lists no file {path!r}", expected=", ".join(sorted(self.content.files)))
        _audit_file(self.path, path, entry)
        return (self.path / path).read_bytes()

    def trust_needed(self) -> tuple[str, ...]:
        """Names of the host stages; empty when no code from the package would run."""
        return tuple(stage.name for stage in self.content.stages if stage.kind == "host")

    def require_trust(self) -> None:
        """Raise TrustError unless the package runs no code of its own or the caller trusts it."""
        if (stages := self.trust_needed()) and not self.trusted:
            raise TrustError(
                f"Package {self.name!r} runs Python of its own in its host stages", got=", ".join(stages),
                fix="Read its host/ folder, then open it with trust=True (CLI: --trust).",
            )  # fmt: skip

    def predict(self, inputs: Any) -> dict[str, Array]:
        """The reference answer: codec, then the program on the reference runtime, then names of categories.

        Args:
            inputs: what a user has, by wire field: strings, bytes, arrays; one array is enough for one input.
        """
        (reference,) = entry_points(group="portside.runtimes", name="reference")
        session = reference.load()().open(self)
        return session.predict(inputs)


def write(content: Content, files: Mapping[str, Source], out: Path, annotations: Annotations | None = None,
          annotation_files: Mapping[str, Source] | None = None, trusted: bool = False) -> Package:  # fmt: skip
    """Write a package folder at `out`, all of it or nothing: a sibling is filled, synced, then renamed into place.

    `content.files` is computed here from `files`; what the caller put there is replaced.

    Raises:
        StoreError: `out` exists and is not an empty folder, or the disk is full.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError("The output folder is not empty", got=str(out), fix="Name a new folder, or remove it first.")
    extra = dict(annotation_files or {})
    for name in (*files, *extra):
        check_path(name)
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        listed = {name: _put(staging / name, source) for name, source in sorted(files.items())}
        noted = {name: _put(staging / name, source) for name, source in sorted(extra.items())}
        notes = replace(annotations or Annotations(), files=noted)
        manifest = Manifest(content=replace(content, files=listed), annotations=notes)
        _put(staging / "manifest.json", manifest.to_json().encode())
        staging.chmod(0o755)
        sync_tree(staging)
        if out.exists():
            out.rmdir()
        staging.rename(out)
        sync_folder(out.parent)
    except OSError as error:
        raise StoreError(f"The package cannot be written: {error.strerror or error}", got=str(out),
                         fix="Free some space or choose another folder; nothing was left behind.") from error  # fmt: skip
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Package(path=out.resolve(), manifest=manifest, trusted=trusted)


def open_folder(path: Path, digest: str | None = None, trust: bool = False) -> Package:
    """Open and audit a package folder.

    Raises:
        FormatError: not a package, malformed, or an unreadable version.
        IntegrityError: any content byte differs, a file is missing, extra or a link, or `digest` is another one.
    """
    path = Path(path)
    location = path / "manifest.json"
    if not location.is_file() or location.is_symlink():
        raise FormatError("This is not a Portside package: it has no manifest.json", got=str(path))
    if location.stat().st_size > _MAX_MANIFEST:
        raise FormatError("manifest.json is too large to be one", got=f"{location.stat().st_size} bytes")
    manifest = Manifest.from_json(location.read_bytes())
    if digest is not None and manifest.digest != digest:
        raise IntegrityError("The package is not the one that was asked for", got=manifest.digest, expected=digest)
    _audit(path, manifest)
    return Package(path=path.resolve(), manifest=manifest, trusted=trust)


def check_path(name: str, folders: tuple[str, ...] = (*CONTENT_FOLDERS, "annotations")) -> None:
    """Raise FormatError unless `name` is a plain relative path below one of `folders`."""
    parts = PurePosixPath(name).parts
    plain = "\\" not in name and "\0" not in name and str(PurePosixPath(name)) == name
    if not plain or len(parts) < 2 or parts[0] not in folders or any(part in ("..", ".") for part in parts):
        raise FormatError("A path in the manifest leaves the package or is not plain", got=repr(name),
                          expected=f"a relative path below {', '.join(folders)}")  # fmt: skip


def sync_tree(folder: Path) -> None:
    """fsync every file and folder below `folder`, so that a rename publishes only what is on the disk."""
    for root, _, files in os.walk(folder):
        for name in files:
            sync_folder(Path(root) / name)
        sync_folder(Path(root))


def sync_folder(path: Path) -> None:
    """fsync one file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put(path: Path, source: Source) -> FileEntry:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, bytes):
        path.write_bytes(source)
        return FileEntry.of(source)
    shutil.copyfile(source, path)
    return _entry_of(path)


def _entry_of(path: Path) -> FileEntry:
    hasher, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
            size += len(chunk)
    return FileEntry(hasher.hexdigest(), size)


def _audit(path: Path, manifest: Manifest) -> None:
    listed = {**manifest.content.files, **manifest.annotations.files}
    for name in manifest.content.files:
        check_path(name, CONTENT_FOLDERS)
    for name in manifest.annotations.files:
        check_path(name, ("annotations",))
    for stage in manifest.content.stages:
        if stage.file not in manifest.content.files:
            raise FormatError(f"Stage {stage.name!r} names a file that the manifest does not list", got=stage.file)
    for name, entry in listed.items():
        _audit_file(path, name, entry)
    if extra := sorted(set(_walk(path)) - set(listed) - {"manifest.json"}):
        raise IntegrityError("The package folder holds a file that its manifest does not list", got=extra[0])


def _audit_file(root: Path, name: str, entry: FileEntry) -> None:
    file = root
    for part in PurePosixPath(name).parts:
        file = file / part
        if file.is_symlink():
            raise IntegrityError("A package must not contain links", got=name)
    if not file.is_file():
        raise IntegrityError("A file that the manifest lists is missing", got=name)
    size = file.stat().st_size
    if size != entry.size:
        raise IntegrityError(f"{name} does not have the size that the manifest states", got=size, expected=entry.size)
    found = _entry_of(file)
    if found != entry:
        raise IntegrityError(f"{name} was changed after it was packed", got=found.sha256, expected=entry.sha256,
                             fix="Fetch the package again from where it came.")  # fmt: skip


def _walk(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        for name in (*files, *(sub for sub in folders if (Path(folder) / sub).is_symlink())):
            yield (Path(folder) / name).relative_to(root).as_posix()
