"""What a finished search can still make: packages of its trials."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ..sdk.core.data import Data
from ..sdk.core.package import Package
from ..sdk.core.plan import Precision
from ..sdk.core.temporary import temporary_folder
from .derive import finished
from .gated import gated
from .settings import Settings
from .shelf import Shelf
from .structures import Structure
from .trials import Workbench


@dataclass(frozen=True)
class Made:
    """Makes packages of a finished search: float program, calibration and sensitivity are still at hand.

    Attributes:
        bench: of the package that was searched.
        orders: class -> node -> damage, of that package.
        structured: the same for structures, as far as precision was searched for them.
        shelf: packages of structures; None: none were searched.
    """

    bench: Workbench
    orders: Mapping[str, Mapping[str, float]]
    structured: Mapping[Structure, Made] = field(default_factory=dict[Structure, "Made"])
    shelf: Shelf | None = None

    @property
    def package(self) -> Package:
        """The package that was searched."""
        return self.bench.package

    @property
    def data(self) -> Data:
        """The rows that trials were judged on."""
        return self.bench.data

    def package_of(self, settings: Settings, out: Path | None = None) -> Package:
        """The derived package, in a new folder or the store; why nodes are kept stands in its plan, the budget's gates in its recipe.

        A structure that is no longer at hand is made again, with its training.
        """
        with temporary_folder("portside-search-") as work:
            made = self._made(settings, work / "derived")
            return finished(gated(made, self.bench.limits, work / "gated"), self.package, out)

    def _made(self, settings: Settings, out: Path) -> Package:
        if not settings.structure or self.shelf is None:
            return self._lowered(settings, out)
        if settings.precision == "float32":
            return self.shelf.make(settings.structure)
        if (held := self.structured.get(settings.structure)) is not None:
            return held._lowered(settings, out)
        package, bench = self.shelf.make(settings.structure), self.bench
        with closing(Workbench(package, bench.target, bench.data, bench.calibration_data, seed=bench.seed, source=bench)) as inner:
            return Made(inner, {})._lowered(settings, out)

    def _lowered(self, settings: Settings, out: Path) -> Package:
        self.bench.why = reasons(settings.precision, self.orders.get(settings.lowering, {}))
        return self.bench.package_of(settings, out)


def reasons(precision: Precision, damages: Mapping[str, float]) -> dict[str, str]:
    """Node -> why it is kept in float32, as plans state it."""
    return {name: f"alone in {precision} it moves the model by {held:.3g} of its spread" for name, held in damages.items()}
