"""The manifest: what a package says of itself, as pure data, and the digests over it.

- `content` is digested: program, weights, codec, host sources, training, signature, stages, plan, contract, profile,
  evidence digest, recipe, parents. No time, path or machine.
- `annotations` may change and are not digested; each file that they list carries its own sha256.
- The *package digest* is the sha256 of `content` as canonical JSON, in which every file stands by its sha256.
- The *program digest* covers signature, stages, boundaries and the files under `program/` alone.
- Unknown fields are kept and written back; an unknown format version is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast, get_args

from .canonical import canonical_json as canonical_json
from .canonical import check_digest, read_object, with_extra
from .canonical import digest_of as digest_of
from .errors import FormatError, IntegrityError
from .format_version import READABLE, version_of
from .signature import Signature

StageKind: TypeAlias = Literal["graph", "trees", "host", "native"]
CONTENT_FOLDERS = ("program", "codec", "host", "contract", "profile", "training")
WEIGHTS = "program/weights.safetensors"
CONTRACT = "contract/contract.json"
CONTRACT_TENSORS = "contract/cases.safetensors"
PROFILE = "profile/profile.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_STAGE_FIELDS = ("kind", "name", "file", "inputs", "outputs", "function", "only", "note")
_CONTENT_FIELDS = ("signature", "codec", "stages", "boundaries", "plan", "evidence", "recipe", "parents", "files")


@dataclass(frozen=True)
class FileEntry:
    """A file by its content: lower-case hex sha256 and size in bytes. Two entries are equal when these are."""

    sha256: str
    size: int
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False)

    @classmethod
    def of(cls, data: bytes) -> FileEntry:
        """The entry of these bytes."""
        return cls(hashlib.sha256(data).hexdigest(), len(data))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return with_extra({"sha256": self.sha256, "size": self.size}, self.extra)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FileEntry:
        """Parse; unknown fields are kept. Raises FormatError."""
        sha256, size = data.get("sha256"), data.get("size")
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256) or type(size) is not int or size < 0:
            raise FormatError("A file entry in the manifest is malformed", got=str(dict(data))[:200],
                              expected="sha256 (64 lower-case hex digits) and size (bytes)")  # fmt: skip
        return cls(sha256, size, _unknown(data, ("sha256", "size")))


@dataclass(frozen=True)
class Stage:
    """One step of the program.

    Attributes:
        kind: "graph" (ONNX), "trees" (an ensemble as arrays), "host" (declared Python) or "native" (a file of one engine,
            kept as it was given: `only` says which targets have that engine; how it is called is in `extra["plan"]`).
        name: unique in the program, e.g. "main".
        file: path in the package, e.g. "program/00-main.onnx".
        inputs: values read: names of signature inputs (rim names) or of earlier stages' outputs.
        outputs: values written: names of signature outputs or of values later stages read.
        function: host stages: name of the function in `file`.
        only: targets that can run the stage; empty means every target.
        note: why it is restricted, or the line that could not be traced.
        extra: unknown fields, kept.
    """

    kind: StageKind
    name: str
    file: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    function: str | None = None
    only: tuple[str, ...] = ()
    note: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, defaults left out."""
        data = {"kind": self.kind, "name": self.name, "file": self.file}
        data |= {"inputs": list(self.inputs), "outputs": list(self.outputs)}
        rest = {"function": self.function, "only": list(self.only), "note": self.note}
        return with_extra(data | {key: value for key, value in rest.items() if value}, self.extra)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Stage:
        """Parse; unknown fields are kept. Raises FormatError."""
        if data.get("kind") not in get_args(StageKind):
            raise FormatError("A stage has an unknown kind", got=data.get("kind"), expected=", ".join(get_args(StageKind)))
        try:
            return cls(
                kind=data["kind"], name=_text(data["name"]), file=_text(data["file"]),
                inputs=_texts(data["inputs"]), outputs=_texts(data["outputs"]),
                function=_maybe(data.get("function")), only=_texts(data.get("only", ())), note=_maybe(data.get("note")),
                extra=_unknown(data, _STAGE_FIELDS),
            )  # fmt: skip
        except KeyError as error:
            raise FormatError(f"A stage in the manifest lacks {error}", got=dict(data)) from error


@dataclass(frozen=True)
class Content:
    """The digested half of a manifest.

    Attributes:
        signature: tensors in and out.
        codec: codec steps as data (sdk/core/codec/), from wire fields to typed tensors and outward.
        stages: the program, in order.
        boundaries: names of the inner values where featurize ("features") and the model ("model") end.
        files: path -> entry, for every content file.
        plan: PrecisionPlan as data, or None.
        evidence: digest of the evidence set in the store, or None.
        recipe: passes that made this package, as data.
        parents: package digests this one was derived from.
        extra: unknown fields of newer minor formats, kept.
    """

    signature: Signature
    stages: tuple[Stage, ...]
    files: Mapping[str, FileEntry]
    codec: tuple[Mapping[str, Any], ...] = ()
    boundaries: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    plan: Mapping[str, Any] | None = None
    evidence: str | None = None
    recipe: tuple[Mapping[str, Any], ...] = ()
    parents: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        known = {
            "signature": self.signature.to_dict(),
            "codec": [dict(step) for step in self.codec],
            "stages": [stage.to_dict() for stage in self.stages],
            "boundaries": {key: list(names) for key, names in self.boundaries.items()},
            "plan": dict(self.plan) if self.plan is not None else None,
            "evidence": self.evidence,
            "recipe": [dict(step) for step in self.recipe],
            "parents": list(self.parents),
            "files": {path: entry.to_dict() for path, entry in sorted(self.files.items())},
        }
        return with_extra(known, self.extra)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Content:
        """Parse; unknown fields are kept. Raises FormatError."""
        if missing := [key for key in ("signature", "stages", "files") if key not in data]:
            raise FormatError(f"The manifest lacks {missing[0]!r}", expected=", ".join(_CONTENT_FIELDS))
        evidence = data.get("evidence")
        return cls(
            signature=Signature.from_dict(data["signature"]),
            codec=_objects(data.get("codec", ())),
            stages=tuple(Stage.from_dict(stage) for stage in _objects(data["stages"])),
            boundaries={key: _texts(names) for key, names in data.get("boundaries", {}).items()},
            plan=None if data.get("plan") is None else _objects([data["plan"]])[0],
            evidence=None if evidence is None else check_digest(evidence, "The evidence"),
            recipe=_objects(data.get("recipe", ())),
            parents=tuple(check_digest(parent, "A parent") for parent in _texts(data.get("parents", ()))),
            files={path: FileEntry.from_dict(entry) for path, entry in data["files"].items()},
            extra=_unknown(data, _CONTENT_FIELDS),
        )

    @property
    def digest(self) -> str:
        """The package digest, "sha256:...": content only, the same wherever and whenever it was packed."""
        return digest_of(self.to_dict())

    @property
    def program_digest(self) -> str:
        """The program digest: signature, stages, boundaries and program files."""
        whole = self.to_dict()
        files = {path: entry for path, entry in whole["files"].items() if path.startswith("program/")}
        return digest_of({key: whole[key] for key in ("signature", "stages", "boundaries")} | {"files": files})


@dataclass(frozen=True)
class Annotations:
    """The undigested half: able to change without changing what the package is.

    Attributes:
        name: the package's name in stores and receipts.
        fields: owner, tags, git commit, data pointer, environment lock, metrics, licence, notes, ...
        files: path under `annotations/` -> entry, checked before it is read.
        extra: unknown fields, kept.
    """

    name: str = "unnamed"
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    files: Mapping[str, FileEntry] = field(default_factory=dict[str, FileEntry])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        files = {path: entry.to_dict() for path, entry in sorted(self.files.items())}
        return with_extra({"name": self.name, "fields": dict(self.fields), "files": files}, self.extra)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Annotations:
        """Parse; unknown fields are kept. Raises FormatError."""
        files = {path: FileEntry.from_dict(entry) for path, entry in data.get("files", {}).items()}
        return cls(_text(data.get("name", "unnamed")), dict(data.get("fields", {})), files, _unknown(data, ("name", "fields", "files")))


@dataclass(frozen=True)
class Manifest:
    """`manifest.json` of a package: content, annotations, format version, unknown fields that are kept.

    Attributes:
        format: version that the file states; 0 where it is made: the lowest that holds the content.
    """

    content: Content
    annotations: Annotations = field(default_factory=Annotations)
    format: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        lowest = version_of(stage.kind for stage in self.content.stages)
        if not self.format:
            object.__setattr__(self, "format", lowest)
        if self.format < lowest:
            raise FormatError("The manifest holds a stage of a newer format than it states", got=self.format, expected=lowest)

    @property
    def digest(self) -> str:
        """The package digest."""
        return self.content.digest

    def annotate(self, **values: Any) -> Manifest:
        """A copy with these annotation fields set (`name=` sets the name); the digest does not move."""
        name = values.pop("name", self.annotations.name)
        merged = {**self.annotations.fields, **values}
        return replace(self, annotations=replace(self.annotations, name=name, fields=merged))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what `manifest.json` holds."""
        known = {"format": self.format, "digest": self.digest, "content": self.content.to_dict()}
        return with_extra(known | {"annotations": self.annotations.to_dict()}, self.extra)

    def to_json(self) -> str:
        """The readable file: indented, a final newline. Raises FormatError for a value that JSON cannot hold."""
        try:
            canonical_json(data := self.to_dict())
        except (TypeError, ValueError) as error:
            raise FormatError(f"The manifest holds a value that JSON cannot: {error}") from error
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Parse and check the self-digest.

        Raises:
            FormatError: not JSON, not a manifest, or a format version this Portside cannot read.
            IntegrityError: the content does not have the digest that the file states.
        """
        data = read_object(text, "manifest.json")
        if "format" not in data or "content" not in data:
            raise FormatError("manifest.json is not a Portside manifest", expected="format, digest and content")
        if type(data["format"]) is not int or data["format"] not in READABLE:
            raise FormatError(
                "The package has a format version that this Portside cannot read", got=data["format"],
                expected=f"one of {list(READABLE)}", fix="Run: pip install --upgrade portside",
            )  # fmt: skip
        if (found := digest_of(data["content"])) != data.get("digest"):
            raise IntegrityError("The manifest's content is not what its digest says", got=found, expected=data.get("digest"),
                                 fix="Fetch the package again from where it came.")  # fmt: skip
        return cls._construct(data)

    @classmethod
    def _construct(cls, data: Mapping[str, Any]) -> Manifest:
        try:
            content = Content.from_dict(data["content"])
            annotations = Annotations.from_dict(data.get("annotations", {}))
            kept = content.digest == data["digest"]
        except (TypeError, AttributeError, ValueError, KeyError) as error:
            raise FormatError(f"manifest.json is malformed: {error}") from error
        if not kept:
            raise FormatError("manifest.json holds a field in a form that this Portside would not write back",
                              fix="Run: pip install --upgrade portside")  # fmt: skip
        return cls(content, annotations, data["format"], _unknown(data, ("format", "digest", "content", "annotations")))


def _unknown(data: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in known}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _maybe(value: object) -> str | None:
    return None if value is None else _text(value)


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list | tuple):
        raise TypeError(f"{values!r} is not a list of names")
    return tuple(_text(value) for value in cast("Sequence[object]", values))


def _objects(values: object) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(values, list | tuple) or not all(isinstance(value, Mapping) for value in cast("Sequence[object]", values)):
        raise TypeError(f"{str(values)[:80]} is not a list of objects")
    return tuple(cast("Sequence[Mapping[str, Any]]", values))
