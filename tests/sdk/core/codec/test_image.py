"""Images: decoding rules, orientation, colour, size, and everything a hostile or broken file may be."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from portside.sdk.core.codec.image import Image
from portside.sdk.core.codec.pixels import contain_size, cover_box, to_mode
from portside.sdk.core.codec.resize import ONE, resize, taps
from portside.sdk.core.errors import FormatError, InputError

RNG = np.random.default_rng(3)
COLOUR = RNG.integers(0, 256, (9, 12, 3), dtype=np.uint8)


def encoded(array: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(value: object, **options: object) -> np.ndarray:
    return np.asarray(Image(**options).encode("photo", value)[0])  # type: ignore[arg-type]


def refused(value: object, **options: object) -> InputError:
    with pytest.raises(InputError) as caught:
        Image(**options).encode("photo", [COLOUR, value])  # type: ignore[arg-type]
    assert (caught.value.field, caught.value.row) == ("photo", 1)
    return caught.value


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, data: bytes = b"", depth: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(data)) + png_chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "form", [bytes, bytearray, memoryview, base64.b64encode, lambda data: "data:image/png;base64," + base64.b64encode(data).decode()]
)
def test_every_form_of_a_png_gives_the_same_pixels(form: object):
    value = form(encoded(COLOUR))  # type: ignore[operator]
    value = value.decode() if form is base64.b64encode else value
    np.testing.assert_array_equal(decoded(value)[0], COLOUR)
    np.testing.assert_array_equal(decoded([COLOUR, Pillow.fromarray(COLOUR)]), [COLOUR, COLOUR])


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_are_exact_and_lossy_ones_close(kind: str):
    np.testing.assert_array_equal(decoded(encoded(COLOUR, kind))[0], COLOUR)
    smooth = np.fromfunction(lambda y, x, c: 8 * y + 4 * x + 20 * c, (16, 16, 3)).astype(np.uint8)
    assert np.abs(decoded(encoded(smooth, "JPEG", quality=95))[0].astype(int) - smooth).max() <= 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_orientation_is_applied(orientation: int, kind: str):
    upright = COLOUR
    store = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(decoded(encoded(np.ascontiguousarray(store(upright)), kind, exif=exif))[0], upright)


def test_a_damaged_orientation_changes_nothing():
    data = encoded(COLOUR, exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    np.testing.assert_array_equal(decoded(data)[0], COLOUR)


def test_colour_rules():
    alpha = np.dstack([np.full((1, 2, 3), 100, np.uint8), np.array([[0, 128]], np.uint8)])
    assert decoded(encoded(alpha))[0].tolist() == [[[255] * 3, [177] * 3]]
    grey = np.array([[7, 250]], np.uint8)
    assert decoded(encoded(grey))[0].tolist() == [[[7] * 3, [250] * 3]]
    assert decoded(encoded(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]], np.uint8)), mode="L", size=(1, 4)).tolist() == [
        [[76, 150, 29, 9]]
    ]
    deep = np.array([[0, 255, 256, 65535]], np.uint16)
    assert decoded(encoded(deep), mode="L", size=(1, 4)).tolist() == [[[0, 0, 1, 255]]]
    assert decoded(encoded(np.array([[True, False]])), mode="L", size=(1, 2)).tolist() == [[[255, 0]]]
    cmyk = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255], [128, 0, 0, 128]]], np.uint8)
    buffer = io.BytesIO()
    Pillow.fromarray(cmyk, "CMYK").save(buffer, "TIFF")
    assert decoded(buffer.getvalue())[0].tolist() == [[[255] * 3, [0, 255, 255], [0] * 3, [63, 127, 127]]]


def test_palettes_with_and_without_transparency():
    palette = Pillow.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    for options, expected in (({}, [[10, 20, 30], [40, 50, 60]]), ({"transparency": 0}, [[255] * 3, [40, 50, 60]])):
        buffer = io.BytesIO()
        palette.save(buffer, "PNG", **options)
        assert decoded(buffer.getvalue())[0].tolist() == [expected]


def test_deep_colour_keeps_the_high_byte():
    row = b"\x00" + struct.pack(">6H", 0x01FF, 0x80FF, 0xFFFF, 0, 0xFF, 0x0100)
    assert decoded(png_of(2, 1, row, depth=16))[0].tolist() == [[[1, 128, 255], [0, 0, 1]]]


@pytest.mark.parametrize(
    ("shape", "size"),
    [((31, 57), (64, 48)), ((200, 150), (32, 24)), ((5, 5), (1, 1)), ((1, 1), (7, 3)), ((64, 64), (64, 33)), ((7, 400), (9, 11))],
)
def test_resize_is_within_one_level_of_pillow(shape: tuple[int, int], size: tuple[int, int]):
    image = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    theirs = np.asarray(Pillow.fromarray(image).resize(size[::-1], Pillow.Resampling.BILINEAR))
    assert np.abs(resize(image, *size).astype(int) - theirs).max() <= 1


@given(st.integers(1, 300), st.integers(1, 300))
def test_weights_sum_to_one_and_stay_inside(size: int, out: int):
    for first, weights in taps(size, out):
        assert weights.sum() == ONE and (weights >= 0).all() and first >= 0 and first + len(weights) <= size


@given(st.integers(0, 255), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_a_plain_image_stays_plain(level: int, side: int, height: int, width: int):
    assert (resize(np.full((side, side + 3, 1), level, np.uint8), height, width) == level).all()


def test_the_order_of_the_two_passes_does_not_matter():
    image = RNG.integers(0, 256, (23, 41, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(image, 17, 60).swapaxes(0, 1), resize(image.swapaxes(0, 1), 60, 17))


@given(*[st.integers(1, 500)] * 4)
def test_boxes_stay_inside(h: int, w: int, height: int, width: int):
    top, left, tall, wide = cover_box(h, w, height, width)
    assert top >= 0 and left >= 0 and tall >= 1 and wide >= 1 and top + tall <= h and left + wide <= w
    inner = contain_size(h, w, height, width)
    assert 1 <= inner[0] <= height and 1 <= inner[1] <= width and (inner[0] == height or inner[1] == width)


def test_fits():
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, :2], wide[:, 6:] = 255, 255
    assert (decoded(wide, size=(4, 4), fit="cover") == 0).all()
    contained = decoded(wide, size=(8, 8), fit="contain", fill=7)[0]
    assert (contained[:2] == 7).all() and (contained[6:] == 7).all()
    np.testing.assert_array_equal(contained[2:6], wide)


def test_layouts_and_lists():
    assert decoded(COLOUR, size=(4, 5), layout="CHW").shape == (1, 3, 4, 5)
    assert decoded(COLOUR, size=(4, 5), mode="L").shape == (1, 4, 5)
    assert decoded(COLOUR, mode="L").shape == (1, 9, 12, 1)
    images = Image().encode("photo", [COLOUR, COLOUR[:4]])[0]
    assert isinstance(images, list) and [image.shape for image in images] == [(9, 12, 3), (4, 12, 3)]
    assert decoded(np.zeros((5, 6, 7), np.uint8)).shape == (5, 6, 7, 3)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"no image",
        "not base64!",
        "/etc/passwd",
        None,
        5,
        1.5,
        {},
        [],
        COLOUR.astype(np.float32),
        np.zeros((2, 2, 2), np.uint8),
        np.zeros((0, 2, 3), np.uint8),
        encoded(COLOUR)[:60],
        encoded(COLOUR, "JPEG")[:-30],
        b"%PDF-1.4",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
)
def test_what_is_no_image(value: object):
    refused(value)


def test_limits_hold_before_pixels_are_decoded():
    assert "too large" in str(refused(encoded(COLOUR), max_bytes=50))
    assert "too many pixels" in str(refused(png_of(20_000, 20_000)))
    assert "too many pixels" in str(refused(png_of(60_000, 60_000)))
    assert "no side above" in str(refused(png_of(1, 70_000)))
    assert "too many pixels" in str(refused(png_of(9, 13), max_pixels=108))
    refused(encoded(COLOUR, "BMP"), formats=("PNG",))


def test_kinds_without_a_rule_are_refused():
    refused(encoded(np.ones((2, 2), np.float32), "TIFF"))
    with pytest.raises(FormatError):
        Image(size=(0, 3))


def test_grey_of_grey_is_grey():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    np.testing.assert_array_equal(to_mode(to_mode(grey, "RGB"), "L"), grey)


FILES = [
    encoded(COLOUR),
    encoded(COLOUR, "JPEG"),
    encoded(COLOUR, "GIF"),
    encoded(COLOUR, "WEBP"),
    encoded(COLOUR, "TIFF"),
    encoded(COLOUR, "BMP"),
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FILES), st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=6), st.integers(0, 700))
def test_damaged_files_are_decoded_or_refused(data: bytes, changes: list[tuple[int, int]], cut: int):
    broken = bytearray(data[:cut] if cut < 600 else data)
    for place, value in changes:
        if place < len(broken):
            broken[place] = value
    try:
        pixels = Image(size=(4, 4), max_pixels=1_000_000).encode("photo", bytes(broken))[0]
    except InputError as error:
        assert (error.field, error.row) == ("photo", 0)
    else:
        assert np.asarray(pixels).shape == (1, 4, 4, 3)
