"""Whether one tensor may stand where another is expected, and what a graph asks of a request. Shapes and types only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...sdk.core.codec.step import WireField
from ...sdk.core.errors import FormatError
from ...sdk.core.signature import NUMPY, Signature, TensorSpec
from ..deployment.steps import Step
from .references import Reference, Scalar

ROWS = "rows"
"""Name of the dimension that counts the rows of a request."""


@dataclass(frozen=True)
class Part:
    """One step's package as its neighbours see it.

    Attributes:
        settings: of the step.
        fields: what the package takes, by name.
        signature: of the package.
    """

    settings: Step
    fields: Mapping[str, WireField]
    signature: Signature


@dataclass(frozen=True)
class RequestField:
    """One thing that a caller sends.

    Attributes:
        wire: as the codec of the first step that takes it says.
        spec: of the tensor; None where a codec step takes it.
        axis: what counts rows; None where all rows share it.
        required: a request without it is refused.
    """

    wire: WireField
    spec: TensorSpec | None
    axis: int | None
    required: bool


def seen(spec: TensorSpec, reference: Reference, where: str) -> TensorSpec:
    """A tensor after `[i]` or `max(...)`."""
    if reference.index is None and reference.over is None:
        return spec
    inner = len(spec.shape) - (spec.batch_axis is not None)
    if spec.dtype in ("string", "bool") or spec.categories is not None or inner < 1 or spec.batch_axis not in (0, None):
        raise FormatError(f"{where}: nothing can be taken out of {reference.step}.{reference.name}", got=text(spec))
    size = spec.shape[-1]
    if reference.index is not None:
        if isinstance(size, int) and not -size <= reference.index < size:
            raise FormatError(f"{where}: {reference} is beyond the last element", got=text(spec))
        spec = replace(spec, shape=spec.shape[:-1])
    if reference.over is None:
        return spec
    shape = () if spec.batch_axis is None else (spec.shape[spec.batch_axis],)
    axis = None if spec.batch_axis is None else 0
    return replace(spec, shape=shape, batch_axis=axis, dtype="f32" if reference.over == "mean" else spec.dtype)


def request_field(part: Part, field: str, name: str) -> RequestField:
    """What a request holds for a field of a package."""
    wire, inputs = part.fields[field], {spec.name: spec for spec in part.signature.inputs}
    state = {pair.input for pair in part.signature.state}
    if wire.type != "tensor":
        return RequestField(replace(wire, name=name, inputs=(name,)), None, 0, True)
    spec = inputs[wire.inputs[0]]
    shape = tuple(ROWS if axis == spec.batch_axis else size for axis, size in enumerate(spec.shape))
    spec = replace(spec, name=name, shape=shape, required=spec.required and field not in state)
    return RequestField(replace(wire, name=name, inputs=(name,)), spec, spec.batch_axis, spec.required)


def joined(before: RequestField | None, made: RequestField, what: str) -> RequestField:
    """Two steps that take the same field of the request. Raises FormatError where they take different things."""
    if before is None:
        return made
    if before.wire.type != made.wire.type or before.axis != made.axis:
        raise FormatError(f"{what} is taken as two different things", got=made.wire.type, expected=before.wire.type)
    if before.spec is not None and made.spec is not None and not alike(made.spec, before.spec):
        raise FormatError(f"{what} is taken as two different things", got=text(made.spec), expected=text(before.spec))
    wire = replace(before.wire, missing=before.wire.missing and made.wire.missing)
    spec = before.spec
    if spec is not None and made.spec is not None:
        hidden, at_home = spec.redact or made.spec.redact, spec.stays_on_device or made.spec.stays_on_device
        spec = replace(spec, redact=hidden, stays_on_device=at_home, required=spec.required or made.spec.required)
    return replace(before, wire=wire, spec=spec, required=before.required or made.required)


def check_link(part: Part, field: str, given: TensorSpec, what: str) -> None:
    """Refuse an output that a field cannot take. Raises FormatError that begins with `what`."""
    wire = part.fields[field]
    taken: TensorSpec | None = {spec.name: spec for spec in part.signature.inputs}.get(wire.inputs[0])
    if wire.type == "tensor" and taken is not None:
        if not _flows(given, taken):
            raise FormatError(what, got=text(given), expected=text(taken))
        return
    scalar = given.batch_axis == 0 and len(given.shape) == 1
    fits = {"number": scalar and _kind(given) in "iuf" and given.categories is None, "text": scalar and given.dtype == "string",
            "category": scalar and (given.categories is not None or given.dtype == "string")}.get(wire.type, False)  # fmt: skip
    if not fits:
        raise FormatError(what, got=text(given), expected=wire.type)
    if strange := sorted(set(given.categories or ()) - set(wire.categories or given.categories or ())):
        raise FormatError(f"{what}: a category is unknown there", got=strange[0], expected=", ".join(wire.categories or ()))


def _flows(given: TensorSpec, taken: TensorSpec) -> bool:
    """An output may stand where an input is taken: same rows, rank and sizes, and a dtype that needs no rounding."""
    if given.categories is not None or given.dtype == "string" or taken.categories is not None:
        return False
    kinds = _kind(given), _kind(taken)
    fits = kinds[0] == kinds[1] or kinds in (("i", "f"), ("u", "f"), ("i", "u"), ("u", "i"))
    return fits and given.batch_axis == taken.batch_axis and _sizes_fit(given, taken)


def alike(one: TensorSpec, other: TensorSpec) -> bool:
    """The same dtype, categories, rows and sizes."""
    return one.dtype == other.dtype and one.categories == other.categories and one.batch_axis == other.batch_axis and _sizes_fit(one, other)


def _sizes_fit(one: TensorSpec, other: TensorSpec) -> bool:
    pairs = zip(one.shape, other.shape, strict=False)
    return len(one.shape) == len(other.shape) and all(a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int))


def constant_fits(spec: TensorSpec, value: Scalar) -> bool:
    """A constant is a value of this tensor."""
    if isinstance(value, str):
        return value in spec.categories if spec.categories is not None else spec.dtype == "string"
    if isinstance(value, bool) or spec.dtype in ("bool", "string") or spec.categories is not None:
        return isinstance(value, bool) and spec.dtype == "bool"
    return isinstance(value, int) or _kind(spec) == "f" or value.is_integer()


def _kind(spec: TensorSpec) -> str:
    return NUMPY[spec.dtype].kind


def text(spec: TensorSpec) -> str:
    """A tensor, for people."""
    return f"{spec.dtype} {spec.shape}" + (f" of {list(spec.categories)[:10]}" if spec.categories else "")
