"""From a request to what a person looks at: one row of its wire values, without what is redacted or stays on the device."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...sdk.core.codec.step import WireField
from ...sdk.core.signature import Signature
from .payload import Sound


def payload(wire: Mapping[str, Any], fields: Iterable[WireField], signature: Signature, row: int,
            audio: Mapping[str, int] | None = None) -> dict[str, Any]:  # fmt: skip
    """The row as `Item.payload` takes it: pictures as the bytes that came, sounds as samples, the rest as it was sent.

    Args:
        wire: field -> batch, as the codec takes it.
        fields: the codec's wire fields.
        audio: field -> samples per second, of fields that hold sound.
    """
    specs = {spec.name: spec for spec in signature.inputs}
    held: dict[str, Any] = {}
    for field in fields:
        if field.name not in wire or any(specs[name].redact or specs[name].stays_on_device for name in field.inputs if name in specs):
            continue
        axis = specs[field.name].batch_axis if field.type == "tensor" else 0
        value = _row(wire[field.name], axis, row)
        held[field.name] = _shown(field, value, (audio or {}).get(field.name))
    return held


def _shown(field: WireField, value: Any, rate: int | None) -> Any:
    if rate is not None:
        return Sound(np.asarray(value, dtype=np.float32).ravel(), rate)
    if field.type == "image" and isinstance(value, str):
        return _decoded(value)
    if field.type == "tensor" and field.categories is not None and np.ndim(value) == 0 and 0 <= int(value) < len(field.categories):
        return field.categories[int(value)]
    return value


def _decoded(text: str) -> Any:
    """The bytes behind base64, as the codec reads them; what is none stays text."""
    said = text.split(",", 1)[1] if text.startswith("data:") and "," in text else text
    try:
        return base64.b64decode("".join(said.split()), validate=True)
    except (binascii.Error, ValueError):
        return text


def _row(values: Any, axis: int | None, row: int) -> Any:
    """One row of a batch; a bare value is a batch of one."""
    if axis is None:
        return np.asarray(values)
    if isinstance(values, np.ndarray) and values.ndim:
        return np.take(values, row, axis=axis)
    if axis:
        return np.take(np.asarray(values), row, axis=axis)
    return values[row] if isinstance(values, list | tuple) else values
