"""The seam of codec steps: from one wire field to typed tensors.

A step is an immutable value: its options are JSON, its large parts (vocabularies) are files. `docs/codec.md` specifies
every kind so that other languages can implement it; `tests/vectors/codec/` holds the vectors that all of them pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, cast

import numpy as np

from ..errors import FormatError
from ..refusal import refusal
from ..signature import Array, TensorSpec

WireType: TypeAlias = Literal["image", "category", "number", "text", "tensor"]
Typed: TypeAlias = Array | list[Array]
"""One typed input: an array, or a list of arrays where rows differ in shape (images of any size)."""


@dataclass(frozen=True)
class WireField:
    """One thing that a caller sends.

    Attributes:
        name: key in the request.
        type: "image", "category", "number", "text"; "tensor" for typed inputs that no step produces.
        missing: None (JSON null) is a value.
        inputs: the typed inputs made from it.
        categories: the names that are known, for type "category".
    """

    name: str
    type: WireType
    missing: bool
    inputs: tuple[str, ...]
    categories: tuple[str, ...] | None = None


class Step(Protocol):
    """One kind of step; the object is both what the user constructs and what encodes.

    Attributes:
        kind: its name in a package.
        wire: what a caller sends.
        missing: whether None is a value of the wire field.
    """

    kind: ClassVar[str]
    wire: ClassVar[WireType]
    missing: ClassVar[bool]

    def options(self) -> dict[str, Any]:
        """Everything but the files, JSON-ready."""
        ...

    def files(self) -> dict[str, tuple[str, bytes]]:
        """Role -> (file extension, content)."""
        ...

    def names(self, field: str) -> tuple[str, ...]:
        """The typed inputs made from `field`, unless the step's data says otherwise."""
        ...

    def encode(self, field: str, values: Any) -> tuple[Typed, ...]:
        """A batch, in the order of `names`. Raises InputError naming field and row."""
        ...

    def annotate(self, spec: TensorSpec) -> TensorSpec:
        """A typed input with what this step knows of it: categories, missing values."""
        ...

    @classmethod
    def parse(cls, options: Mapping[str, Any], files: Mapping[str, bytes]) -> Step:
        """Build from data. Raises FormatError."""
        ...


def object_rows(field: str, values: Any) -> Array:
    """A batch as an object array whose first axis counts rows; a bare value is a batch of one."""
    if isinstance(values, np.ndarray):
        cells = values.astype(object)
    else:
        try:
            cells = np.array(values, dtype=object)
        except (ValueError, TypeError, RuntimeError, OverflowError) as error:
            raise refusal("the values are not one batch", field, got=type(values).__name__) from error
    return cells.reshape(1) if cells.ndim == 0 else cells


def is_missing(value: object) -> bool:
    """None, NaN, and the missing values of pandas."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return type(value).__name__ in ("NAType", "NaTType")


def checked_options(kind: str, options: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """The options of a step. Raises FormatError for one that this version does not know: it would change answers."""
    if unknown := sorted(set(options) - set(known)):
        raise FormatError(f"A codec step of kind {kind!r} has an unknown option", got=unknown[0], expected=", ".join(known))
    return dict(options)


def plain_options(step: object, names: tuple[str, ...]) -> dict[str, Any]:
    """The attributes `names` of a step, JSON-ready."""
    values = {name: getattr(step, name) for name in names}
    return {key: list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value for key, value in values.items()}


def file_of(kind: str, files: Mapping[str, bytes], role: str) -> bytes:
    """The content of one file of a step. Raises FormatError where the step names none."""
    if role not in files:
        raise FormatError(f"A codec step of kind {kind!r} lacks its file", expected=role)
    return files[role]
