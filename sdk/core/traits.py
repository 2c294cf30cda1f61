"""Traits: a few numbers per row that say what raw inputs are like, for inputs too large to be kept in records.

    >>> traits({"photo": [np.full((4, 4, 3), 255, np.uint8)]}, {"photo": "image"})["photo.brightness"]
    [1.0]

- pictures: brightness and contrast (mean and standard deviation of luma, ITU-R BT.601, in [0, 1]), sharpness (variance of
  the Laplacian after Pech-Pacheco et al., 2000), width and height in pixels;
- texts: length in characters, words, the share of characters that are neither letters nor spaces;
- audio: loudness in dBFS, the shares of silent pieces (below -50 dBFS) and of clipped samples.

Numbers need no traits: their values are their own. Large pictures are looked at in part, so that a row costs under a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite, log10
from typing import Any, Literal, TypeAlias, cast

import numpy as np

from .codec.step import WireField
from .signature import Array, Signature, TensorSpec

TraitKind: TypeAlias = Literal["image", "text", "audio"]
NAMES: Mapping[TraitKind, tuple[str, ...]] = {
    "image": ("brightness", "contrast", "sharpness", "width", "height"),
    "text": ("length", "words", "non_letters"),
    "audio": ("loudness_dbfs", "silence", "clipping"),
}
"""The traits of each kind, in order."""
SOUNDS = ("audio", "wave", "speech", "sound", "samples", "pcm")
"""A field of real numbers whose name holds one of these words is audio."""
SIDE = 256
"""Pictures are sampled at about this many places a side; sharpness is that of the middle SIDE x SIDE pixels."""
PIECE = 320
"""Samples of one piece of audio: 20 ms at 16 kHz."""
FLOOR_DBFS, SILENT_DBFS = -120.0, -50.0
TRAIT = "trait."
"""Before the names of traits in profiles and windows: "trait.photo.brightness"."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def traits(inputs: Mapping[str, Array | Sequence[Any]], kinds: Mapping[str, TraitKind]) -> dict[str, list[float | None]]:
    """ "field.trait" -> one number per row; None where the row has no value, or one that cannot be measured.

    Args:
        inputs: fields by name, rows in front: pictures (rows, H, W), (rows, H, W, 1 or 3 or 4) or (rows, 3, H, W), as an array or
            as a list of differing sizes, uint8 or floats in [0, 1]; texts; audio (rows, samples), floats in [-1, 1] or int16.
        kinds: what each field is (`trait_kinds`); fields that are not there are left out.
    """
    found: dict[str, list[float | None]] = {}
    for name, kind in kinds.items():
        if name in inputs:
            rows = [_measured(kind, row) for row in inputs[name]]
            found.update({f"{name}.{trait}": [row[place] for row in rows] for place, trait in enumerate(NAMES[kind])})
    return found


def trait_kinds(signature: Signature, fields: Iterable[WireField] = ()) -> dict[str, TraitKind]:
    """What input fields are, where they have traits.

    Args:
        signature: of the package; typed inputs tell pictures, texts and audio by dtype, shape and name.
        fields: what callers send (`Codec.wire_fields`): a text field is looked at as it was sent, under its own name.
    """
    sent = list(fields)
    pictures = {name for field in sent if field.type == "image" for name in field.inputs}
    kinds: dict[str, TraitKind] = {spec.name: kind for spec in signature.inputs if (kind := _kind(spec, spec.name in pictures)) is not None}
    kinds.update({field.name: "text" for field in sent if field.type == "text"})
    return kinds


def kept_kinds(signature: Signature, fields: Iterable[WireField] = ()) -> dict[str, TraitKind]:
    """The same without fields of which nothing is kept: that are redacted or stay on the device, or that are made into one that is."""
    sent = list(fields)
    hidden = {spec.name for spec in signature.inputs if spec.redact or spec.stays_on_device}
    hidden |= {field.name for field in sent if hidden & set(field.inputs)}
    return {name: kind for name, kind in trait_kinds(signature, sent).items() if name not in hidden}


def as_sent(kinds: Iterable[str], signature: Signature, fields: Iterable[WireField]) -> tuple[str, ...]:
    """Of the fields with traits those that are looked at as they were sent: texts, and what no typed input is named after."""
    typed = {spec.name for spec in signature.inputs}
    return tuple(field.name for field in fields if field.name in kinds and (field.type == "text" or field.name not in typed))


def _kind(spec: TensorSpec, picture: bool) -> TraitKind | None:
    sides = len(spec.shape) - (spec.batch_axis is not None)
    if picture or spec.canvas is not None or (spec.dtype == "u8" and sides in (2, 3)):
        return "image"
    if spec.dtype == "string" and spec.categories is None and sides == 0:
        return "text"
    heard = any(word in spec.name.lower() for word in SOUNDS)
    return "audio" if heard and sides == 1 and spec.dtype in ("f32", "f64", "f16") else None


def _measured(kind: TraitKind, row: Any) -> tuple[float | None, ...]:
    try:
        with np.errstate(all="ignore"):
            values = _MEASURES[kind](row) if row is not None else ()
    except (TypeError, ValueError):  # not what the kind says: no traits, and no lost record
        values = ()
    padded = (*values, *(None for _ in range(len(NAMES[kind]) - len(values))))
    return tuple(float(value) if value is not None and isfinite(value) else None for value in padded)


def _image(row: Any) -> tuple[float, ...]:
    pixels = np.asarray(row)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[2] not in (1, 3, 4):
        pixels = np.moveaxis(pixels, 0, 2)
    height, width = pixels.shape[:2]
    if not pixels.size:
        return ()
    coarse, middle = _luma(pixels[:: 1 + height // SIDE, :: 1 + width // SIDE]), _luma(_middle(pixels))
    return float(coarse.mean()), float(coarse.std()), _sharpness(middle), width, height


def _luma(pixels: Array) -> Array:
    scaled = pixels.astype(np.float32)
    scaled = scaled / np.float32(255) if pixels.dtype == np.uint8 else scaled
    if scaled.ndim == 2:
        return scaled
    return scaled[..., :3] @ _LUMA if scaled.shape[2] >= 3 else scaled[..., 0]


def _middle(pixels: Array) -> Array:
    top, left = max(0, (pixels.shape[0] - SIDE) // 2), max(0, (pixels.shape[1] - SIDE) // 2)
    return pixels[top : top + SIDE, left : left + SIDE]


def _sharpness(luma: Array) -> float:
    if min(luma.shape) < 3:
        return float("nan")
    centre = luma[1:-1, 1:-1]
    return float((luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * centre).var())


def _text(row: Any) -> tuple[float, ...]:
    text = row.decode("utf-8", "replace") if isinstance(row, bytes) else row
    if not isinstance(text, str):
        return ()
    other = sum(not (letter.isalpha() or letter.isspace()) for letter in text)
    return len(text), len(text.split()), other / len(text) if text else 0.0


def _audio(row: Any) -> tuple[float, ...]:
    held = np.asarray(row)
    samples = held.astype(np.float64) / (32768.0 if held.dtype == np.int16 else 1.0)
    if not samples.size:
        return ()
    samples = samples.ravel()
    whole = samples[: len(samples) // PIECE * PIECE].reshape(-1, PIECE) if len(samples) >= PIECE else samples[None]
    quiet = np.array([_dbfs(piece) < SILENT_DBFS for piece in whole])
    return _dbfs(samples), float(quiet.mean()), float((np.abs(samples) >= 0.999).mean())


def _dbfs(samples: Array) -> float:
    power = float((samples * samples).mean())
    return max(10 * log10(power), FLOOR_DBFS) if power > 0 else FLOOR_DBFS if power == 0 else float("nan")


_MEASURES = cast("Mapping[TraitKind, Callable[[Any], tuple[float, ...]]]", {"image": _image, "text": _text, "audio": _audio})
