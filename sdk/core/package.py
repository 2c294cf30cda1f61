"""The Package: an immutable, content-addressed folder, and the ways to get one: `write`, `open_folder`, `annotate`.

Opening is parse -> audit -> construct. The audit reads every content file once and compares it with the manifest before
anything from the package is interpreted: a changed byte, an extra file, a link or a path that leaves the folder is
refused. Nothing is ever unpickled; host and training code runs only for callers that say `trust=True`.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from .errors import FormatError, IntegrityError, StoreError, TrustError
from .folder import Source as Source
from .folder import audit_file, check_free, check_paths, put, read_file, walk
from .folder import check_path as check_path
from .folder import sync_folder as sync_folder
from .folder import sync_tree as sync_tree
from .manifest import CONTENT_FOLDERS, Annotations, Content, Manifest, Stage
from .signature import Array, Signature
from .staging import staging

MANIFEST = "manifest.json"
_MAX_MANIFEST = 64 << 20
_STAGE_NAME = re.compile(r"\w[\w.-]{0,99}")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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

    def __repr__(self) -> str:
        """One line: name, digest, tensors, place."""
        inputs, outputs = (", ".join(spec.name for spec in side) for side in (self.signature.inputs, self.signature.outputs))
        return f"<Package {self.name!r} {self.digest[:19]}: {inputs} -> {outputs}; {self.path}>"

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
        return read_file(self.path, path, entry)

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

    def predict(self, inputs: Any = None) -> dict[str, Array]:
        """The reference answer: codec, then the program on the reference runtime, then names of categories.

        Args:
            inputs: what a user has, by wire field: strings, bytes, arrays; one array is enough for one input.

        Raises InputError, which names the fields where nothing is given.
        """
        (reference,) = entry_points(group="portside.runtimes", name="reference")
        session = reference.load()().open(self)
        return session.predict(inputs)


def write(content: Content, files: Mapping[str, Source], out: Path, annotations: Annotations | None = None,
          annotation_files: Mapping[str, Source] | None = None, trusted: bool = False) -> Package:  # fmt: skip
    """Write a package folder at `out`, all of it or nothing: a sibling is filled, synced, then renamed into place.

    `content.files` is computed here from `files`; what the caller put there is replaced.

    Raises:
        FormatError: a path, stage or value that no reader would accept.
        StoreError: `out` exists and is not an empty folder, or the disk is full.
    """
    out = Path(out)
    check_free(out)
    noted = dict(annotation_files or {})
    _check_names(files, noted)
    try:
        with staging(out) as folder:
            manifest = _fill(folder, content, files, annotations or Annotations(), noted)
            sync_tree(folder)
            folder.rename(out)  # replaces an empty folder, fails on one that was filled meanwhile
            sync_folder(out.parent)
    except OSError as error:
        raise cannot_write("The package", out, error) from error
    return Package(path=out.resolve(), manifest=manifest, trusted=trusted)


def open_folder(path: Path, digest: str | None = None, trust: bool = False) -> Package:
    """Open and audit a package folder.

    Raises:
        FormatError: not a package, malformed, or an unreadable version.
        IntegrityError: any content byte differs, a file is missing, extra or a link, or `digest` is another one.
    """
    path = Path(path)
    manifest = read_manifest(path)
    if digest is not None and manifest.digest != digest:
        raise IntegrityError("The package is not the one that was asked for", got=manifest.digest, expected=digest)
    _audit(path, manifest)
    return Package(path=path.resolve(), manifest=manifest, trusted=trust)


def read_manifest(path: Path) -> Manifest:
    """The manifest of a package folder; its files are not looked at. Raises FormatError, IntegrityError."""
    location = path / MANIFEST
    if location.is_symlink():
        raise IntegrityError("A package must not contain links", got=str(location))
    if not location.is_file():
        raise FormatError("This is not a Portside package: it has no manifest.json", got=str(path),
                          fix="Name the folder that `portside pack` wrote, or a package in the store.")  # fmt: skip
    try:
        with location.open("rb") as file:
            text = file.read(_MAX_MANIFEST + 1)
    except OSError as error:
        raise FormatError(f"manifest.json cannot be read: {error.strerror}", got=str(location)) from error
    if len(text) > _MAX_MANIFEST:
        raise FormatError("manifest.json is too large to be one", expected=f"at most {_MAX_MANIFEST} bytes")
    return Manifest.from_json(text)


def annotate(package: Package, files: Mapping[str, Source] | None = None, **fields: Any) -> Package:
    """Set annotations of a package folder; its digest does not move.

    Fields that another process wrote meanwhile are kept. `manifest.json` is replaced atomically. Where `files` are
    given, a crash between them and the manifest leaves a folder that refuses to open until `annotate` is repeated.

    Args:
        package: a folder of the caller's own; for one in a store use `Store.annotate`.
        files: path below `annotations/` -> content, e.g. {"annotations/report.html": b"..."}.
        **fields: annotation fields; `name=` sets the name.

    Raises:
        FormatError: a path outside `annotations/`, or a value that JSON cannot hold.
        IntegrityError: the folder holds another package by now.
        StoreError: the folder cannot be written.
    """
    _check_names({}, files or {})
    current = read_manifest(package.path)
    if current.digest != package.digest:
        raise IntegrityError("The folder holds another package by now", got=current.digest, expected=package.digest)
    try:
        listed = {name: put(package.path / name, source) for name, source in (files or {}).items()}
        held = replace(current.annotations, files={**current.annotations.files, **listed})
        manifest = replace(current, annotations=held).annotate(**fields)
        _replace_manifest(package.path, manifest)
    except OSError as error:
        raise cannot_write("The annotations", package.path, error) from error
    return replace(package, manifest=manifest)


def cannot_write(what: str, where: Path, error: OSError) -> StoreError:
    """The StoreError of a failed write: a full disk says so."""
    fix = "Free some space" if error.errno in _FULL else "Check that the folder may be written"
    return StoreError(f"{what} cannot be written: {error.strerror or error}", got=str(where),
                      fix=f"{fix} or choose another folder; nothing half-written was left behind.")  # fmt: skip


def _check_names(files: Mapping[str, Source], noted: Mapping[str, Source]) -> None:
    for name in files:
        check_path(name, CONTENT_FOLDERS)
    for name in noted:
        check_path(name, ("annotations",))
    check_paths([*files, *noted])


def _fill(folder: Path, content: Content, files: Mapping[str, Source], annotations: Annotations,
          noted: Mapping[str, Source]) -> Manifest:  # fmt: skip
    listed = {name: put(folder / name, source) for name, source in sorted(files.items())}
    notes = {name: put(folder / name, source) for name, source in sorted(noted.items())}
    manifest = Manifest(content=replace(content, files=listed), annotations=replace(annotations, files=notes))
    text = manifest.to_json().encode()
    manifest = Manifest.from_json(text)
    check_listed(manifest)  # what cannot be opened is not written
    put(folder / MANIFEST, text)
    folder.chmod(0o755)
    return manifest


def _replace_manifest(folder: Path, manifest: Manifest) -> None:
    """Through a file beside the folder: inside it, a crash would leave a file that the manifest does not list."""
    text = manifest.to_json().encode()
    handle, name = tempfile.mkstemp(prefix=f".{folder.name}.manifest.", dir=folder.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        os.replace(name, folder / MANIFEST)
        sync_folder(folder)
    finally:
        Path(name).unlink(missing_ok=True)


def _audit(path: Path, manifest: Manifest) -> None:
    check_listed(manifest)
    listed = {**manifest.content.files, **manifest.annotations.files}
    for name, entry in listed.items():
        audit_file(path, name, entry)
    if extra := sorted(set(walk(path)) - set(listed) - {MANIFEST}):
        raise IntegrityError("The package folder holds a file that its manifest does not list", got=extra[0], fix="Remove it.")


def check_listed(manifest: Manifest) -> None:
    """Raise FormatError where a manifest names paths, stages or files that no package can have."""
    content, noted = manifest.content, manifest.annotations.files
    for name in content.files:
        check_path(name, CONTENT_FOLDERS)
    for name in noted:
        check_path(name, ("annotations",))
    check_paths([*content.files, *noted])
    for stage in content.stages:
        _check_stage(stage, content.files)
    names = [stage.name for stage in content.stages]
    if len(set(names)) != len(names):
        raise FormatError("Two stages have the same name", got=", ".join(names))


def _check_stage(stage: Stage, files: Mapping[str, object]) -> None:
    """A runtime makes file names from a stage's name, and takes the one value that a trees stage reads and writes."""
    if stage.file not in files:
        raise FormatError(f"Stage {stage.name!r} names a file that the manifest does not list", got=stage.file)
    if not _STAGE_NAME.fullmatch(stage.name):
        raise FormatError("A stage's name is not plain", got=ascii(stage.name)[:120], expected="letters, digits, _ . and -, at most 100")
    if stage.kind == "native" and not stage.only:
        raise FormatError(f"The native stage {stage.name!r} does not say which targets have its engine", expected="only: names of targets")
    if stage.kind == "trees" and (len(stage.inputs), len(stage.outputs)) != (1, 1):
        raise FormatError(f"The trees stage {stage.name!r} does not read and write one value", got=(stage.inputs, stage.outputs))
