"""What waits to become a record: its tensors as they are. The writer's thread makes them storable, redacted where the signature says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

from ...sdk.core.records import Record
from ...sdk.core.signature import NUMPY, Array, DType, Signature, TensorSpec

Row: TypeAlias = tuple[Any, ...]
"""Values of `tables.COLUMNS`."""
Write: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any], Signature, int], tuple[str, str]]
"""What is kept of tensors as JSON: (inputs, outputs, their signature, bytes above which one is described) -> the text of both."""
OWN_BYTES = 1024
"""About what a draft takes beside its tensors."""
_ARRAY = np.ndarray


class Drafted(Protocol):
    """A record on its way."""

    @property
    def record(self) -> Record:
        """The record without its tensors."""
        ...

    def values(self) -> dict[str, Any]:
        """All fields of that record, in a dict that the caller may change."""
        ...

    @property
    def inputs(self) -> Mapping[str, Array]:
        """Typed inputs."""
        ...

    @property
    def outputs(self) -> Mapping[str, Array]:
        """Typed outputs."""
        ...

    @property
    def tapped(self) -> Mapping[str, Array]:
        """Values of boundaries."""
        ...

    @property
    def sent(self) -> Mapping[str, Any]:
        """Texts as they were sent."""
        ...

    @property
    def signature(self) -> Signature:
        """Which says what is redacted."""
        ...

    def features(self, limit_bytes: int) -> Mapping[str, Any]:
        """Features as they are kept, JSON-ready; larger tensors than this are described."""
        ...

    def columns(self, write: Write, limit_bytes: int) -> Row | None:
        """The row itself where nothing about it is unusual, tensors as `write` gives them; None: it is to be made of the others."""
        ...


@dataclass(frozen=True)
class Draft:
    """A draft whose record is there already."""

    record: Record
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    signature: Signature
    tapped: Mapping[str, Array] = field(default_factory=dict[str, Array])
    sent: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def values(self) -> dict[str, Any]:
        """Those of the record."""
        return vars(self.record).copy()

    def features(self, limit_bytes: int) -> Mapping[str, Any]:
        """Those of the record."""
        return self.record.features

    def columns(self, write: Write, limit_bytes: int) -> Row | None:
        """None: it is as its record is."""
        return None


def row_bytes(signature: Signature) -> int | None:
    """What the tensors of one row take, asked and answered; None where that differs from row to row, or rows are not all there is."""
    if signature.state or not all(map(_even, (*signature.inputs, *signature.outputs))):
        return None
    asked = sum(_row_bytes(spec, spec.rim_dtype) for spec in signature.inputs)
    return asked + sum(_row_bytes(spec, spec.dtype) for spec in signature.outputs)


def _row_bytes(spec: TensorSpec, dtype: DType) -> int:
    return NUMPY[dtype].itemsize * math.prod(length for length in spec.shape if isinstance(length, int))


def _even(spec: TensorSpec) -> bool:
    """Every row of it takes as much."""
    batched = spec.batch_axis is not None and not isinstance(spec.shape[spec.batch_axis], int)
    named = sum(not isinstance(length, int) for length in spec.shape)
    return batched and named == 1 and spec.dtype != "string" and spec.canvas is None


def weight(draft: Drafted) -> int:
    """About the bytes that a draft keeps alive while it waits: its tensors, its texts, and a kilobyte for the rest."""
    size = OWN_BYTES
    for array in draft.inputs.values():
        size += array.nbytes if type(array) is _ARRAY else _weight(array)
    for array in draft.outputs.values():
        size += array.nbytes
    if draft.tapped:
        size += sum(array.nbytes for array in draft.tapped.values())
    if draft.sent:
        size += sum(map(_weight, draft.sent.values()))
    return size


def _weight(value: Any) -> int:
    """Of what is no array: images of several sizes, texts."""
    if isinstance(value, str | bytes):
        return len(value)
    return sum(getattr(part, "nbytes", 0) or _weight(part) for part in value) if isinstance(value, list | tuple) else 64
