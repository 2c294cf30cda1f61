"""INPUT of `portside predict`: a JSON file, `-`, an image file, or field=value pairs, as wire values for the codec."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.codec.codec import Codec
from ..core.codec.step import WireField
from ..core.errors import InputError
from ..core.signature import NUMPY, Signature, TensorSpec

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def read_inputs(words: Sequence[str], codec: Codec, signature: Signature) -> dict[str, Any]:
    """Wire values by field, as `Session.predict` takes them.

    Args:
        words: what stands on the command line after the package.
        codec: of the package; it says which field is an image and which is text.
        signature: typed inputs that no codec step makes are converted to its dtypes and shapes.

    Raises:
        InputError: naming the field.
    """
    return read_fields(words, codec.wire_fields(signature), signature)


def read_fields(words: Sequence[str], wire_fields: Sequence[WireField], signature: Signature) -> dict[str, Any]:
    """The same, by the codec's fields. Raises InputError."""
    fields = {field.name: field for field in wire_fields}
    raw: dict[str, Any] = {}
    for word in words:
        raw.update(_pairs(word, fields))
    if unknown := sorted(set(raw) - set(fields)):
        raise InputError("The package has no such field", field=unknown[0], expected=", ".join(fields))
    return {name: _wire(fields[name], value, signature) for name, value in raw.items()}


def _pairs(word: str, fields: Mapping[str, WireField]) -> dict[str, Any]:
    if word == "-":
        return _document(sys.stdin.read(), "standard input")
    path = Path(word).expanduser()
    if path.suffix.lower() in IMAGES and path.is_file():
        return {_image_field(fields): path.read_bytes()}
    if path.suffix.lower() == ".json" and path.is_file():
        return _document(path.read_text(encoding="utf-8"), word)
    name, equals, value = word.partition("=")
    if not equals:
        if path.suffix.lower() in (*IMAGES, ".json"):
            raise InputError("There is no such file", got=word, expected=f"an image, or a JSON object with {', '.join(fields)}")
        raise InputError("This is no input", got=word, expected="a .json file, -, an image file that exists, or field=value")
    return {name: _value(value, fields.get(name))}


def _value(text: str, field: WireField | None) -> Any:
    """`@path` is the content of a file, `null` a missing value; else JSON where the field is not text, else the text itself.

    The text null is written as JSON writes it, `"null"`.
    """
    if text.startswith("@"):
        path = Path(text[1:]).expanduser()
        if not path.is_file():
            raise InputError("There is no such file", field=field.name if field else None, got=str(path))
        return path.read_bytes() if field is None or field.type == "image" else path.read_text(encoding="utf-8")
    if field is not None and field.type in ("text", "category"):
        return {"null": None, '"null"': "null"}.get(text, text)
    try:
        return json.loads(text)
    except ValueError:
        return text


def _document(text: str, where: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InputError(f"{where} is not JSON: {error}") from error
    held = data.get("inputs", data) if isinstance(data, dict) else None
    if not isinstance(held, dict):
        raise InputError(f"{where} is not an object of fields", got=type(data).__name__, expected='{"field": value, ...}')
    return {str(name): value for name, value in held.items()}


def _image_field(fields: Mapping[str, WireField]) -> str:
    images = [field.name for field in fields.values() if field.type == "image"]
    if len(images) != 1:
        raise InputError("An image file needs exactly one image field in the package", got=f"{len(images)} of them",
                         fix="Name the field: FIELD=@photo.jpg." if images else "Pack with codec={'FIELD': ps.codec.Image()}.")  # fmt: skip
    return images[0]


def _wire(field: WireField, value: Any, signature: Signature) -> Any:
    if field.type != "tensor":
        return value if isinstance(value, list) else [value]
    return _tensor(signature.input(field.name), value)


def _tensor(spec: TensorSpec, value: Any) -> Any:
    """Nested lists as an array of the input's dtype; one row without its batch axis gets one."""
    if isinstance(value, str | bytes):
        raise InputError("This field takes numbers", field=spec.name, got=repr(value)[:40], expected="1.5, or [1.5, 2] for two rows")
    try:
        array = np.array([None] if value is None else value)
        array = array.astype(NUMPY[spec.dtype]) if _fits(array, spec) else array
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"The values are not a tensor: {error}", field=spec.name) from error
    if spec.batch_axis is not None and array.ndim == len(spec.shape) - 1:
        array = np.expand_dims(array, spec.batch_axis)
    return array.tolist() if array.dtype.kind == "O" else array  # lists are read as JSON, whose null is a missing value


def _fits(array: np.ndarray[Any, Any], spec: TensorSpec) -> bool:
    """Whether the cast loses nothing that the door should have refused: a fraction, or a number out of range."""
    wanted = NUMPY[spec.dtype]
    if array.dtype.kind == "f" and wanted.kind in "iu":
        return bool(np.all(array == np.trunc(array))) and _fits(array.astype(np.int64), spec)
    if array.dtype.kind in "iu" and wanted.kind in "iu" and array.size:
        return np.iinfo(wanted).min <= int(array.min()) and int(array.max()) <= np.iinfo(wanted).max
    return array.dtype.kind in "ifub" and (wanted.kind != "b" or array.dtype.kind == "b")
