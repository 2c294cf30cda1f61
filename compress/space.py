"""The space of precision: class, calibration, scales, smoothing, and how many of the nodes that hurt most stay in float32.

It is searched for one structure at a time, see `structured`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeAlias

from ..sdk.core.plan import Precision
from .histogram import METHODS
from .settings import Settings

PERCENTILES = (99.0, 99.9, 99.99, 99.999)
Choose: TypeAlias = Callable[[str, Sequence[Any]], Any]
"""(name of a choice, its values) -> one of the values."""


@dataclass(frozen=True)
class Space:
    """What can be tried.

    Args:
        classes: classes below float32 that some node can take.
        order: settings -> nodes of their class, those that hurt most first; measured when it is first asked for.
        smooths: the target can smooth activations of int8-dynamic products.
    """

    classes: tuple[Precision, ...]
    order: Callable[[Settings], Sequence[str]]
    smooths: bool = False

    def choose(self, choose: Choose) -> Settings:
        """Settings of which `choose` picks every value, each only where it matters."""
        precision: Precision = choose("precision", self.classes)
        method, percentile, per_channel = "min-max", 99.99, True
        if precision == "int8-static":
            method = choose("method", METHODS)
            percentile = choose("percentile", PERCENTILES) if method == "percentile" else percentile
        if precision.startswith("int8"):
            per_channel = choose("per_channel", (True, False))
        smooth = self.smooths and precision == "int8-dynamic" and choose("smooth", (True, False))
        none = Settings(precision, method, percentile, per_channel, smooth=smooth)
        kept = choose(f"kept.{none.lowering}", self.counts(none))
        return replace(none, kept=tuple(self.order(none)[:kept]))

    def counts(self, settings: Settings) -> tuple[int, ...]:
        """How many nodes may be kept: none, one, two, four, ... up to half."""
        half = len(self.order(settings)) // 2
        return (0, *(1 << power for power in range(half.bit_length()) if 1 << power <= half))

    def values(self, settings: Settings) -> dict[str, tuple[Any, Sequence[Any]]] | None:
        """Choice -> (value, values) that lead to these settings; None where no choices do, e.g. other nodes kept."""
        if settings.precision not in self.classes or (settings.smoothed and not self.smooths):
            return None
        wanted = {"precision": settings.precision, "method": settings.method, "percentile": settings.percentile,
                  "per_channel": settings.per_channel, "smooth": settings.smoothed,
                  f"kept.{settings.lowering}": len(settings.kept)}  # fmt: skip
        made: dict[str, tuple[Any, Sequence[Any]]] = {}

        def choose(name: str, values: Sequence[Any]) -> Any:
            made[name] = (wanted[name], values)
            return wanted[name]

        same = self.choose(choose) == _canonical(settings)
        return made if same and all(value in values for value, values in made.values()) else None

    def every(self) -> Iterator[Settings]:
        """All of the space."""
        for precision in self.classes:
            names: Mapping[str, Sequence[Any]] = {
                "precision": (precision,), "method": METHODS, "percentile": PERCENTILES, "per_channel": (True, False),
                "smooth": (True, False) if self.smooths and precision == "int8-dynamic" else (False,),
            }  # fmt: skip
            for values in product(*names.values()):
                picked = dict(zip(names, values, strict=True))
                for kept in self.counts(Settings(precision, smooth=bool(picked["smooth"]))):
                    yield self.choose(lambda name, _, picked=picked, kept=kept: picked.get(name, kept))


def _canonical(settings: Settings) -> Settings:
    """Without what does not matter to the class."""
    return Settings.from_dict(settings.to_dict())
