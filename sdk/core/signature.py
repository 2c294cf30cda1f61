"""What goes into a package and what comes out: named tensors with dtype, symbolic shape, unit, range and categories.

A Signature describes the *typed tensors* behind the codec. What a caller sends on the wire (JPEG bytes, category
names, text) is described by the codec; `sdk/core/door.py` enforces a Signature on arrays.

    >>> spec = TensorSpec("age", "f32", ("batch",), range=(0.0, 120.0), on_range="clamp")
    >>> Signature(inputs=(spec,), outputs=()).input("age").on_range
    'clamp'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from .errors import FormatError
from .spec_check import SPEC, STATE, check_fields

DType: TypeAlias = Literal["f32", "f64", "f16", "i8", "u8", "i32", "i64", "bool", "string"]
OnRange: TypeAlias = Literal["flag", "reject", "clamp"]
Kind: TypeAlias = Literal["decision", "score", "value", "embedding", "ranking", "detections", "sequence"]
Shape: TypeAlias = tuple[int | str, ...]
Array: TypeAlias = NDArray[Any]

DTYPES: tuple[DType, ...] = get_args(DType)
KINDS: tuple[Kind, ...] = get_args(Kind)
MISSING_CODE, UNKNOWN_CODE = -1, -2
"""Codes that stand for a missing and for an unknown category; known categories are 0, 1, 2, ..."""

NUMPY: dict[DType, np.dtype[Any]] = {
    "f32": np.dtype(np.float32), "f64": np.dtype(np.float64), "f16": np.dtype(np.float16),
    "i8": np.dtype(np.int8), "u8": np.dtype(np.uint8), "i32": np.dtype(np.int32), "i64": np.dtype(np.int64),
    "bool": np.dtype(np.bool_), "string": np.dtype(object),
}  # fmt: skip
RIM: dict[DType, DType] = {"f64": "f32", "f16": "f32", "i64": "i32"}
"""Signature dtype -> dtype at the program's rim, where they differ."""


def dtype_of(array: NDArray[Any]) -> DType:
    """The Signature dtype of a numpy array. Raises FormatError for dtypes that no package can hold (complex, ...)."""
    if array.dtype.kind in "OUS":
        return "string"
    for name, dtype in NUMPY.items():
        if array.dtype == dtype:
            return name
    if array.dtype.kind in "iu":
        return "i64"
    raise FormatError("A tensor has a dtype that no package can hold", got=array.dtype, expected=", ".join(DTYPES))


@dataclass(frozen=True)
class TensorSpec:
    """One named tensor.

    Attributes:
        name: the user's name; unique among inputs and among outputs.
        dtype: what callers send and receive; see `rim_dtype` for what the program holds.
        shape: ints and symbolic names, e.g. ("batch", 300, 300) or ("batch", "sequence").
        batch_axis: the axis that counts rows, or None for a tensor shared by all rows.
        unit: free text, e.g. "mm"; never interpreted.
        range: (lowest, highest) value seen or allowed.
        on_range: what a door does with a value outside `range`.
        categories: names of the codes 0..K-1 for integer tensors.
        on_unknown: what a door does with a code or name outside `categories`.
        missing: NaN (floats) or MISSING_CODE (codes) is allowed.
        required: absent inputs are rejected; a non-required input takes `default`.
        default: value of an absent, non-required input.
        kind: outputs only: how two answers are compared (sdk/core/decisions.py).
        top_k: outputs of kind "ranking": how many places count.
        canvas: inputs of images of any size: (max height, max width); the program then holds the padded canvas
            `name` and an int32 (batch, 2) tensor `name_size` of (height, width).
        redact: records keep no raw value of this field.
        stays_on_device: the field never leaves the device.
    """

    name: str
    dtype: DType
    shape: Shape
    batch_axis: int | None = 0
    unit: str | None = None
    range: tuple[float, float] | None = None
    on_range: OnRange = "flag"
    categories: tuple[str, ...] | None = None
    on_unknown: Literal["flag", "reject"] = "flag"
    missing: bool = False
    required: bool = True
    default: float | int | bool | str | None = None
    kind: Kind | None = None
    top_k: int | None = None
    canvas: tuple[int, int] | None = None
    redact: bool = False
    stays_on_device: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def rim_dtype(self) -> DType:
        """The dtype inside the program: f64 and f16 become f32, i64 becomes i32."""
        return RIM.get(self.dtype, self.dtype)

    def __repr__(self) -> str:
        """What differs from the defaults, as a call."""
        shown = ", ".join(f"{name}={value!r}" for name, value in self.to_dict().items() if name not in self.extra)
        return f"TensorSpec({shown})"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; only what differs from the defaults, so that manifests stay readable."""
        return {**to_dict(self, always=("name", "dtype", "shape", "batch_axis")), **self.extra}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TensorSpec:
        """Parse; unknown fields are kept in `extra`. Raises FormatError."""
        return from_dict(cls, check_fields(data, SPEC, "A tensor"), tuples=("shape", "range", "categories", "canvas"))

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise FormatError(f"Tensor {self.name!r} has an unknown dtype", got=self.dtype, expected=", ".join(DTYPES))
        if self.kind is not None and self.kind not in KINDS:
            raise FormatError(f"Tensor {self.name!r} has an unknown kind", got=self.kind, expected=", ".join(KINDS))
        if self.batch_axis is not None and not 0 <= self.batch_axis < max(len(self.shape), 1):
            raise FormatError(f"Tensor {self.name!r} has no axis {self.batch_axis}", got=f"shape {self.shape}")


@dataclass(frozen=True)
class StatePair:
    """A tensor that a stateful model hands to its own next call.

    Attributes:
        output: the output that holds the new state.
        input: the input that takes it at the next call.
        shape: shape of the initial state; a symbolic dimension is 1 row unless the batch says otherwise.
        initial: one number that fills it, or nested lists of its values.
    """

    output: str
    input: str
    shape: Shape
    initial: Any = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**self.extra, "output": self.output, "input": self.input, "shape": list(self.shape), "initial": self.initial}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StatePair:
        """Parse; unknown fields are kept. Raises FormatError."""
        return from_dict(cls, check_fields(data, STATE, "A state pair"), tuples=("shape",))


@dataclass(frozen=True)
class Signature:
    """Named tensors in and out, and the state pairs between calls. Immutable: `edit` returns a new one."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    state: tuple[StatePair, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        for side, specs in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [spec.name for spec in specs]
            if len(set(names)) != len(names):
                raise FormatError(f"Two {side} have the same name", got=names)

    def __str__(self) -> str:
        """One line per tensor."""
        return "\n".join([f"in  {spec!r}" for spec in self.inputs] + [f"out {spec!r}" for spec in self.outputs])

    def input(self, name: str) -> TensorSpec:
        """The input called `name`. Raises FormatError with the names there are."""
        return _named(self.inputs, name, "input")

    def output(self, name: str) -> TensorSpec:
        """The output called `name`. Raises FormatError with the names there are."""
        return _named(self.outputs, name, "output")

    def edit(self, name: str, **changes: Any) -> Signature:
        """A copy in which the tensor `name` (input first, then output) has other attributes.

        Raises FormatError for an unknown tensor or attribute.
        """
        known = {f.name for f in fields(TensorSpec)}
        if wrong := sorted(set(changes) - known):
            raise FormatError(f"A tensor has no attribute {wrong[0]!r}", expected=", ".join(sorted(known)))
        if name not in {spec.name for spec in (*self.inputs, *self.outputs)}:
            _named((*self.inputs, *self.outputs), name, "tensor")
        if any(spec.name == name for spec in self.inputs):
            return replace(self, inputs=_swapped(self.inputs, name, changes))
        return replace(self, outputs=_swapped(self.outputs, name, changes))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **self.extra,
            "inputs": [spec.to_dict() for spec in self.inputs],
            "outputs": [spec.to_dict() for spec in self.outputs],
            "state": [pair.to_dict() for pair in self.state],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Signature:
        """Parse; unknown fields are kept. Raises FormatError."""
        return cls(
            inputs=tuple(TensorSpec.from_dict(spec) for spec in data.get("inputs", ())),
            outputs=tuple(TensorSpec.from_dict(spec) for spec in data.get("outputs", ())),
            state=tuple(StatePair.from_dict(pair) for pair in data.get("state", ())),
            extra={key: value for key, value in data.items() if key not in ("inputs", "outputs", "state")},
        )


def to_dict(value: Any, always: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a flat dataclass that differ from their defaults, tuples as lists; `extra` is left to the caller."""
    result: dict[str, Any] = {}
    for item in fields(value):
        held = getattr(value, item.name)
        if item.name == "extra" or (item.name not in always and held == item.default):
            continue
        result[item.name] = list(cast("tuple[Any, ...]", held)) if isinstance(held, tuple) else held
    return result


def from_dict(kind: Any, data: Mapping[str, Any], tuples: tuple[str, ...] = ()) -> Any:
    """Build a flat dataclass from JSON data; lists named in `tuples` become tuples, unknown fields go to `extra`."""
    known = {f.name for f in fields(kind)} - {"extra"}
    values = {key: tuple(value) if key in tuples and isinstance(value, list) else value for key, value in data.items() if key in known}
    unknown = {key: value for key, value in data.items() if key not in known}
    if "extra" in {f.name for f in fields(kind)}:
        values["extra"] = unknown
    try:
        return kind(**values)
    except TypeError as error:
        raise FormatError(f"A {kind.__name__} in the manifest is incomplete: {error}", got=dict(data)) from error


def _swapped(specs: tuple[TensorSpec, ...], name: str, changes: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    return tuple(replace(spec, **changes) if spec.name == name else spec for spec in specs)


def _named(specs: tuple[TensorSpec, ...], name: str, what: str) -> TensorSpec:
    for spec in specs:
        if spec.name == name:
            return spec
    raise FormatError(f"There is no {what} called {name!r}", expected=", ".join(spec.name for spec in specs))
