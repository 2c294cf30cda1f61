"""A derived Package: the same program with something changed, lineage and recipe extended, the contract carried over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..sdk.core.manifest import Annotations, Content
from ..sdk.core.package import Package, Source, write
from ..sdk.store import Store

EXPORTED = "annotations/program.pt2"
"""What torch traced: of the program, which a derived package shares, so it goes along. (Its own module needs torch.)"""

REPORT = "annotations/{}.json"
"""Where a pass of a kind keeps its report."""


def derive(package: Package, step: Mapping[str, Any], out: Path | None = None, files: Mapping[str, bytes] | None = None,
           **content: Any) -> Package:  # fmt: skip
    """Write the package that a pass made of `package`.

    Its float program, codec, contract and profile are those of the parent, unless they are among the changes.

    Args:
        package: the parent.
        step: the pass as data, appended to the recipe.
        out: folder that does not exist yet; None: the store, under the parent's name.
        files: path -> bytes that are new or replace the parent's.
        **content: fields of the manifest's content that change, e.g. plan=...

    Raises StoreError where it cannot be written.
    """
    held = {name: package.path / name for name in package.content.files}
    parent = package.content
    changed = replace(parent, recipe=(*parent.recipe, dict(step)), parents=(*parent.parents, package.digest), **content)
    annotations = package.manifest.annotations
    notes = {name: package.path / name for name in annotations.files if name == EXPORTED} | _reports(package)
    return _published(changed, {**held, **(files or {})}, out, replace(annotations, files={}), notes, package.trusted)


def child(package: Package, content: Content, step: Mapping[str, Any], files: Mapping[str, bytes], out: Path | None,
          notes: Mapping[str, bytes] | None = None) -> Package:  # fmt: skip
    """Write the package of a pass that made a new program: nothing of the parent's files is taken but what is given.

    Args:
        package: the parent.
        content: what the child states; recipe and lineage are extended here.
        step: the pass as data.
        files: path -> bytes, all of them.
        out: folder that does not exist yet; None: the store, under the parent's name.
        notes: annotation files.

    Raises StoreError where it cannot be written.
    """
    changed = replace(content, files={}, recipe=(*package.content.recipe, dict(step)), parents=(*package.content.parents, package.digest))
    annotations = replace(package.manifest.annotations, files={})
    return _published(changed, files, out, annotations, {**_reports(package), **(notes or {})}, package.trusted)


def _reports(package: Package) -> dict[str, Source]:
    """What the passes before said of themselves: the package that comes of all of them is the one that people open."""
    names = (REPORT.format(step.get("kind")) for step in package.content.recipe)
    return {name: package.path / name for name in names if name in package.manifest.annotations.files}


def finished(made: Package, parent: Package, out: Path | None, notes: Mapping[str, bytes] | None = None) -> Package:
    """What several passes made of `parent`, published as its child: packages between the two were never anybody's.

    Args:
        made: the last of them.
        parent: where they began.
        out: folder that does not exist yet; None: the store.
        notes: annotation files to add, e.g. a report.

    Raises StoreError where it cannot be written.
    """
    held = {name: made.path / name for name in made.content.files}
    content = replace(made.content, parents=(*parent.content.parents, parent.digest))
    annotations = made.manifest.annotations
    noted: dict[str, Source] = {name: made.path / name for name in annotations.files}
    return _published(content, held, out, replace(annotations, files={}), {**noted, **(notes or {})}, parent.trusted)


def descended(made: Package, parents: Sequence[str], out: Path | None) -> Package:
    """What was made from several packages, published with these digests as its lineage. Raises StoreError as `derive` does."""
    held = {name: made.path / name for name in made.content.files}
    noted: dict[str, Source] = {name: made.path / name for name in made.manifest.annotations.files}
    annotations = replace(made.manifest.annotations, files={})
    return _published(replace(made.content, parents=tuple(parents)), held, out, annotations, noted, made.trusted)


def _published(content: Content, files: Mapping[str, Source], out: Path | None, annotations: Annotations, notes: Mapping[str, Source],
               trusted: bool) -> Package:  # fmt: skip
    if out is not None:
        return write(content, files, out, annotations, notes, trusted=trusted)
    store = Store()
    with store.workspace() as folder:
        made = write(content, files, folder / "derived", annotations, notes)
        return store.pull(store.push(made, annotations.name), trust=trusted)
