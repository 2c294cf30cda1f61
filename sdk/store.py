"""The Store: packages by name and version, tags, lineage and evidence, in an OCI image layout on disk.

    >>> store = Store("~/.portside")                       # doctest: +SKIP
    >>> store.push(package)                                # doctest: +SKIP
    'cell-inspector:4'

Versions never change; tags and annotations may. Everything becomes visible in one step (sdk/store_layout.py), and
nothing is handed out before its bytes were compared with its digest.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .core.canonical import canonical_json
from .core.data import Data
from .core.errors import FormatError, IntegrityError, PortsideError, StoreError
from .core.folder import Source, check_path
from .core.manifest import Annotations, FileEntry
from .core.package import Package, write
from .core.release import Release
from .store_artifact import EVIDENCE, Descriptor
from .store_collect import Freed, Problem, collect, examine
from .store_evidence import TENSORS, from_blobs, to_blobs
from .store_index import Index, Version, parse_index
from .store_layout import Layout
from .store_lineage import Lineage, trace
from .store_package import cached, put_artifact, put_blob, put_content, put_notes, put_source, read_artifact, read_config
from .store_reference import check_name
from .store_release import Compiled, put_release, read_release, write_artifact

HOME = "PORTSIDE_HOME"


@dataclass(frozen=True)
class Listed:
    """One line of `Store.ls`: a version, the tags on it, its parents, and its size in bytes."""

    name: str
    version: int
    digest: str
    tags: tuple[str, ...]
    parents: tuple[str, ...]
    size_bytes: int

    @property
    def ref(self) -> str:
        """ "name:N"."""
        return f"{self.name}:{self.version}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        known = {"ref": self.ref, "digest": self.digest, "size_bytes": self.size_bytes}
        return {**known, "tags": list(self.tags), "parents": list(self.parents)}


class Store:
    """Packages in a folder.

    Args:
        path: the store's folder, made at the first push; default `$PORTSIDE_HOME`, else `~/.portside`.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path or os.environ.get(HOME) or "~/.portside").expanduser().absolute()
        self._layout = Layout(self.path)

    def push(self, package: Package, name: str | None = None) -> str:
        """Store a package and return "name:N": the next integer, or the version that the same digest has already.

        Pushed again, its annotations are merged into the stored ones.

        Raises:
            StoreError: no usable name, a full disk, or not a store.
            IntegrityError: a file of the package changed since it was opened.
        """
        wanted = name or package.name
        if wanted == "unnamed":
            raise StoreError("The package has no name", fix='Pass one: store.push(package, name="cell-inspector")')
        check_name(wanted)
        annotations = _without_version(replace(package.manifest.annotations, name=wanted))
        with self._layout.writing():
            manifest = put_content(self._layout, package)
            for path, entry in annotations.files.items():
                self._layout.put_file(package.path, path, entry)

            def add(index: Index) -> Version:
                number = index.number_for(wanted, package.digest)
                held = index.versions.get(f"{wanted}:{number}")
                notes = put_notes(self._layout, manifest, annotations, package.manifest.extra, held)
                size = sum(entry.size for entry in package.content.files.values())
                return Version(wanted, number, package.digest, package.content.parents, manifest, notes, size)

            return self._put_version(add)

    def annotate(self, ref: str, files: Mapping[str, Source] | None = None, **fields: Any) -> str:
        """Set annotations of a stored version; its digest does not move. Returns "name:N".

        Args:
            ref: a reference.
            files: path below `annotations/` -> content.
            **fields: annotation fields.
        """
        for path in files or {}:
            check_path(path, ("annotations",))
        with self._layout.writing():
            listed = {path: put_source(self._layout, source) for path, source in (files or {}).items()}

            def note(index: Index) -> Version:
                version = index.find(ref)
                given = Annotations(version.name, fields, listed)
                return replace(version, notes=put_notes(self._layout, version.manifest, given, {}, version))

            return self._put_version(note)

    def pull(self, ref: str, out: str | Path | None = None, digest: str | None = None, trust: bool = False) -> Package:
        """A package, verified: in a read-only folder of the store, or copied to a folder `out` of the caller's own.

        Raises:
            StoreError: there is no such package, or `out` is not empty.
            IntegrityError: a blob is damaged, or the reference is another package than `digest`.
        """
        with self._layout.reading():
            version = self._index().find(ref)
            if digest is not None and version.digest != digest:
                raise IntegrityError(f"{ref} is not the package that was asked for", got=version.digest, expected=digest)
            package = cached(self._layout, version, trust)
            if out is None:
                return package
            content, notes = package.content, package.manifest.annotations
            copied = write(content, _sources(package, content.files), Path(out), notes, _sources(package, notes.files), trust)
        return copied if copied.digest == version.digest else _refuse_copy(copied, version)

    def ls(self, name: str | None = None) -> tuple[Listed, ...]:
        """Every version, by name and number; of one name, if given."""
        index = self._index()
        versions = sorted(index.versions.values(), key=lambda version: (version.name, version.number))
        return tuple(_listed(index, version) for version in versions if name in (None, version.name))

    def resolve(self, ref: str) -> str:
        """The package digest that a reference means. Raises StoreError for one that is not here."""
        return self._index().find(ref).digest

    def tag(self, ref: str, tag: str) -> str:
        """Put `tag` on a version, taking it from where it stood. Returns "name:tag"."""
        found: list[Version] = []

        def move(index: Index) -> Index:
            found.append(index.find(ref))
            return index.tag(found[-1], tag)

        with self._layout.writing():
            self._change(move)
        return f"{found[-1].name}:{tag}"

    def untag(self, ref: str) -> None:
        """Remove a tag, given as "name:tag". The version stays. Raises StoreError when there is none."""
        name, _, tag = ref.partition(":")
        with self._layout.writing():
            self._change(lambda index: index.untag(name, tag))

    def lineage(self, ref: str) -> Lineage:
        """Ancestors and descendants of a package, by parent digests, nearest first."""
        index = self._index()
        return trace(index, index.find(ref).digest)

    def put_evidence(self, data: Data) -> str:
        """Store held-out rows and return their digest, which depends on the rows alone.

        Raises InputError for a column that cannot be stored without pickling.
        """
        config, tensors = to_blobs(data)
        with self._layout.writing():
            described = put_blob(self._layout, EVIDENCE, config)
            self._layout.put_bytes(tensors)
            whole = put_artifact(self._layout, EVIDENCE, described, {TENSORS: FileEntry.of(tensors)})
            self._change(lambda index: replace(index, evidence={**index.evidence, described.digest: whole}))
        return described.digest

    def evidence(self, digest: str) -> Data:
        """The held-out rows that `put_evidence` stored. Raises StoreError, IntegrityError."""
        with self._layout.reading():
            held = self._index().evidence.get(digest)
            if held is None:
                raise StoreError("The store holds no such evidence set", got=digest, fix="Put it there with store.put_evidence(data).")
            manifest = read_artifact(self._layout, held)
            config, tensors = read_config(self._layout, manifest), manifest.files().get(TENSORS)
            if manifest.config is None or manifest.config.digest != digest or tensors is None:
                raise IntegrityError("The evidence set is not the one that its digest says", expected=digest)
            return from_blobs(config, self._layout.read_blob(*tensors))

    def put_release(self, package: str, compiled: Sequence[Compiled]) -> Release:
        """Store compiled artifacts of a package and the release over them. `portside.release` checks and calls this.

        Args:
            package: digest of a package that is in this store.
            compiled: audited artifact folders, one per target and platform.

        Raises StoreError when the package is not here.
        """
        with self._layout.writing():
            index = self._index()
            if not index.holding(package):
                raise StoreError("The store holds no such package, and a release belongs to one", got=package,
                                 fix="Run: portside store push FOLDER with the folder of the package, then release again.")  # fmt: skip
            version = index.find(package)
            release, described = put_release(self._layout, version, compiled)
            self._change(lambda index: index.put_release(version, described))
        return release

    def release(self, ref: str, digest: str | None = None) -> Release:
        """The newest release of a package, or the one with this digest.

        Raises StoreError when there is none.
        """
        with self._layout.reading():
            return read_release(self._layout, self._release(ref, digest))

    def releases(self, ref: str | None = None) -> tuple[Release, ...]:
        """Releases of a package, or of all, newest first."""
        with self._layout.reading():
            index = self._index()
            held = index.releases_of(index.find(ref).digest if ref else None)
            return tuple(read_release(self._layout, descriptor) for descriptor in held)

    def pull_artifact(self, ref: str, target: str, out: str | Path, platform: str | None = None, digest: str | None = None) -> Path:
        """The artifact of a release as a folder of the caller's own, every byte checked.

        Args:
            ref: the package.
            target: name of the runtime that will load it.
            out: a new folder.
            platform: where it will run; None where the release has one for any.
            digest: which release; default the newest.

        Raises StoreError, IntegrityError.
        """
        with self._layout.reading():
            held = self._release(ref, digest)
            return write_artifact(self._layout, held, read_release(self._layout, held).part(target, platform), Path(out))

    def _release(self, ref: str, digest: str | None) -> Descriptor:
        index = self._index()
        version = index.find(ref)
        held = [release for release in index.releases_of(version.digest) if digest in (None, release.digest)]
        if not held:
            raise StoreError(f"The store holds no release of {version.ref}" + (f" with digest {digest}" if digest else ""),
                             fix="Make one: portside release ARTIFACT...")  # fmt: skip
        return held[0]

    @contextmanager
    def workspace(self) -> Generator[Path]:
        """A folder beside the blobs for a package being built; removed afterwards, also when the process is killed.

        `gc` waits until it is left.
        """
        with self._layout.workspace() as folder:
            yield folder

    def gc(self, caches: bool = False) -> Freed:
        """Remove blobs that nothing refers to; waits for pushes under way.

        Args:
            caches: also remove the folders of pulled packages. No process may have one open.
        """
        if not self._layout.check():
            return Freed(0, 0)
        with self._layout.alone():
            return collect(self._layout, self._index(), caches)

    def fsck(self) -> tuple[Problem, ...]:
        """Read everything and compare it with its digest; what is wrong, and what to do about each."""
        with self._layout.reading():
            try:
                return examine(self._layout, self._index())
            except PortsideError as error:
                return (Problem(str(self.path), error),)

    def _index(self) -> Index:
        text = self._layout.read_index()
        return Index() if text is None else self._parse(text)

    def _parse(self, text: bytes) -> Index:
        try:
            return parse_index(text)
        except FormatError as error:
            raise self._layout.garbled(error) from error

    def _change(self, change: Callable[[Index], Index]) -> None:
        self._layout.change_index(lambda text: canonical_json(change(self._parse(text)).to_dict()))

    def _put_version(self, make: Callable[[Index], Version]) -> str:
        """Add or replace a version that depends on the index, with nobody in between."""
        made: list[Version] = []

        def change(index: Index) -> Index:
            made.append(make(index))
            return index.put(made[-1])

        self._change(change)
        return made[-1].ref


def _listed(index: Index, version: Version) -> Listed:
    return Listed(version.name, version.number, version.digest, index.tags_of(version), version.parents, version.size_bytes)


def _without_version(annotations: Annotations) -> Annotations:
    """Without the version that another push gave it."""
    return replace(annotations, fields={key: value for key, value in annotations.fields.items() if key != "version"})


def _sources(package: Package, files: Mapping[str, FileEntry]) -> dict[str, Source]:
    return {path: package.path / path for path in files}


def _refuse_copy(copied: Package, version: Version) -> Package:
    shutil.rmtree(copied.path)
    raise IntegrityError("A file changed while it was copied from the store", got=copied.digest, expected=version.digest)
