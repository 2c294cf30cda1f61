"""Where the zoo's packages are written, and the shape of one entry."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, TypeAlias

import portside as ps

Entry: TypeAlias = tuple[ps.Package, ps.Data | None]
PACKAGES = Path(__file__).resolve().parent / "packages"


def folder_for(name: str) -> Path:
    """A fresh folder for a package; an earlier build of it is replaced."""
    shutil.rmtree(PACKAGES / name, ignore_errors=True)
    return PACKAGES / name


def held_out(inputs: dict[str, Any], labels: Any = None) -> ps.Data:
    """Rows that the package was not trained on."""
    return ps.Data(inputs=inputs, labels=labels)
