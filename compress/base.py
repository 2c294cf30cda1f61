"""The seam of compression: what a Pass is, and what it is given beside package and data."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, cast, runtime_checkable

from ..sdk.core.data import Data
from ..sdk.core.package import Package


@dataclass(frozen=True)
class PassContext:
    """Everything around a pass.

    Attributes:
        out: folder of the derived package; None: the store's staging, see `derive`.
        seed: of everything random.
        deadline: `time.monotonic()` at which the pass must come to an end with the best it has; None: none.
        progress: called with (done, of, what).
        checkpoints: folder in which a long pass keeps its state; None: it does not.
        origin: what the recipe began with, which a pass may learn from; None: nobody said.
    """

    out: Path | None = None
    seed: int = 0
    deadline: float | None = None
    progress: Callable[[int, int, str], None] = field(default=lambda done, of, what: None)
    checkpoints: Path | None = None
    origin: Package | None = None

    @property
    def late(self) -> bool:
        """The deadline has passed."""
        return self.deadline is not None and time.monotonic() >= self.deadline


class Options:
    """A pass whose options are its dataclass's fields, as data: those that are None are left out."""

    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what a recipe keeps."""
        held = {name: list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return {"kind": self.kind, **{name: value for name, value in held.items() if value is not None}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Parse a recipe's step. Raises InputError, or TypeError for an option that does not exist."""
        return cls(**{name: value for name, value in data.items() if name != "kind"})


class Pass(Protocol):
    """One step of a recipe: Package -> Package, with lineage. Options are the dataclass's own fields."""

    kind: ClassVar[str]

    def run(self, package: Package, data: Data, context: PassContext) -> Package:
        """The derived package. Raises PortsideError by name for what the pass cannot do to this package."""
        ...

    def to_dict(self) -> Mapping[str, Any]:
        """The pass as data: kind and options, what a recipe keeps. Raises InputError for options that mean nothing."""
        ...


@dataclass(frozen=True)
class Ahead:
    """What is known of the package that a pass will run on, before anything has run.

    Attributes:
        package: the one that the recipe begins with, or a student that takes its place; None: a pass makes it, and nothing is known.
        data: rows that passes learn from.
        changed: passes before change the network: sizes are others, and nodes may have other names.
        lowered: passes before lower precision.
    """

    package: Package | None
    data: Data
    changed: bool = False
    lowered: bool = False


@runtime_checkable
class LooksAhead(Protocol):
    """What a pass may offer: to be refused before passes in front of it have worked. Without it nothing is known behind the pass."""

    def look_ahead(self, ahead: Ahead) -> Ahead:
        """What the next pass will find. Raises what `run` would, as far as it can be said by now; where it cannot, nothing."""
        ...
