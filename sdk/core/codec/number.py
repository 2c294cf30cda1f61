"""Numbers as people and files write them, to float64 with NaN for missing. No locale: a point, no grouping."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..refusal import refusal, shown
from ..signature import Array, TensorSpec
from .step import WireType, checked_options, is_missing, object_rows

MISSING_TOKENS = ("", "NA", "NaN", "nan", "null")
_SPACE = " \t\r\n"
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITIES = {"inf": np.inf, "+inf": np.inf, "-inf": -np.inf, "infinity": np.inf, "+infinity": np.inf, "-infinity": -np.inf}
_MAX_TEXT = 1000


@dataclass(frozen=True, init=False)
class Number:
    """Numbers or their text to float64; the door narrows to what the signature says.

        >>> Number().encode("age", ["41", " 7.5e1", None, 3])[0].tolist()
        [41.0, 75.0, nan, 3.0]

    Args:
        missing: texts that mean "missing" (after trimming), besides None and NaN.
    """

    tokens: tuple[str, ...]
    kind: ClassVar[str] = "number"
    wire: ClassVar[WireType] = "number"
    missing: ClassVar[bool] = True

    def __init__(self, missing: Iterable[str] = MISSING_TOKENS) -> None:
        object.__setattr__(self, "tokens", tuple(missing))

    def options(self) -> dict[str, Any]:
        """The missing tokens."""
        return {"missing": list(self.tokens)}

    def files(self) -> dict[str, tuple[str, bytes]]:
        """None."""
        return {}

    def names(self, field: str) -> tuple[str, ...]:
        """One typed input, called as the wire field."""
        return (field,)

    def encode(self, field: str, values: Any) -> tuple[Array]:
        """float64 in the shape of `values`. Raises InputError for what is no number."""
        if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
            return (np.atleast_1d(values.astype(np.float64)),)
        cells = object_rows(field, values)
        width = max(cells.size // max(len(cells), 1), 1)
        numbers = [self._number(field, value, place // width) for place, value in enumerate(cells.ravel().tolist())]
        return (np.array(numbers, np.float64).reshape(cells.shape),)

    def annotate(self, spec: TensorSpec) -> TensorSpec:
        """Unchanged: whether the model takes NaN is known from the examples."""
        return replace(spec)

    @classmethod
    def parse(cls, options: Mapping[str, Any], files: Mapping[str, bytes]) -> Number:
        """From `options`."""
        return cls(checked_options(cls.kind, options, ("missing",)).get("missing", MISSING_TOKENS))

    def _number(self, field: str, value: Any, row: int) -> float:
        if is_missing(value):
            return np.nan
        if isinstance(value, str):
            return self._parsed(field, value, row)
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
            raise refusal("this is not a number", field, row, got=shown(value))
        try:
            return float(value)
        except OverflowError as error:
            raise refusal("this number is too large", field, row, got=shown(value)) from error

    def _parsed(self, field: str, text: str, row: int) -> float:
        trimmed = text.strip(_SPACE)
        if trimmed in self.tokens:
            return np.nan
        if len(trimmed) <= _MAX_TEXT and _NUMBER.fullmatch(trimmed):
            return float(trimmed)
        if trimmed.lower() in _INFINITIES and trimmed.isascii():
            return _INFINITIES[trimmed.lower()]
        raise refusal("this is not a number", field, row, got=shown(text), expected="a number like -12.5 or 3e4")
