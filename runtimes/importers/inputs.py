"""The inputs of a program, from examples: names, dtypes, dimensions, and tensors of chosen sizes to trace and probe with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...sdk.core.errors import InputError
from ...sdk.core.signature import NUMPY, Array, Shape, TensorSpec, dtype_of
from ..canvas import size_name, to_canvas
from .program import ImportOptions

BATCH = "batch"


@dataclass(frozen=True)
class Input:
    """One input of the program.

    Attributes:
        spec: as in the Signature; the shape names the dynamic dimensions.
        example: typed tensor of native dtype with at least one row.
        hidden: a canvas's size: an input of the program that callers never see.
    """

    spec: TensorSpec
    example: Array
    hidden: bool = False

    def rim(self, sizes: Mapping[str, int]) -> Array:
        """The example at these sizes of the dynamic dimensions, in the dtype of the program's rim."""
        return self.native(sizes).astype(NUMPY[self.spec.rim_dtype])

    def native(self, sizes: Mapping[str, int]) -> Array:
        """The example repeated or cut along its dynamic dimensions, in its native dtype."""
        array = self.example
        for axis, dim in enumerate(self.spec.shape):
            if isinstance(dim, str):
                array = np.take(array, np.arange(sizes[dim]) % array.shape[axis], axis=axis)
        return array


def describe_inputs(names: Sequence[str], options: ImportOptions) -> tuple[Input, ...]:
    """The program's inputs in order, a canvas's size behind its canvas.

    Raises InputError for examples that lack a name, have no rows, or disagree on a dimension.
    """
    examples = complete(options.examples, options.image)
    if missing := [name for name in names if name not in examples]:
        raise InputError(
            f"The examples lack the input {missing[0]!r}", field=missing[0], got=", ".join(examples) or "no examples",
            expected=", ".join(names), fix="Name the examples as the function's parameters: examples={...}.",
        )  # fmt: skip
    if unasked := [name for name in options.image if name in names and size_name(name) not in names]:
        size = size_name(unasked[0])
        raise InputError(
            f"featurize takes the image {unasked[0]!r} of any size without its size", field=unasked[0], got=", ".join(names),
            fix=f"Add the parameter {size} and start with ps.image.resize_canvas({unasked[0]}, {size}, (H, W)).",
        )  # fmt: skip
    if unknown := [name for name in examples if name not in names]:
        raise InputError(
            f"Nothing takes the example {unknown[0]!r}", field=unknown[0], got=", ".join(unknown), expected=", ".join(names),
            fix="Add a parameter of that name to featurize (or to the model's forward), or leave the example out.",
        )  # fmt: skip
    hidden = {size_name(name) for name in options.image}
    inputs = tuple(Input(_spec(name, examples[name], options), examples[name], name in hidden) for name in names)
    dimension_sizes(inputs)
    return inputs


def dimension_sizes(inputs: Sequence[Input], least: int = 1) -> dict[str, int]:
    """Dynamic dimension -> its size in the examples, at least `least`. Raises InputError where two inputs disagree."""
    sizes: dict[str, int] = {}
    for item in inputs:
        for dim, size in zip(item.spec.shape, item.example.shape, strict=True):
            if isinstance(dim, str) and sizes.setdefault(dim, size) != size:
                raise InputError(f"Examples disagree on dimension {dim!r}", field=item.spec.name, got=size, expected=sizes[dim])
    return {dim: max(size, least) for dim, size in sizes.items()}


def signature_inputs(inputs: Sequence[Input]) -> tuple[TensorSpec, ...]:
    """The specs that a Signature lists: a canvas's shape is its image's, and its size is hidden."""
    return tuple(_outside(item.spec) for item in inputs if not item.hidden)


def _outside(spec: TensorSpec) -> TensorSpec:
    """A canvas as callers see it: (batch, <name>_height, <name>_width, ...)."""
    if spec.canvas is None:
        return spec
    return replace(spec, shape=(spec.shape[0], f"{spec.name}_height", f"{spec.name}_width", *spec.shape[3:]))


def _spec(name: str, example: Array, options: ImportOptions) -> TensorSpec:
    wished = next((spec for spec in options.signature.inputs if spec.name == name), None) if options.signature else None
    spec = wished or TensorSpec(name, dtype_of(example), (), None)
    if not wished or wished.dtype != "string":
        _check_dtype(name, example, spec)
    shape, batch_axis = _shape(name, example, options, wished)
    if 0 in example.shape:
        raise InputError("An example has no rows or no values", field=name, got=f"shape {example.shape}")
    if name in options.image:
        height, width = options.image[name].max
        spec = replace(spec, canvas=(int(height), int(width)))
    return replace(spec, shape=shape, batch_axis=batch_axis)


def _check_dtype(name: str, example: Array, spec: TensorSpec) -> None:
    if dtype_of(example) == "string" and spec.dtype == "string":
        return
    text = "string" in (dtype_of(example), spec.dtype)
    if text or not np.can_cast(example.dtype, NUMPY[spec.dtype], "same_kind"):
        raise InputError("An example does not have the dtype that the signature states", field=name, got=example.dtype, expected=spec.dtype)


def _shape(name: str, example: Array, options: ImportOptions, wished: TensorSpec | None) -> tuple[Shape, int | None]:
    """Symbolic shape and batch axis: the user's signature, else axis 0 is "batch" unless another axis is named so."""
    shape: list[int | str] = list(example.shape)
    axis: int | None = 0 if shape else None
    if wished is not None and len(wished.shape) == len(shape):
        axis = wished.batch_axis
        shape = [dim if isinstance(dim, str) else size for dim, size in zip(wished.shape, shape, strict=True)]
    for position, dim in options.dynamic.get(name, {}).items():
        if not -len(shape) <= position < len(shape):
            raise InputError("dynamic= names an axis that is not there", field=name, got=position, expected=f"{len(shape)} axes")
        shape[position] = dim
        axis = position % len(shape) if dim == BATCH else axis
    if axis is not None and not isinstance(shape[axis], str):
        shape[axis] = BATCH
    return tuple(shape), axis


def rows(inputs: Sequence[Input]) -> int:
    """Rows in the examples."""
    counts = [item.example.shape[item.spec.batch_axis] for item in inputs if item.spec.batch_axis is not None]
    return counts[0] if counts else 1


def values(inputs: Sequence[Input], sizes: Mapping[str, int]) -> dict[str, Array]:
    """The examples by name at these sizes, in native dtypes."""
    return {item.spec.name: item.native(sizes) for item in inputs}


def complete(inputs: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Array]:
    """Inputs as arrays; images of any size as a canvas and its size."""
    found: dict[str, Array] = {}
    for name, value in inputs.items():
        if name in image and size_name(name) not in inputs:
            images = value if isinstance(value, np.ndarray) else [np.asarray(each) for each in value]
            found[name], found[size_name(name)] = to_canvas(images, image[name].max, name)
        else:
            found[name] = np.asarray(value)
    return found
