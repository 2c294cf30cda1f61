"""`ladder_report`: the page of the ladder that made a package, from what the package keeps of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..runtimes.audit_sections import Row
from ..runtimes.pictures import shown
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest, slices_digest
from ..sdk.core.errors import FormatError, InputError, PortsideError
from ..sdk.core.package import Package
from ..sdk.core.plan import plan_of
from ..sdk.opening import open as open_package
from .compressing import LADDER
from .ladder_page import Climbed, page


def ladder_report(package: Package | str | Path, path: Path | str, data: Data | None = None) -> Path:
    """Write the page of the ladder that a package was made on, by `compress(target=...)`.

    Args:
        package: what was made: a package, its folder, or its name in the store.
        path: of the page, which stands alone: one file without scripts that loads nothing, light and dark.
        data: the held-out rows, to show those that changed; None: they are shown by number.

    Raises:
        InputError: the package was made without a target; `data` has another number of rows than the ladder was judged on.
        FormatError: what it keeps of the ladder cannot be read.
    """
    held = package if isinstance(package, Package) else open_package(package)
    if LADDER not in held.manifest.annotations.files:
        raise InputError("The package keeps no ladder", got=held.name, fix="Make it with compress(..., target=..., held_out=...).")
    try:
        climb = Climbed.of(held.name, json.loads(held.read(LADDER)), known(held, data), _command(held))
        _check_rows(climb, data)
        return written(climb, held, path, data)
    except PortsideError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise FormatError("What the package keeps of its ladder cannot be read", got=f"{type(error).__name__}: {error}"[:200]) from error


def _check_rows(climb: Climbed, data: Data | None) -> None:
    """Raises InputError for rows that the ladder cannot have been judged on."""
    rows = climb.best_trial.comparison.get("rows")
    if data is not None and rows is not None and len(data) != rows:
        raise InputError("These are not the rows that the ladder was judged on", field="data", got=f"{len(data)} rows",
                         expected=f"{rows} rows", fix="Pass the held-out rows, or leave `data` out.")  # fmt: skip


def written(climb: Climbed, package: Package, path: Path | str, data: Data | None) -> Path:
    """Write the page of a climb; the package's codec reads the rows."""
    row: Row | None = None if data is None else lambda place: shown(package, data, place)
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(climb, row), encoding="utf-8")
    return file


def known(package: Package, data: Data | None) -> dict[str, Any]:
    """Lineage: what was made of what, by which recipe, on which rows."""
    plan = plan_of(package.content.plan)
    calibration: Mapping[str, Any] = {name: held for name, held in plan.calibration.items() if name != "warnings"}
    rows = {} if data is None else {"held-out rows": data_digest(data), "slices": slices_digest(data)}
    return {"package": f"{package.name}, {package.digest}", "parents": list(package.content.parents),
            "recipe": [dict(step) for step in package.content.recipe], "calibration": dict(calibration), **rows}  # fmt: skip


def _command(package: Package) -> str:
    """A call that makes it again; the command line puts its own words in its place."""
    parent = package.content.parents[0] if package.content.parents else package.name
    return f"ps.compress(ps.open({parent!r}), ps.Recipe(...), data, target=..., held_out=held_out)  # the recipe stands in the lineage"
