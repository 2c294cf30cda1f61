"""Category names to int32 codes: known 0..K-1, missing -1, unknown -2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, cast

import numpy as np

from ..errors import FormatError
from ..refusal import refusal, shown
from ..signature import MISSING_CODE, UNKNOWN_CODE, Array, TensorSpec
from .step import WireType, checked_options, is_missing, object_rows


@dataclass(frozen=True, init=False)
class Categories:
    """Names to codes, by exact comparison of code points; nothing is trimmed, folded or normalised.

        >>> Categories(["red", "blue"], missing=["", "?"]).encode("colour", ["blue", None, "green"])[0].tolist()
        [1, -1, -2]

    Args:
        values: the known names, in the order of their codes. Integers and booleans stand for their JSON text.
        missing: names that mean "missing", besides None and NaN.
    """

    values: tuple[str, ...]
    tokens: tuple[str, ...]
    _codes: Mapping[str, int] = field(compare=False, repr=False)

    kind: ClassVar[str] = "categories"
    wire: ClassVar[WireType] = "category"
    missing: ClassVar[bool] = True  # None has a code of its own; whether the model takes it is the signature's to say

    def __init__(self, values: Iterable[Any], missing: Iterable[str] = ()) -> None:
        names, tokens = tuple(_known(value) for value in values), tuple(_known(value) for value in missing)
        repeated = sorted({name for name in names if names.count(name) > 1} | (set(names) & set(tokens))) if len(names) < 10_000 else []
        if repeated or len(set(names)) != len(names):
            raise FormatError("Categories must differ from each other and from the missing ones", got=repeated or "a repetition")
        codes = {**{name: code for code, name in enumerate(names)}, **dict.fromkeys(tokens, MISSING_CODE)}
        for key, value in (("values", names), ("tokens", tokens), ("_codes", codes)):
            object.__setattr__(self, key, value)

    @property
    def codes(self) -> Mapping[str, int]:
        """Code by name, the missing tokens among them."""
        return self._codes

    def options(self) -> dict[str, Any]:
        """The names and the missing tokens."""
        return {"values": list(self.values), "missing": list(self.tokens)}

    def files(self) -> dict[str, tuple[str, bytes]]:
        """None."""
        return {}

    def names(self, field: str) -> tuple[str, ...]:
        """One typed input, called as the wire field."""
        return (field,)

    def encode(self, field: str, values: Any) -> tuple[Array]:
        """int32 codes in the shape of `values`. Raises InputError for a value that is no name."""
        if type(values) is list:
            with suppress(KeyError, TypeError):  # a list of known names, which is what most requests hold
                return (np.array([self._codes[name] for name in cast("list[Any]", values)], np.int32),)
        cells = object_rows(field, values)
        width = max(cells.size // max(len(cells), 1), 1)
        codes = [self._code(field, value, place // width) for place, value in enumerate(cells.ravel().tolist())]
        return (np.array(codes, np.int32).reshape(cells.shape),)

    def annotate(self, spec: TensorSpec) -> TensorSpec:
        """The spec with these categories."""
        return replace(spec, categories=self.values)

    @classmethod
    def parse(cls, options: Mapping[str, Any], files: Mapping[str, bytes]) -> Categories:
        """From `options`."""
        held = checked_options(cls.kind, options, ("values", "missing"))
        return cls(held.get("values", ()), held.get("missing", ()))

    def _code(self, field: str, value: Any, row: int) -> int:
        if is_missing(value):
            return MISSING_CODE
        name = name_of(value)
        if name is None:
            raise refusal("a category is text", field, row, got=shown(value))
        return self._codes.get(name, UNKNOWN_CODE)


def name_of(value: Any) -> str | None:
    """Category name of a wire value: text as it is, integers and booleans as JSON writes them, otherwise None."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer) and int(value).bit_length() <= 64:
        return str(int(value))
    return None


def _known(value: Any) -> str:
    name = name_of(value)
    if name is None:
        raise FormatError("A category must be text, an integer or a boolean", got=shown(value))
    return name
