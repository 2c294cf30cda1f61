"""Encoded or raw pictures to uint8 pixels: decode, orientation, colour rules, size. Specified in docs/codec.md."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, cast

import numpy as np
import PIL.Image

from ..errors import FormatError
from ..refusal import refusal, shown
from ..signature import Array, TensorSpec
from .exif import orientation_of
from .pixels import contain_size, cover_box, oriented, to_mode
from .resize import resize
from .step import Typed, WireType, checked_options, plain_options
from .whole import check_whole, exif_in

Fit: TypeAlias = Literal["stretch", "cover", "contain"]
Layout: TypeAlias = Literal["HW", "HWC", "CHW"]
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_OPTIONS = ("size", "mode", "fit", "layout", "fill", "max_bytes", "max_pixels", "formats")
_ORIENTATION = 0x0112
MAX_SIDE = 65_535
"""Longest side of a picture in pixels: what JPEG can hold."""


@dataclass(frozen=True)
class Image:
    """Pictures to uint8: (N, H, W, 3) for RGB, (N, H, W) for L.

    A caller sends the bytes of a file, base64 text of them, a Pillow image, or uint8 arrays.

    Attributes:
        size: (height, width), or None to keep each image's own size.
        mode: "RGB" or "L" (grey).
        fit: "stretch"; "cover" (centre crop to the aspect ratio first); "contain" (fit inside, centred on `fill`).
        layout: "HW" (L only), "HWC" or "CHW"; None: HWC for RGB and wherever size is None, otherwise HW.
        fill: grey level around a contained image.
        max_bytes: largest file, in bytes.
        max_pixels: largest picture, in pixels, checked before pixels are decoded.
        formats: file formats that are decoded.
    """

    size: tuple[int, int] | None = None
    mode: Literal["RGB", "L"] = "RGB"
    fit: Fit = "stretch"
    layout: Layout | None = None
    fill: int = 0
    max_bytes: int = 32 << 20
    max_pixels: int = 50_000_000
    formats: tuple[str, ...] = FORMATS

    kind: ClassVar[str] = "image"
    wire: ClassVar[WireType] = "image"
    missing: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.size is not None and (len(self.size) != 2 or not all(type(side) is int and 0 < side <= 1 << 15 for side in self.size)):
            raise FormatError("An image size is (height, width) in pixels", got=self.size)
        if self.mode not in ("RGB", "L") or self.fit not in ("stretch", "cover", "contain") or not 0 <= self.fill <= 255:
            raise FormatError("An image step has an unknown mode, fit or fill", got=(self.mode, self.fit, self.fill))
        if self.layout not in (None, "HWC", "CHW") and (self.layout, self.mode) != ("HW", "L"):
            raise FormatError("An image step has a layout that does not fit its mode", got=(self.layout, self.mode))
        if unknown := sorted(set(self.formats) - set(FORMATS)):
            raise FormatError("An image step names an unknown file format", got=unknown[0], expected=", ".join(FORMATS))
        if self.layout is None:
            object.__setattr__(self, "layout", "HWC" if self.mode == "RGB" or self.size is None else "HW")

    def options(self) -> dict[str, Any]:
        """All attributes, the layout resolved."""
        return plain_options(self, _OPTIONS)

    def files(self) -> dict[str, tuple[str, bytes]]:
        """None."""
        return {}

    def names(self, field: str) -> tuple[str, ...]:
        """One typed input, called as the wire field."""
        return (field,)

    def encode(self, field: str, values: Any) -> tuple[Typed]:
        """uint8 array; a list of them where sizes differ. Raises InputError for what is no image, too large or damaged."""
        images = [self._pixels(field, value, row) for row, value in enumerate(_images(field, values))]
        if not images:
            raise refusal("there are no rows", field)
        if any(image.shape != images[0].shape for image in images):
            return (images,)
        return (np.stack(images),)

    def annotate(self, spec: TensorSpec) -> TensorSpec:
        """Unchanged."""
        return spec

    @classmethod
    def parse(cls, options: Mapping[str, Any], files: Mapping[str, bytes]) -> Image:
        """From `options`."""
        held = checked_options(cls.kind, options, _OPTIONS)
        try:
            return cls(**{key: _frozen(value) for key, value in held.items()})
        except TypeError as error:
            raise FormatError(f"An image step is malformed: {error}", got=held) from error

    def _pixels(self, field: str, value: Any, row: int) -> Array:
        image = _from_array(value) if isinstance(value, np.ndarray) else self._decoded(field, value, row)
        if image is None:
            raise refusal("this array is not an image", field, row, got=f"{value.dtype} {value.shape}",
                          expected="uint8 of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)")  # fmt: skip
        sized = self._sized(to_mode(image, self.mode))
        if self.layout == "HW":
            return sized[:, :, 0]
        return sized if self.layout == "HWC" else np.ascontiguousarray(sized.transpose(2, 0, 1))

    def _sized(self, image: Array) -> Array:
        if self.size is None:
            return image
        (height, width), (h, w) = self.size, image.shape[:2]
        if self.fit == "cover":
            top, left, h, w = cover_box(h, w, height, width)
            image = image[top : top + h, left : left + w]
        if self.fit != "contain":
            return resize(image, height, width)
        inner_h, inner_w = contain_size(h, w, height, width)
        canvas = np.full((height, width, image.shape[2]), self.fill, np.uint8)
        top, left = (height - inner_h) // 2, (width - inner_w) // 2
        canvas[top : top + inner_h, left : left + inner_w] = resize(image, inner_h, inner_w)
        return canvas

    def _decoded(self, field: str, value: Any, row: int) -> Array:
        if isinstance(value, PIL.Image.Image):
            return self._loaded(field, value, row)
        data = _bytes_of(field, value, row)
        if len(data) > self.max_bytes:
            raise refusal("the file is too large", field, row, got=f"{len(data)} bytes", expected=f"at most {self.max_bytes}")
        with self._opened(field, data, row) as image:
            return self._loaded(field, image, row, data)

    def _opened(self, field: str, data: bytes, row: int) -> PIL.Image.Image:
        try:
            return PIL.Image.open(io.BytesIO(data), formats=self.formats)
        except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
            raise refusal("the image has too many pixels", field, row, expected=f"at most {self.max_pixels}") from error
        except Exception as error:  # format plugins raise whatever a malformed header makes them raise; all of it ends here
            raise refusal("this is not an image that can be read", field, row, got=shown(data), expected=", ".join(self.formats)) from error

    def _loaded(self, field: str, image: PIL.Image.Image, row: int, data: bytes | None = None) -> Array:
        if max(image.size) > MAX_SIDE or image.width * image.height > self.max_pixels:
            raise refusal("the image has too many pixels", field, row, got=f"{image.width} x {image.height}",
                          expected=f"at most {self.max_pixels}, no side above {MAX_SIDE}")  # fmt: skip
        try:
            if data is not None:
                check_whole(image.format, data)
                _drop_wide_key(image)
            image.load()
        except Exception as error:  # decoders raise whatever a damaged file makes them raise; all of it ends here
            raise refusal(f"the image is damaged or cut off ({type(error).__name__}: {error})"[:200], field, row) from error
        pixels = _unpacked(image)
        if pixels is None:
            raise refusal("this kind of image is not supported", field, row, got=f"Pillow mode {image.mode}",
                          expected="1, 8 or 16 bits per channel: grey, palette, RGB, CMYK, with or without alpha")  # fmt: skip
        return oriented(pixels, _orientation(image, data))


def _frozen(value: Any) -> Any:
    return tuple(cast("list[Any]", value)) if isinstance(value, list) else value


def _images(field: str, values: Any) -> list[Any]:
    """A batch as a list: one file, one Pillow image or one array of 2 dimensions, or 3 with channels last, is a batch of one."""
    if isinstance(values, str | bytes | bytearray | memoryview | PIL.Image.Image):
        return [values]
    if isinstance(values, np.ndarray):
        single = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (1, 3, 4) and values.dtype == np.uint8)
        return [values] if single else list(values) if values.ndim else [values.item()]
    if isinstance(values, list | tuple):
        return list(cast("list[Any]", values))
    raise refusal("these are not images", field, got=shown(values), expected="file contents, base64 text or uint8 arrays")


def _from_array(value: Array) -> Array | None:
    if value.dtype != np.uint8 or value.ndim not in (2, 3) or 0 in value.shape:
        return None
    image = value[:, :, None] if value.ndim == 2 else value
    return image if image.shape[2] in (1, 3, 4) else None


def _bytes_of(field: str, value: Any, row: int) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, np.bytes_):
        return value.tobytes()
    if not isinstance(value, str):
        raise refusal("this is not an image", field, row, got=shown(value), expected="file contents, base64 text or a uint8 array")
    text = value.partition(",")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise refusal("this text is not base64", field, row, got=shown(value)) from error


def _unpacked(image: PIL.Image.Image) -> Array | None:
    """Pixels of a loaded Pillow image as (h, w, 1 | 2 | 3 | 4) uint8, or None for a kind that has no rule."""
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    if image.mode in ("L", "RGB") and "transparency" in image.info:
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode == "1":
        image = image.convert("L")
    pixels = np.asarray(image)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return (pixels.astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)[:, :, None]
    if image.mode == "CMYK":
        light = 255 - pixels.astype(np.uint32)
        return ((light[:, :, :3] * light[:, :, 3:] + 127) // 255).astype(np.uint8)
    if image.mode == "YCbCr":
        pixels = np.asarray(image.convert("RGB"))
    elif image.mode not in ("L", "LA", "RGB", "RGBA"):
        return None
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _drop_wide_key(image: PIL.Image.Image) -> None:
    """Forget the transparent colour of a PNG whose samples have not 8 bits: Pillow would compare it with other numbers."""
    tiles = cast("list[Any]", getattr(image, "tile", []))
    if image.format == "PNG" and image.mode in ("L", "RGB") and tiles and tiles[0].args != image.mode:
        image.info.pop("transparency", None)


def _orientation(image: PIL.Image.Image, data: bytes | None) -> int:
    """EXIF orientation, 1 where there is none or the block is malformed."""
    if image.format == "TIFF":
        return _of_tiff(image)
    block = image.info.get("exif", b"") if data is None else exif_in(image.format, data)
    return orientation_of(block) if isinstance(block, bytes) else 1


def _of_tiff(image: PIL.Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged directory does not make the pixels wrong: recorded as "no orientation" by the specification
        return 1
    return value if isinstance(value, int) else 1
