"""What a person looks at, as it is stored: one part per field, its kind found from the value itself.

| value | kind | stored |
|---|---|---|
| bytes of a picture | image | as they came |
| uint8 array (H, W), (H, W, 1), (H, W, 3) or (3, H, W) | image | `.npy`; shown as PNG |
| bytes of a WAV, MP3, OGG or FLAC file | audio | as they came |
| `Sound` | audio | `.npy` with its rate; shown as WAV |
| text of one short line | word | JSON |
| longer text | text | JSON |
| number, boolean, None | number, missing | JSON |
| list, mapping, other array | tensor | JSON, up to `TENSOR_LIMIT` numbers; larger ones as `.npy`, shown by shape |
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from ...sdk.core.canonical import digest_of_bytes
from ...sdk.core.errors import InputError
from ...sdk.core.records import plain
from ...sdk.core.signature import Array

Kind: TypeAlias = Literal["image", "audio", "text", "word", "number", "missing", "tensor", "file"]
NPY = "application/x-npy"
TENSOR_LIMIT = 4096
WORD_LENGTH = 40
_MAGIC = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"), (b"BM", "image/bmp"),
          (b"II*\0", "image/tiff"), (b"MM\0*", "image/tiff"), (b"OggS", "audio/ogg"), (b"fLaC", "audio/flac"), (b"ID3", "audio/mpeg"),
          (b"\xff\xfb", "audio/mpeg"))  # fmt: skip
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}


@dataclass(frozen=True)
class Sound:
    """Samples (n,) of floats in [-1, 1], and how many of them make a second."""

    samples: Array
    rate: int


@dataclass(frozen=True)
class Part:
    """One field as it is stored.

    Attributes:
        value: JSON-ready; of an array its shape, dtype and, of a sound, its rate.
        media: type of `data`; None: there is none.
        digest: "sha256:..." of the content, for finding the same content again.
    """

    field: str
    kind: Kind
    value: Any = None
    media: str | None = None
    data: bytes | None = None
    digest: str = ""


def parts(payload: Mapping[str, Any]) -> list[Part]:
    """The payload as parts, in its order. Raises InputError for what can be neither stored nor shown."""
    return [_part(name, value) for name, value in payload.items()]


def value_of(part: Part) -> Any:
    """What a part was made from."""
    if part.media != NPY or part.data is None:
        return part.value if part.data is None else part.data
    array = np.load(io.BytesIO(part.data), allow_pickle=False)
    return Sound(array, int(part.value["rate"])) if part.kind == "audio" else array


def media_of(data: bytes) -> str:
    """The type of a file by its first bytes; "application/octet-stream" where they say nothing."""
    if data[:4] == b"RIFF":
        return _RIFF.get(bytes(data[8:12]), "application/octet-stream")
    return next((media for magic, media in _MAGIC if data.startswith(magic)), "application/octet-stream")


def is_picture(array: Array) -> bool:
    """A uint8 array that can be shown as one picture."""
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or min(array.shape) == 0 or max(array.shape) > 16_384:
        return False
    return min(array.shape[:2]) > 3 if array.ndim == 2 else array.shape[2] in (1, 3) or array.shape[0] == 3


def _part(name: str, value: Any) -> Part:
    if isinstance(value, Sound):
        samples = np.ascontiguousarray(value.samples, dtype=np.float32).ravel()
        return _array(name, "audio", samples, {"rate": int(value.rate)})
    if isinstance(value, bytes | bytearray | memoryview):
        return _file(name, bytes(value))
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        if is_picture(value):
            return _array(name, "image", value, {})
        if value.size > TENSOR_LIMIT:
            return _array(name, "tensor", value, {})
        value = plain(value)
    return _json(name, value)


def _file(name: str, data: bytes) -> Part:
    media = media_of(data)
    top = media.split("/", 1)[0]
    kind: Kind = "image" if top == "image" else "audio" if top == "audio" else "file"
    return Part(name, kind, {"bytes": len(data)}, media, data, digest_of_bytes(data))


def _array(name: str, kind: Kind, array: Array, more: Mapping[str, Any]) -> Part:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    value = {"shape": list(array.shape), "dtype": str(array.dtype), **more}
    return Part(name, kind, value, NPY, file.getvalue(), digest_of_bytes(file.getvalue()))


def _json(name: str, value: Any) -> Part:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, float) and value != value:
        value = None  # JSON has no NaN, and it stands for a missing number
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"This value cannot be shown to a person: {error}", field=name, got=type(value).__name__) from error
    return Part(name, _kind(value), value, None, None, digest_of_bytes(text))


def _kind(value: Any) -> Kind:
    if isinstance(value, str):
        return "word" if len(value) <= WORD_LENGTH and "\n" not in value else "text"
    if value is None:
        return "missing"
    return "number" if isinstance(value, int | float) else "tensor"
