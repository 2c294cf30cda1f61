"""A recipe looked at before any work: options, order, and what every pass can say from the package that it begins with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..runtimes.base import compile_lack, runtime
from ..sdk.core.data import Data
from ..sdk.core.errors import InputError, UnsupportedError
from ..sdk.core.folder import check_free
from ..sdk.core.package import Package
from .base import Ahead, LooksAhead, Pass

_MADE = ("Conv", "Gemm", "MatMul", "Add")
"""Operators that passes put into a network that may have had none."""
_NUMBERED = re.compile(r"(.+)_\d+")


def look_ahead(passes: Sequence[Pass], package: Package, data: Data) -> None:
    """Raises what a pass would raise that cannot run, as far as it can be known; behind a pass that does not say, that is its options."""
    ahead = Ahead(package, data)
    for step in passes:
        step.to_dict()  # options that mean nothing are found here
        ahead = step.look_ahead(ahead) if isinstance(step, LooksAhead) else Ahead(None, data, changed=True)


def check_places(target: str | None, held_out: Data | None, out: Path | None) -> None:
    """Where a recipe measures and writes.

    Raises:
        UnsupportedError, MissingExtraError: the target.
        InputError: a target without rows to judge on, or rows without a target.
        StoreError: `out` is not empty.
    """
    if out is not None:
        check_free(out)
    if target is None and held_out is not None:
        raise InputError("Rows to judge on are of no use without a target to measure on", field="target",
                         fix='Pass target="onnx-cpu" as well, or audit the result afterwards.')  # fmt: skip
    if target is None:
        return
    if held_out is None or not len(held_out):
        raise InputError("Measuring on a target needs rows that calibration did not see", field="held_out",
                         fix="Pass held_out=Data(...), or leave target out and verify afterwards.")  # fmt: skip
    if (lack := compile_lack(runtime(target))) is not None:
        raise lack


def check_nodes(names: Sequence[str], known: Sequence[str], changed: bool) -> None:
    """Nodes that an option names. In a network that passes will have changed nodes have other numbers, and are of the same operators.

    Args:
        names: "stage/node" ids.
        known: those of the package as it is.
        changed: passes before change the network.

    Raises UnsupportedError for one that cannot exist.
    """
    made = {f"{name.partition('/')[0]}/{operator}" for name in known for operator in _MADE}
    able = {_operator(name) for name in known} | made if changed else {*known}
    for name in names:
        if (_operator(name) if changed else name) not in able:
            raise UnsupportedError("A node to keep does not exist", got=name, expected=", ".join(known[:12]))


def _operator(name: str) -> str:
    """A node's id without its number."""
    found = _NUMBERED.fullmatch(name)
    return found.group(1) if found else name
