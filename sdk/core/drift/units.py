"""Changes of unit that happen: what is multiplied, what is added, and what it is like."""

from __future__ import annotations

from typing import NamedTuple


class Unit(NamedTuple):
    """new = scale x old + offset; what: after "values are", or a whole predicate where `like` is empty."""

    scale: float
    offset: float
    what: str
    like: str


def _times(scale: float, like: str, back: str) -> tuple[Unit, Unit]:
    return Unit(scale, 0.0, f"{scale:g} times what they were", like), Unit(1 / scale, 0.0, f"1/{scale:g} of what they were", back)


UNITS: tuple[Unit, ...] = (
    Unit(1.8, 32.0, "1.8 times what they were and 32 more", "degrees Celsius -> Fahrenheit"),
    Unit(1 / 1.8, -32 / 1.8, "what they were less 32, divided by 1.8", "degrees Fahrenheit -> Celsius"),
    Unit(1.0, 273.15, "273.15 more than they were", "degrees Celsius -> kelvin"),
    Unit(1.0, -273.15, "273.15 less than they were", "kelvin -> degrees Celsius"),
    Unit(-1.0, 0.0, "of the opposite sign", "a direction turned round"),
    *_times(1000.0, "m -> mm, or kg -> g", "mm -> m, or g -> kg"),
    *_times(1e6, "s -> us, or MB -> bytes", "us -> s, or bytes -> MB"),
    *_times(100.0, "m -> cm, or shares -> percent", "cm -> m, or percent -> shares"),
    *_times(10.0, "cm -> mm", "mm -> cm"),
    *_times(255.0, "pixels in [0, 1] -> bytes", "bytes -> pixels in [0, 1]"),
    *_times(60.0, "minutes -> seconds, or hours -> minutes", "seconds -> minutes, or minutes -> hours"),
    *_times(3600.0, "hours -> seconds", "seconds -> hours"),
    *_times(24.0, "days -> hours", "hours -> days"),
    *_times(12.0, "years -> months, or feet -> inches", "months -> years, or inches -> feet"),
    *_times(1024.0, "KiB -> bytes", "bytes -> KiB"),
    *_times(2.54, "inches -> cm", "cm -> inches"),
    *_times(25.4, "inches -> mm", "mm -> inches"),
    *_times(3.28084, "m -> feet", "feet -> m"),
    *_times(2.20462, "kg -> pounds", "pounds -> kg"),
    *_times(1.609344, "miles -> km", "km -> miles"),
    *_times(3.6, "m/s -> km/h", "km/h -> m/s"),
    *_times(1.852, "knots -> km/h", "km/h -> knots"),
    *_times(1.94384, "m/s -> knots", "knots -> m/s"),
    *_times(57.29578, "radians -> degrees", "degrees -> radians"),
    *_times(33.8639, "inches of mercury -> hPa", "hPa -> inches of mercury"),
)
"""Factors that are near each other (3.28 and 3.6) are told apart only by enough rows; the one that fits best is named."""
