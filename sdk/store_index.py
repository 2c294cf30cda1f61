"""The index of a store as a pure value: versions, tags, evidence; to and from an OCI `index.json`.

- A version belongs to a name and never changes: the next integer, or the one that the same digest has already.
- A tag belongs to a name and moves between its versions.
- Entries that are not ours are kept and written back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .core.canonical import check_digest, read_object, with_extra
from .core.errors import FormatError, IntegrityError, StoreError
from .store_artifact import ANNOTATIONS, EVIDENCE, OCI_INDEX, PACKAGE, RELEASE, Descriptor
from .store_reference import Reference, check_name, check_tag

REF_NAME = "org.opencontainers.image.ref.name"
_NAME, _VERSION, _TAG = "vnd.portside.name", "vnd.portside.version", "vnd.portside.tag"
_DIGEST, _PARENTS, _OF, _SIZE = "vnd.portside.digest", "vnd.portside.parents", "vnd.portside.of", "vnd.portside.size"


@dataclass(frozen=True)
class Version:
    """One version of a package in a store.

    Attributes:
        name: the package's name here.
        number: 1, 2, 3, ...
        digest: the package digest.
        parents: package digests it was derived from.
        manifest: its OCI manifest.
        notes: the OCI manifest of its annotations, which may be replaced.
        size_bytes: bytes of its files.
    """

    name: str
    number: int
    digest: str
    parents: tuple[str, ...]
    manifest: Descriptor
    notes: Descriptor
    size_bytes: int

    @property
    def ref(self) -> str:
        """ "name:N"."""
        return f"{self.name}:{self.number}"

    def entries(self) -> list[dict[str, Any]]:
        """Its two entries in index.json."""
        notes = {REF_NAME: self.ref, _NAME: self.name, _VERSION: str(self.number), _DIGEST: self.digest, _SIZE: str(self.size_bytes)}
        notes |= {_PARENTS: " ".join(self.parents)} if self.parents else {}
        package = replace(self.manifest, artifact_type=PACKAGE, annotations=notes)
        return [package.to_dict(), replace(self.notes, artifact_type=ANNOTATIONS, annotations={_OF: self.ref}).to_dict()]


@dataclass(frozen=True)
class Index:
    """Everything a store knows by name. Changes return a new Index.

    Attributes:
        versions: "name:N" -> Version.
        tags: (name, tag) -> number.
        evidence: evidence digest -> OCI manifest.
        releases: OCI indexes of releases, by their digest, oldest first; each names the package version it is of.
        others: entries that are not ours.
        extra: unknown fields of index.json.
    """

    versions: Mapping[str, Version] = field(default_factory=dict[str, Version])
    tags: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    evidence: Mapping[str, Descriptor] = field(default_factory=dict[str, Descriptor])
    releases: Mapping[str, Descriptor] = field(default_factory=dict[str, Descriptor])
    others: tuple[Descriptor, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def named(self, name: str) -> list[Version]:
        """Versions of a name, oldest first."""
        return sorted((version for version in self.versions.values() if version.name == name), key=lambda version: version.number)

    def holding(self, digest: str) -> list[Version]:
        """Versions that are this package, by name and number."""
        return sorted((v for v in self.versions.values() if v.digest == digest), key=lambda version: (version.name, version.number))

    def tags_of(self, version: Version) -> tuple[str, ...]:
        """Tags that stand on a version, in order."""
        return tuple(sorted(tag for (name, tag), number in self.tags.items() if (name, number) == (version.name, version.number)))

    def number_for(self, name: str, digest: str) -> int:
        """The version that this package gets under `name`: the one it has, or the next integer."""
        held = self.named(check_name(name))
        same = next((version.number for version in held if version.digest == digest), None)
        return same or (held[-1].number + 1 if held else 1)

    def put(self, version: Version) -> Index:
        """With this version; one of the same number may only differ in its annotations. Raises StoreError."""
        held = self.versions.get(version.ref, version)
        if (held.digest, held.manifest.digest) != (version.digest, version.manifest.digest):
            raise StoreError(f"{version.ref} is another package, and versions never change", got=version.digest, expected=held.digest)
        return replace(self, versions={**self.versions, version.ref: version})

    def tag(self, version: Version, tag: str) -> Index:
        """With `tag` on this version, wherever it stood before."""
        return replace(self, tags={**self.tags, (version.name, check_tag(tag)): version.number})

    def untag(self, name: str, tag: str) -> Index:
        """Without this tag. Raises StoreError when there is none."""
        if (name, tag) not in self.tags:
            raise StoreError(f"{name!r} has no tag {tag!r}", expected=self._known_tags(name))
        return replace(self, tags={key: number for key, number in self.tags.items() if key != (name, tag)})

    def put_release(self, version: Version, release: Descriptor) -> Index:
        """With this release of a version, as its newest."""
        noted = replace(release, artifact_type=RELEASE, annotations={_OF: version.ref, _DIGEST: version.digest})
        rest = {digest: held for digest, held in self.releases.items() if digest != release.digest}
        return replace(self, releases={**rest, release.digest: noted})

    def releases_of(self, digest: str | None = None) -> list[Descriptor]:
        """Releases of a package (of all, without a digest), newest first."""
        return [held for held in reversed([*self.releases.values()]) if digest in (None, held.annotations[_DIGEST])]

    def find(self, text: str) -> Version:
        """The version that a reference means.

        Raises:
            StoreError: nothing here is called so; the message lists what is.
            IntegrityError: the reference is pinned to another digest than the version has.
        """
        wanted = Reference.parse(text)
        version = self._by_digest(wanted) if wanted.number is None and wanted.tag is None and wanted.digest else self._by_name(wanted)
        if wanted.digest is not None and version.digest != wanted.digest:
            raise IntegrityError(f"{text.partition('@')[0]} is another package than the one pinned", got=version.digest,
                                 expected=wanted.digest)  # fmt: skip
        return version

    def _by_digest(self, wanted: Reference) -> Version:
        found = [v for v in self.holding(str(wanted.digest)) if wanted.name in (None, v.name)]
        if not found:
            raise StoreError("The store holds no such package", got=wanted.digest, fix="Run: portside store ls")
        return found[0]

    def _by_name(self, wanted: Reference) -> Version:
        held = self.named(str(wanted.name))
        if not held:
            names = sorted({version.name for version in self.versions.values()})
            raise StoreError(f"The store holds no package called {wanted.name!r}", expected=", ".join(names[:20]) or None,
                             fix="Where a folder is meant, check its path. Run: portside store ls")  # fmt: skip
        if wanted.tag is not None and (wanted.name, wanted.tag) not in self.tags:
            raise StoreError(f"{wanted.name!r} has no tag {wanted.tag!r}", expected=self._known_tags(held[0].name))
        number = self.tags[held[0].name, wanted.tag] if wanted.tag is not None else wanted.number or held[-1].number
        version = self.versions.get(f"{wanted.name}:{number}")
        if version is None:
            raise StoreError(f"{wanted.name!r} has no version {number}", expected=f"1 to {held[-1].number}")
        return version

    def _known_tags(self, name: str) -> str:
        return ", ".join(sorted(tag for held, tag in self.tags if held == name)) or "none is set"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready OCI image index."""
        versions = [entry for version in self.versions.values() for entry in version.entries()]
        evidence = [replace(d, artifact_type=EVIDENCE, annotations={_DIGEST: digest}).to_dict() for digest, d in self.evidence.items()]
        tags = [self._tag_entry(name, tag, number) for (name, tag), number in self.tags.items()]
        releases = [release.to_dict() for release in self.releases.values()]
        entries = [*versions, *tags, *evidence, *releases, *(other.to_dict() for other in self.others)]
        return with_extra({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, self.extra)

    def _tag_entry(self, name: str, tag: str, number: int) -> dict[str, Any]:
        notes = {REF_NAME: f"{name}:{tag}", _NAME: name, _TAG: tag, _VERSION: str(number)}
        return replace(self.versions[f"{name}:{number}"].manifest, artifact_type=PACKAGE, annotations=notes).to_dict()


def parse_index(text: bytes) -> Index:
    """Parse index.json. Raises FormatError for anything that is not a whole, consistent index."""
    data = read_object(text, "index.json of the store")
    entries = data.get("manifests")
    if data.get("schemaVersion") != 2 or not isinstance(entries, list):
        raise FormatError("index.json of the store is not an OCI image index", expected="schemaVersion 2 and a list of manifests")
    found = [Descriptor.from_dict(entry, "index.json of the store") for entry in entries]
    try:
        return _construct(found, {key: value for key, value in data.items() if key not in ("schemaVersion", "mediaType", "manifests")})
    except (KeyError, ValueError, StoreError) as error:
        raise FormatError(f"index.json of the store is inconsistent: {error}") from error


def _construct(found: list[Descriptor], extra: dict[str, Any]) -> Index:
    packages = [entry for entry in found if entry.artifact_type == PACKAGE and _NAME in entry.annotations]
    notes = {entry.annotations[_OF]: entry for entry in found if entry.artifact_type == ANNOTATIONS and _OF in entry.annotations}
    evidence = {entry.annotations[_DIGEST]: entry for entry in found if entry.artifact_type == EVIDENCE and _DIGEST in entry.annotations}
    releases = {entry.digest: entry for entry in found if entry.artifact_type == RELEASE and _DIGEST in entry.annotations}
    versions = [_version(entry, notes) for entry in packages if _TAG not in entry.annotations]
    by_ref = {version.ref: version for version in versions}
    if len(by_ref) != len(versions):
        raise ValueError("a version stands twice")
    tags = {(e.annotations[_NAME], check_tag(e.annotations[_TAG])): int(e.annotations[_VERSION]) for e in packages if _TAG in e.annotations}
    for (name, tag), number in tags.items():
        if f"{name}:{number}" not in by_ref:
            raise ValueError(f"tag {name}:{tag} stands on a version that is not there")
    ours = {id(entry) for entry in (*packages, *notes.values(), *evidence.values(), *releases.values())}
    return Index(by_ref, tags, evidence, releases, tuple(entry for entry in found if id(entry) not in ours), extra)


def _version(entry: Descriptor, notes: Mapping[str, Descriptor]) -> Version:
    held = entry.annotations
    name, number = check_name(held[_NAME]), int(held[_VERSION])
    if number < 1 or held[_VERSION] != str(number):
        raise ValueError(f"{held[_VERSION]!r} is not a version")
    parents = tuple(check_digest(parent, "A parent") for parent in held.get(_PARENTS, "").split())
    digest = check_digest(held[_DIGEST], "A package digest")
    return Version(name, number, digest, parents, entry, notes[f"{name}:{number}"], int(held[_SIZE]))
