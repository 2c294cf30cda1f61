"""PrecisionPlan: program node -> precision class, with the ranges that calibration found. Pure data; runtimes lower it.

A node's id is "stage/node", the names that the program's own files carry. A node without an entry stays float32. What a target
cannot map to its operators stays in float32 there, and its artifact says so.

    >>> plan = PrecisionPlan({"main/Conv_4": "int8-static"}, {"main/features": (-1.0, 1.0)})
    >>> PrecisionPlan.from_dict(plan.to_dict()) == plan, plan.lossy
    (True, True)
"""

from __future__ import annotations

import base64
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Literal, TypeAlias, cast, get_args

from .canonical import with_extra
from .errors import FormatError

Precision: TypeAlias = Literal["float32", "float16", "int8-dynamic", "int8-static", "int4-weights"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Range: TypeAlias = "tuple[float, float]"
Exponents: TypeAlias = "tuple[int, ...]"
OCTAVE = 8
"""Steps of a smoothing exponent in one octave: the exponent e stands for the factor 2 ** (e / 8)."""
Means: TypeAlias = "tuple[float, ...]"
_FIELDS = ("nodes", "ranges", "per_channel", "calibration", "kept", "smoothing", "means")
_LEAST, _MOST = -128, 127
_LARGEST: float = struct.unpack("<f", b"\0\0\x7f\x7f")[0]
"""Of means."""


@dataclass(frozen=True)
class PrecisionPlan:
    """Which nodes of a program compute below float32.

    Attributes:
        nodes: "stage/node" -> class. Absent nodes are float32.
        ranges: "stage/value" -> (lowest, highest) real number that calibration saw, for values that int8-static nodes read and
            write.
        per_channel: int8 weights have a scale per output channel rather than one per tensor.
        calibration: how the ranges were found: method, rows, digest of the data, warnings; empty where nothing was calibrated.
        kept: "stage/node" -> why it stayed float32 although the class asked for it.
        smoothing: "stage/value" -> exponent of each channel of its last axis. The int8-dynamic products that read the value read it
            divided by 2 ** (exponent / 8), and their weights' rows are multiplied by the same: in float nothing changes.
        means: "stage/value" -> mean of each channel, for values that int8-static products read: what their rounded weights add to a
            result on average is taken off its bias. Products whose values have none keep their biases.
        extra: unknown fields, kept.
    """

    nodes: Mapping[str, Precision] = field(default_factory=dict[str, Precision])
    ranges: Mapping[str, Range] = field(default_factory=dict[str, Range])
    per_channel: bool = True
    calibration: Mapping[str, Any] = field(default_factory=dict[str, Any])
    kept: Mapping[str, str] = field(default_factory=dict[str, str])
    smoothing: Mapping[str, Exponents] = field(default_factory=dict[str, Exponents])
    means: Mapping[str, Means] = field(default_factory=dict[str, Means])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def lossy(self) -> bool:
        """Some node computes below float32."""
        return any(precision != "float32" for precision in self.nodes.values())

    @property
    def counts(self) -> dict[str, int]:
        """Class -> nodes, the most frequent first."""
        return dict(Counter(self.nodes.values()).most_common())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What calibration warned of: few rows, classes that it did not see, values that never varied."""
        held: object = self.calibration.get("warnings", ())
        return tuple(map(str, cast("list[object]", held))) if isinstance(held, list | tuple) else ()

    def stage(self, name: str) -> PrecisionPlan:
        """The part of one stage, its ids without the stage's name."""
        start = f"{name}/"
        nodes = {key.removeprefix(start): held for key, held in self.nodes.items() if key.startswith(start)}
        ranges = {key.removeprefix(start): held for key, held in self.ranges.items() if key.startswith(start)}
        smoothing = {key.removeprefix(start): held for key, held in self.smoothing.items() if key.startswith(start)}
        means = {key.removeprefix(start): held for key, held in self.means.items() if key.startswith(start)}
        return replace(self, nodes=nodes, ranges=ranges, kept={}, smoothing=smoothing, means=means)

    def keep(self, why: Mapping[str, str]) -> PrecisionPlan:
        """The plan with these nodes put back into float32."""
        nodes = {key: held for key, held in self.nodes.items() if key not in why}
        return replace(self, nodes=nodes, kept={**self.kept, **why})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, sorted."""
        known = {
            "nodes": dict(sorted(self.nodes.items())), "ranges": {key: list(held) for key, held in sorted(self.ranges.items())},
            "per_channel": self.per_channel, "calibration": dict(self.calibration), "kept": dict(sorted(self.kept.items())),
        }  # fmt: skip
        smoothing = {"smoothing": {key: _packed(held) for key, held in sorted(self.smoothing.items())}} if self.smoothing else {}
        means = {"means": {key: _halved(held) for key, held in sorted(self.means.items())}} if self.means else {}
        return with_extra(known | smoothing | means, self.extra)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PrecisionPlan:
        """Parse; unknown fields are kept. Raises FormatError."""
        try:
            nodes: dict[str, Precision] = {str(key): _precision(held) for key, held in data.get("nodes", {}).items()}
            ranges = {str(key): _range(key, held) for key, held in data.get("ranges", {}).items()}
            extra = {key: held for key, held in data.items() if key not in _FIELDS}
            kept = {str(key): str(why) for key, why in data.get("kept", {}).items()}
            smoothing = {str(key): _unpacked(held) for key, held in data.get("smoothing", {}).items()}
            means = {str(key): _doubled(key, held) for key, held in data.get("means", {}).items()}
            return cls(nodes, ranges, bool(data.get("per_channel", True)), dict(data.get("calibration", {})), kept, smoothing, means, extra)
        except (AttributeError, TypeError, ValueError) as error:
            raise FormatError(f"The precision plan is malformed: {error}", got=str(data)[:200]) from error


def plan_of(data: Mapping[str, Any] | None) -> PrecisionPlan:
    """A package's plan; an empty one where it has none. Raises FormatError."""
    return PrecisionPlan() if data is None else PrecisionPlan.from_dict(data)


def _precision(held: object) -> Precision:
    if held not in PRECISIONS:
        raise FormatError("The precision plan names an unknown class", got=held, expected=", ".join(PRECISIONS))
    return held


def _range(name: object, held: Any) -> Range:
    low, high = (float(side) for side in held)
    if not (isfinite(low) and isfinite(high) and low <= high):
        raise FormatError("A range in the precision plan is not one", got=f"{name}: {held}", expected="two finite numbers, low <= high")
    return low, high


def _packed(held: Exponents) -> str:
    """Base64 of one signed byte each: a channel weighs little in a manifest. Raises FormatError."""
    if not all(_LEAST <= step <= _MOST for step in held):
        raise FormatError("An exponent in the precision plan is too large", got=max(held, key=abs), expected=f"{_LEAST} to {_MOST}")
    return base64.b64encode(bytes(step % 256 for step in held)).decode("ascii")


def _unpacked(held: str) -> Exponents:
    return tuple(step - 256 if step > _MOST else step for step in base64.b64decode(held, validate=True))


def means_of(numbers: Iterable[float]) -> Means:
    """Means as a plan keeps them: the upper two bytes of a float32, rounded. They weigh errors of rounding; 1 part in 256 is enough.

    Numbers beyond the largest of these are the largest.
    """
    held = (max(-_LARGEST, min(_LARGEST, number)) for number in numbers)
    return tuple(struct.unpack("<f", (_bits(number) + 0x8000 & 0xFFFF0000).to_bytes(4, "little"))[0] for number in held)


def _bits(number: float) -> int:
    return int.from_bytes(struct.pack("<f", number), "little")


def _halved(held: Means) -> str:
    """Base64 of two bytes each."""
    return base64.b64encode(b"".join(_bits(mean).to_bytes(4, "little")[2:] for mean in means_of(held))).decode("ascii")


def _doubled(name: object, held: str) -> Means:
    data = base64.b64decode(held, validate=True)
    if len(data) % 2:
        raise FormatError("Means in the precision plan are cut off", got=str(name))
    found = tuple(float(struct.unpack("<f", b"\0\0" + data[place : place + 2])[0]) for place in range(0, len(data), 2))
    if not all(map(isfinite, found)):
        raise FormatError("A mean in the precision plan is no number", got=str(name))
    return found
