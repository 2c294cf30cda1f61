"""A derived Package: the same program with something changed, lineage and recipe extended, the contract carried over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..sdk.core.package import Package, write
from ..sdk.store import Store

EXPORTED = "annotations/program.pt2"
"""What torch traced: of the program, which a derived package shares, so it goes along. (Its own module needs torch.)"""


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
    changed = replace(
        package.content, recipe=(*package.content.recipe, dict(step)), parents=(*package.content.parents, package.digest), **content
    )
    whole = {**held, **(files or {})}
    annotations = package.manifest.annotations
    notes = {name: package.path / name for name in annotations.files if name == EXPORTED}
    kept = replace(annotations, files={})
    if out is not None:
        return write(changed, whole, out, kept, notes, trusted=package.trusted)
    store = Store()
    with store.workspace() as folder:
        made = write(changed, whole, folder / "derived", kept, notes)
        return store.pull(store.push(made, annotations.name), trust=package.trusted)
