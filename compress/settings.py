"""What one attempt at precision tries, as data: the choices of a ladder's rungs and of a search's trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..sdk.core.canonical import digest_of
from ..sdk.core.errors import InputError
from ..sdk.core.plan import PRECISIONS, Precision
from .histogram import METHODS, Method, check_percentile
from .structures import UNCHANGED, Structure


@dataclass(frozen=True)
class Settings:
    """One way to lower a program's precision.

    Attributes:
        precision: class of every node that can take it; "float32" is the program as it is.
        method: how int8-static finds its ranges.
        percentile: of the method of that name.
        per_channel: int8 weights have a scale per output channel.
        kept: "stage/node" ids that stay float32.
        smooth: int8-dynamic divides channels of activations by factors first, see `smoothing`.
        structure: what is done to the network before that; none of it where it is empty.
    """

    precision: Precision = "int8-static"
    method: Method = "min-max"
    percentile: float = 99.99
    per_channel: bool = True
    kept: tuple[str, ...] = ()
    smooth: bool = False
    structure: Structure = UNCHANGED

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError("There is no such precision", field="precision", got=self.precision, expected=", ".join(PRECISIONS))
        if self.method not in METHODS:
            raise InputError("There is no such calibration method", field="calibration", got=self.method, expected=", ".join(METHODS))
        check_percentile(self.percentile)
        object.__setattr__(self, "kept", tuple(sorted(self.kept)))

    @property
    def as_it_was(self) -> bool:
        """Nothing is done to the package."""
        return self.precision == "float32" and not self.structure

    def of(self, structure: Structure) -> Settings:
        """The same precision for another structure."""
        return replace(self, structure=structure)

    @property
    def calibrated(self) -> bool:
        """Needs data before it can be lowered."""
        return self.precision == "int8-static"

    @property
    def smoothed(self) -> bool:
        """Needs factors before it can be lowered."""
        return self.smooth and self.precision == "int8-dynamic"

    @property
    def lowering(self) -> str:
        """What decides how much a node hurts: its class, and whether its activations are smoothed."""
        return f"{self.precision}.smoothed" if self.smoothed else self.precision

    @property
    def key(self) -> str:
        """The same for settings that make the same file."""
        return digest_of(self.to_dict()).removeprefix("sha256:")[:20]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; what does not matter to the class is left out."""
        held = asdict(self) | {"kept": list(self.kept), "structure": self.structure.to_dict()}
        unused = [] if self.calibrated else ["method", "percentile"]
        unused += ["percentile"] if self.method != "percentile" else []
        unused += ["per_channel"] if not self.precision.startswith("int8") else []
        unused += ["kept"] if self.precision == "float32" else []
        unused += [] if self.smoothed else ["smooth"]  # left out where it is off: older settings keep their key
        unused += [] if self.structure else ["structure"]  # likewise
        return {name: value for name, value in held.items() if name not in unused}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Settings:
        """Parse. Raises InputError for a setting that does not exist."""
        known = asdict(cls())
        if unknown := sorted(set(data) - set(known)):
            raise InputError("There is no such setting of precision", field=unknown[0], expected=", ".join(known))
        held = dict(data)
        return cls(kept=tuple(held.pop("kept", ())), structure=Structure.from_dict(held.pop("structure", {})), **held)

    def __str__(self) -> str:
        parts = [self.precision]
        if self.calibrated:
            parts.append(self.method + (f" {self.percentile:g}" if self.method == "percentile" else ""))
        parts += ["per tensor"] if self.precision.startswith("int8") and not self.per_channel else []
        parts += ["smoothed"] if self.smoothed else []
        parts += [f"{len(self.kept)} kept in float32"] if self.kept and self.precision != "float32" else []
        return f"{self.structure}; {', '.join(parts)}" if self.structure else ", ".join(parts)
