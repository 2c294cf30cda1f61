"""What a pass that trains can say before anything has run: of the package's training, of the rows, of layers that an option names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...sdk.core.errors import InputError
from ...sdk.core.package import Package
from ..base import Ahead
from ..layer_names import matches
from .batches import check_rows
from .retrace import lowered_before, require_float, require_traceable
from .stored import require_training, trainee_of


def foreseen(ahead: Ahead, layers: Sequence[str] = (), field: str = "keep") -> Ahead:
    """What the next pass finds behind one that trains.

    Args:
        ahead: what this pass finds.
        layers: names that an option lists, or patterns.
        field: the option.

    Raises:
        InputError: precision was lowered before; no rows, labels that mean nothing; a name that no layer has.
        UnsupportedError: no training/ folder; a host stage, or a memory.
        TrustError: the package is not trusted.
    """
    package = ahead.package
    if ahead.lowered:
        raise lowered_before("this recipe" if package is None else package.name)
    if package is not None:
        require_float(package)
        require_training(package)
        require_traceable(package)
        check_rows(package, ahead.data)
        _check_layers(package, layers, field)
    return replace(ahead, changed=True)


def _check_layers(package: Package, layers: Sequence[str], field: str) -> None:
    """Raises InputError for what names no layer, nor one of two that a layer was factored into."""
    if not layers:
        return
    known = [name for name, _ in trainee_of(package).model.named_modules() if name]
    able = [*known, *(f"{name}.{place}" for name in known for place in (0, 1))]
    for pattern in layers:
        if not any(matches(name, pattern) for name in able):
            raise InputError("No layer has this name", field=field, got=pattern, expected=", ".join(known[:12]))
