"""What a finished search can still make: packages of its trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ..sdk.core.data import Data
from ..sdk.core.package import Package
from ..sdk.core.plan import Precision
from .derive import finished
from .gated import gated
from .settings import Settings
from .trials import Workbench


@dataclass(frozen=True)
class Made:
    """Makes packages of a finished search: float program, calibration and sensitivity are still at hand."""

    bench: Workbench
    orders: Mapping[str, Mapping[str, float]]

    @property
    def package(self) -> Package:
        """The package that was searched."""
        return self.bench.package

    @property
    def data(self) -> Data:
        """The rows that trials were judged on."""
        return self.bench.data

    def package_of(self, settings: Settings, out: Path | None = None) -> Package:
        """The derived package, in a new folder or the store; why nodes are kept stands in its plan, the budget's gates in its recipe."""
        self.bench.why = reasons(settings.precision, self.orders.get(settings.lowering, {}))
        with TemporaryDirectory(prefix="portside-search-") as work:
            made = self.bench.package_of(settings, Path(work) / "derived")
            return finished(gated(made, self.bench.limits, Path(work) / "gated"), self.package, out)


def reasons(precision: Precision, damages: Mapping[str, float]) -> dict[str, str]:
    """Node -> why it is kept in float32, as plans state it."""
    return {name: f"alone in {precision} it moves the model by {held:.3g} of its spread" for name, held in damages.items()}
