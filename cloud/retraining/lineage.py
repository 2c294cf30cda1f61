"""A candidate out of what the training command left: the same program, with the champion as its parent and the dataset in its recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...sdk.core.errors import InputError
from ...sdk.core.package import Package, open_folder, write
from ..releasing.evidence import RETRAIN


def candidate(left: Path, champion: Package, step: Mapping[str, Any], notes: Mapping[str, Any], name: str, out: Path,
              trust: bool) -> Package:  # fmt: skip
    """The package that the command left, with its lineage, at `out`; the one that is there already where a run is taken up.

    Args:
        left: folder of the package as the command left it.
        champion: what it is to follow.
        step: how it was made, JSON-ready; becomes a step of its recipe, and so part of its digest.
        notes: annotations to add, such as why it was made.
        name: of the candidate.
        out: a folder; not there, or made by this before.
        trust: host stages may run.

    Raises:
        FormatError, IntegrityError: what was left is no intact package.
        InputError: it is the champion itself, parameter for parameter.
        StoreError: it cannot be written.
    """
    if out.is_dir():
        return open_folder(out, trust=trust)
    made = open_folder(left, trust=trust)
    if _program(made) == _program(champion):
        raise InputError("The training command left the champion's own program: there is nothing new to try", got=made.digest,
                         fix="Look at the log: was the dataset read?")  # fmt: skip
    parents = tuple(dict.fromkeys((*made.content.parents, champion.digest)))
    content = replace(made.content, files={}, parents=parents, recipe=(*made.content.recipe, {"kind": RETRAIN, **step}))
    held = made.manifest.annotations
    noted = replace(held, name=name, fields={**held.fields, "retrained": dict(notes)}, files={})
    return write(content, {path: made.path / path for path in made.content.files}, out, noted,
                 {path: made.path / path for path in held.files}, trusted=trust)  # fmt: skip


def _program(package: Package) -> tuple[str, dict[str, str]]:
    """What decides its answers: the program, and the files of the user's own Python and of the codec."""
    files = package.content.files
    return package.content.program_digest, {path: entry.sha256 for path, entry in files.items() if path.startswith(("host/", "codec/"))}
