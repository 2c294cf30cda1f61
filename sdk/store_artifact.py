"""OCI artifact manifests as pure data: descriptors, and the manifests of a package, its annotations, and evidence.

A package's OCI manifest is a function of its content alone: the config blob is its `manifest.json` without annotations,
and every file is a layer. So one package has one OCI digest in every store and registry. Annotations, which may change,
are an artifact of their own whose `subject` is the package, as OCI 1.1 referrers are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from .core.canonical import canonical_json, check_digest, digest_of_bytes, read_object, with_extra
from .core.errors import FormatError
from .core.manifest import Annotations, FileEntry, Manifest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
PACKAGE = "application/vnd.portside.package.v1+json"
ANNOTATIONS = "application/vnd.portside.annotations.v1+json"
EVIDENCE = "application/vnd.portside.evidence.v1+json"
RELEASE = "application/vnd.portside.release.v1+json"
RUNTIME_ARTIFACT = "application/vnd.portside.artifact.v1+json"
FILE = "application/vnd.portside.file.v1"
TITLE = "org.opencontainers.image.title"
EMPTY = b"{}"
_FIELDS = ("mediaType", "digest", "size", "artifactType", "annotations")


@dataclass(frozen=True)
class Descriptor:
    """What OCI calls a blob by: media type, digest, size in bytes; with notes in an index."""

    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, media_type: str, data: bytes, **rest: Any) -> Descriptor:
        """The descriptor of these bytes."""
        return cls(media_type, digest_of_bytes(data), len(data), **rest)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        known: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        known |= {"artifactType": self.artifact_type} if self.artifact_type else {}
        known |= {"annotations": dict(self.annotations)} if self.annotations else {}
        return with_extra(known, self.extra)

    @classmethod
    def from_dict(cls, data: object, what: str) -> Descriptor:
        """Parse; unknown fields are kept. Raises FormatError."""
        held = cast("Mapping[str, Any]", data) if isinstance(data, Mapping) else {}
        size, media_type, notes = held.get("size"), held.get("mediaType"), held.get("annotations", {})
        if type(size) is not int or size < 0 or not isinstance(media_type, str) or not isinstance(notes, Mapping):
            raise FormatError(f"{what} holds a malformed descriptor", got=str(data)[:200], expected="mediaType, digest and size")
        texts = {str(key): str(value) for key, value in cast("Mapping[Any, Any]", notes).items()}
        unknown = {key: value for key, value in held.items() if key not in _FIELDS}
        return cls(media_type, check_digest(held.get("digest"), f"A digest in {what}"), size, held.get("artifactType"), texts, unknown)


def package_config(manifest: Manifest) -> bytes:
    """The config blob of a package: its manifest.json without annotations."""
    return canonical_json({"format": manifest.format, "digest": manifest.digest, "content": manifest.content.to_dict()})


def notes_config(annotations: Annotations, extra: Mapping[str, Any]) -> bytes:
    """The config blob of a package's annotations, with unknown fields of its manifest.json. Raises FormatError."""
    try:
        return canonical_json({"annotations": annotations.to_dict(), "extra": dict(extra)})
    except (TypeError, ValueError) as error:
        raise FormatError(f"An annotation holds a value that JSON cannot: {error}") from error


def parse_notes(config: bytes) -> tuple[Annotations, dict[str, Any]]:
    """(annotations, unknown fields) from what `notes_config` made. Raises FormatError."""
    data = read_object(config, "The annotations of a package")
    try:
        return Annotations.from_dict(data["annotations"]), dict(data.get("extra", {}))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FormatError(f"The annotations of a package are malformed: {error}") from error


def artifact_manifest(kind: str, config: Descriptor, files: Mapping[str, FileEntry], subject: Descriptor | None = None) -> bytes:
    """An OCI manifest: `kind` is its artifact type, every file a layer with its path as title. Deterministic."""
    layers = [Descriptor(FILE, f"sha256:{entry.sha256}", entry.size, annotations={TITLE: name}) for name, entry in sorted(files.items())]
    data: dict[str, Any] = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind, "config": config.to_dict(),
        "layers": [layer.to_dict() for layer in layers or [Descriptor.of(OCI_EMPTY, EMPTY)]],
    }  # fmt: skip
    return canonical_json(data | ({"subject": subject.to_dict()} if subject else {}))


@dataclass(frozen=True)
class ArtifactManifest:
    """A parsed OCI manifest (or index): the blobs that it needs.

    Attributes:
        kind: its artifact type.
        config: descriptor of the config blob; None in an index.
        layers: descriptors of the files, with their titles.
        nested: manifests of an index.
    """

    kind: str
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    nested: tuple[Descriptor, ...] = ()

    @classmethod
    def parse(cls, data: bytes, what: str) -> ArtifactManifest:
        """Parse. Raises FormatError."""
        held = read_object(data, what)
        config = held.get("config")
        return cls(
            kind=str(held.get("artifactType", "")),
            config=None if config is None else Descriptor.from_dict(config, what),
            layers=_descriptors(held.get("layers", []), what),
            nested=_descriptors(held.get("manifests", []), what),
        )

    def files(self) -> dict[str, tuple[str, int]]:
        """Title -> (digest, size) of the layers that are files."""
        return {layer.annotations.get(TITLE, ""): (layer.digest, layer.size) for layer in self.layers if layer.media_type != OCI_EMPTY}


def _descriptors(items: object, what: str) -> tuple[Descriptor, ...]:
    if not isinstance(items, list):
        raise FormatError(f"{what} is malformed", got=str(items)[:80], expected="a list of descriptors")
    return tuple(Descriptor.from_dict(item, what) for item in cast("Sequence[object]", items))
