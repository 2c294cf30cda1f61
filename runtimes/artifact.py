"""An Artifact: what a runtime compiled, as a folder that stands alone on a device.

    artifact.json     this description, with the sha256 of every other file and a seal over itself
    engine/           the runtime's own files
    codec/ contract/  copied from the package, so that `predict` and re-verification work without it
    host/             host-stage sources, where there are any
    web/, *.html, *.js, *.d.ts     scripts and pages of a browser bundle

Opening it is audited like a package: nothing is loaded before the seal and every file's digest are checked. The seal
catches accidents and edits by hand; against an attacker an artifact is signed (a Release) or pinned by its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from ..sdk.core.canonical import read_object
from ..sdk.core.contract import Contract
from ..sdk.core.errors import FormatError, IntegrityError
from ..sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, FileEntry, Stage, digest_of
from ..sdk.core.package import Package, check_path
from ..sdk.core.signature import Signature

ARTIFACT_FORMAT = 1
FOLDERS = ("engine", "codec", "contract", "host", "web")
PAGES = ("index.html", "model.js", "model.d.ts")
"""Files beside artifact.json that an artifact may have: those by which a folder is a web site."""
DESCRIPTION = "artifact.json"
_TYPES: Mapping[str, type] = {
    "target": str, "package": str, "program": str, "name": str, "codec": list, "stages": list, "lossy": bool, "engine": dict,
    "built": dict, "verified": dict, "batch_invariant": bool, "files": dict,
}  # fmt: skip


@dataclass(frozen=True)
class Artifact:
    """A compiled package.

    Attributes:
        path: the folder.
        target: name of the runtime that made it and can load it.
        package_digest: the package it came from.
        program_digest: that package's program.
        name: the package's name, for receipts.
        signature: tensors in and out.
        codec: codec steps as data.
        stages: the package's stages (host stages run beside the engine).
        lossy: precision below float32 anywhere.
        engine: what the runtime needs to load it: file names, segments, options, dtype histogram.
        built: versions and CPU class of the build.
        verified: what verification said: verdict, rows, where; under "costs" bytes and latency beside float or a parent, see `costs.py`.
        batch_invariant: measured with outlier batch-mates.
        files: path -> entry.
    """

    path: Path
    target: str
    package_digest: str
    program_digest: str
    name: str
    signature: Signature
    codec: tuple[Mapping[str, Any], ...] = ()
    stages: tuple[Stage, ...] = ()
    lossy: bool = False
    engine: Mapping[str, Any] = field(default_factory=dict[str, Any])
    built: Mapping[str, Any] = field(default_factory=dict[str, Any])
    verified: Mapping[str, Any] = field(default_factory=dict[str, Any])
    batch_invariant: bool = False
    files: Mapping[str, FileEntry] = field(default_factory=dict[str, FileEntry])

    @property
    def digest(self) -> str:
        """Digest of everything that decides an answer: files, signature, codec, engine; not of when or where it was verified."""
        data = self.to_dict()
        return digest_of({key: value for key, value in data.items() if key not in ("built", "verified", "batch_invariant")})

    def __repr__(self) -> str:
        """One line: what a notebook shows."""
        return f"<Artifact of {self.name!r} for {self.target}; {self.path}>"

    @property
    def size_bytes(self) -> int:
        """Bytes of the engine's files and of a bundle's scripts: what has to be shipped to run the model."""
        return sum(entry.size for name, entry in self.files.items() if name.startswith(("engine/", "web/")) or name in PAGES)

    def contract(self) -> Contract:
        """The golden cases that travelled along. Raises FormatError when there are none."""
        if CONTRACT not in self.files:
            raise FormatError("The artifact carries no contract", got=str(self.path))
        return Contract.from_bytes((self.path / CONTRACT).read_bytes(), (self.path / CONTRACT_TENSORS).read_bytes())

    def read(self, name: str) -> bytes:
        """The bytes of a listed file, checked again. Raises FormatError for another file, IntegrityError for other bytes."""
        if name not in self.files:
            raise FormatError(f"The artifact lists no file {name!r}", expected=", ".join(sorted(self.files)))
        data = (self.path / name).read_bytes()
        if FileEntry.of(data) != self.files[name]:
            raise IntegrityError(f"{name} was changed after it was compiled", fix="Compile the package again.")
        return data

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the path, digest and seal."""
        return {
            "format": ARTIFACT_FORMAT, "target": self.target, "name": self.name,
            "package": self.package_digest, "program": self.program_digest,
            "signature": self.signature.to_dict(), "codec": [dict(step) for step in self.codec],
            "stages": [stage.to_dict() for stage in self.stages], "lossy": self.lossy, "engine": dict(self.engine),
            "built": dict(self.built), "verified": dict(self.verified), "batch_invariant": self.batch_invariant,
            "files": {name: entry.to_dict() for name, entry in sorted(self.files.items())},
        }  # fmt: skip

    def save(self) -> None:
        """Write artifact.json atomically. The files it lists must be in place."""
        temporary = self.path / f".{DESCRIPTION}.new"
        described = {**self.to_dict(), "digest": self.digest}
        sealed = {**described, "seal": digest_of(described)}
        temporary.write_text(json.dumps(sealed, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, self.path / DESCRIPTION)


def begin(package: Package, target: str, out: Path, *, public: bool = False) -> Artifact:
    """Make the folder `out` with everything that is the same for every target; the runtime adds `engine/`.

    Finish with `finish`, which lists the files.

    Args:
        package: audited.
        target: name of the runtime.
        out: does not exist yet.
        public: the folder is made to be shown to anybody: golden rows stay behind unless they are shareable.
    """
    out.mkdir(parents=True)
    (out / "engine").mkdir()
    folders = ("codec", "host") if public and not _shareable(package) else ("codec", "contract", "host")
    for name in package.content.files:
        if name.split("/", 1)[0] in folders:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(package.path / name, out / name)
    content = package.content
    return Artifact(
        path=out, target=target, name=package.name, package_digest=package.digest,
        program_digest=content.program_digest, signature=content.signature, codec=content.codec, stages=content.stages,
    )  # fmt: skip


def _shareable(package: Package) -> bool:
    files = package.content.files
    return CONTRACT in files and Contract.from_bytes(package.read(CONTRACT), package.read(CONTRACT_TENSORS)).shareable


def finish(artifact: Artifact, **known: Any) -> Artifact:
    """List every file with its sha256, set the attributes given, save, and return the final value."""
    files: dict[str, FileEntry] = {}
    for file in sorted(artifact.path.rglob("*")):
        name = file.relative_to(artifact.path).as_posix()
        if file.is_file() and name != DESCRIPTION:
            files[name] = entry_of(file)
    final = replace(artifact, files=files, **known)
    final.save()
    return final


def amend(artifact: Artifact, **known: Any) -> Artifact:
    """Set attributes that do not touch files (what was measured and verified), save, and return the new value."""
    final = replace(artifact, **known)
    final.save()
    return final


def open_artifact(path: Path, digest: str | None = None) -> Artifact:
    """Read and audit an artifact folder.

    Args:
        path: the folder.
        digest: the artifact's digest, to pin which one is opened.

    Raises:
        FormatError: not an artifact, or of an unknown version.
        IntegrityError: artifact.json was edited, a file was changed, is missing, is a link, or is not listed, or the
            artifact is not the one that `digest` names.
    """
    artifact = read_artifact(path)
    if digest is not None and artifact.digest != digest:
        raise IntegrityError("The artifact is not the one that was asked for", got=artifact.digest, expected=digest)
    _audit(artifact)
    return artifact


def read_artifact(path: Path) -> Artifact:
    """Read artifact.json and check its seal, without auditing the files: for a runtime whose caller has audited them.

    Raises FormatError, IntegrityError.
    """
    path = Path(path)
    location = path / DESCRIPTION
    if not location.is_file() or location.is_symlink():
        raise FormatError("This is not a Portside artifact: it has no artifact.json", got=str(path))
    try:
        data = read_object(location.read_bytes(), DESCRIPTION)
        if data["format"] != ARTIFACT_FORMAT:
            raise FormatError("The artifact has an unknown format version", got=data["format"], expected=ARTIFACT_FORMAT,
                              fix="Run: pip install --upgrade portside")  # fmt: skip
        artifact = _parsed(path, data)
        digest = artifact.digest
        seal = digest_of({key: value for key, value in data.items() if key != "seal"})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"artifact.json is malformed: {error!r}", got=str(location)) from error
    if data.get("seal") != seal or data.get("digest") != digest:
        raise IntegrityError("artifact.json was changed after it was compiled", got=seal, expected=data.get("seal"),
                             fix="Compile the package again.")  # fmt: skip
    return artifact


def entry_of(file: Path) -> FileEntry:
    """sha256 and size of a file, read in chunks."""
    with file.open("rb") as handle:
        return FileEntry(hashlib.file_digest(handle, "sha256").hexdigest(), file.stat().st_size)


def _parsed(path: Path, data: Mapping[str, Any]) -> Artifact:
    for name, kind in _TYPES.items():
        if not isinstance(data[name], kind):
            raise TypeError(f"{name!r} is not {kind.__name__}")
    parts = [*data["codec"], *data["stages"], *data["engine"].get("segments", ()), data["engine"].get("taps", {})]
    if odd := [part for part in parts if not isinstance(part, Mapping)]:
        raise TypeError(f"{str(odd[0])[:80]!r} is not an object")
    if odd := [names for names in data["engine"].get("taps", {}).values() if not _texts(names)]:
        raise TypeError(f"{str(odd[0])[:80]!r} is not a list of names")
    return Artifact(
        path=path, target=data["target"], name=data["name"], package_digest=data["package"],
        program_digest=data["program"], signature=Signature.from_dict(data["signature"]),
        codec=tuple(data["codec"]), stages=tuple(Stage.from_dict(stage) for stage in data["stages"]),
        lossy=data["lossy"], engine=data["engine"], built=data["built"], verified=data["verified"],
        batch_invariant=data["batch_invariant"],
        files={name: FileEntry.from_dict(entry) for name, entry in data["files"].items()},
    )  # fmt: skip


def _texts(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in cast("list[object]", names))


def _audit(artifact: Artifact) -> None:
    present: set[str] = set()
    for file in artifact.path.rglob("*"):
        name = file.relative_to(artifact.path).as_posix()
        if file.is_symlink():
            raise IntegrityError("An artifact must not contain links", got=name)
        if file.is_file() and name != DESCRIPTION:
            present.add(name)
    for name, entry in artifact.files.items():
        if name not in PAGES:
            check_path(name, FOLDERS)
        if name not in present:
            raise IntegrityError("A file that the artifact lists is missing", got=name)
        if entry_of(artifact.path / name) != entry:
            raise IntegrityError(f"{name} was changed after it was compiled", fix="Compile the package again.")
    if extra := sorted(present - set(artifact.files)):
        raise IntegrityError("The artifact folder holds a file that it does not list", got=extra[0])
