"""Gates of a compile: the artifact's own answers against an ancestor's, before anything is published.

- Gates come from the caller and from the package's recipe, whose steps `{"kind": "gates", "max_flips": 0.01}` travel with it; of
  two limits on the same thing the stricter one holds.
- The ancestor is the one that was named, else the package's first parent where it is at hand, else the package itself in float.
- The rows are the ones that were given, else the evidence set. A gate that they cannot judge stops the compile as one that fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..sdk.core.budget import Budget
from ..sdk.core.data import Data
from ..sdk.core.errors import ContractError, FormatError, InputError, PortsideError, StoreError
from ..sdk.core.package import MANIFEST, Package, open_folder, read_manifest
from ..sdk.store import Store
from .artifact import Artifact
from .audit import audit, quality_limits
from .evaluate import Subject
from .expectations import stored
from .subjects import opened

KIND = "gates"


def gates_of(package: Package, asked: Budget | None = None) -> Budget | None:
    """The gates that a compile has to pass; None where there are none.

    Raises InputError for limits that are not about quality, FormatError for a recipe whose gates cannot be read.
    """
    found = [quality_limits(asked), *(_step(step) for step in package.content.recipe if step.get("kind") == KIND)]
    names = {name for limits in found for name in limits}
    strict = {name: min(limits[name] for limits in found if name in limits) for name in names}
    return Budget(**strict) if strict else None


def ancestor_of(package: Package, named: Subject | None = None) -> Package | Artifact:
    """What a derived package must not be worse than. Raises what opening a named one raises."""
    if named is not None:
        return opened(named, package.trusted)
    for digest in package.content.parents[:1]:
        with suppress(StoreError):
            return Store().pull(digest, trust=package.trusted)
        if (beside := _beside(package, digest)) is not None:
            return beside
    return package


def pass_gates(artifact: Artifact, package: Package, gates: Budget, ancestor: Subject | None, data: Data | None) -> dict[str, Any]:
    """The summary of the audit that let the artifact through. Raises ContractError, with the audit, where it did not."""
    rows = data if data is not None else _evidence(package)
    declared = stored(package)  # an artifact that anybody may see travels without them
    found = audit(artifact, ancestor_of(package, ancestor), rows, gates=gates, expectations=declared or None, trust=package.trusted)
    if not found:
        asked = [(gate.name, gate) for gate in found.gates] + [(held.name, held.gate) for held in found.expectations]
        said = "; ".join(f"{name}: {gate.verdict}{f', {gate.note}' if gate.note else ''}" for name, gate in asked if not gate)
        raise ContractError(f"The {artifact.target} artifact of {package.name!r} does not pass its gates", report=found, got=said,
                            expected=f"passed, against {found.ancestor[:19]} on {found.rows} rows",
                            fix="The audit (error.report) shows slices and rows. Compress less, or give more rows: data=...")  # fmt: skip
    return found.summary()


def _step(step: Mapping[str, Any]) -> dict[str, float]:
    try:
        return quality_limits(Budget.from_dict({name: held for name, held in step.items() if name != "kind"}))
    except InputError as error:
        raise FormatError(f"The gates in the package's recipe cannot be read: {error}", got=str(dict(step))[:200]) from error


def _beside(package: Package, digest: str) -> Package | None:
    """The package of this digest in a folder beside the package's own; what may not be read is passed over, as /tmp is full of it."""
    folders: list[Path] = []
    with suppress(OSError):
        folders = sorted(package.path.parent.iterdir())
    for folder in folders:
        with suppress(PortsideError, OSError):
            if (folder / MANIFEST).is_file() and read_manifest(folder).digest == digest:
                return open_folder(folder, digest, trust=package.trusted)
    return None


def _evidence(package: Package) -> Data:
    if package.content.evidence is None:
        raise ContractError("The compile has gates and no rows to judge them on", got="a package without an evidence set",
                            fix="Pass data=Data(...), or pack with evidence=Data(...).")  # fmt: skip
    try:
        return Store().evidence(package.content.evidence)
    except StoreError as error:
        raise ContractError("The compile has gates, and the package's evidence set is not in this store",
                            got=package.content.evidence, fix="Pass data=Data(...).") from error  # fmt: skip
