"""Files that are cut off or damaged are refused, whatever a decoder would make of them."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import PIL.Image
import pytest

import portside as ps
from portside.sdk.core.codec.png import DamagedError, check_png
from portside.sdk.core.codec.whole import check_whole, exif_in
from portside.sdk.core.errors import InputError

PIXELS = np.random.default_rng(2).integers(0, 256, (9, 14, 3), dtype=np.uint8)
EXIF = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)


def saved(kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    PIL.Image.fromarray(PIXELS).save(out, kind, **options)
    return out.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(stream: bytes, header: bytes = struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 0), *others: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(others) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


ROWS = b"\0abc\0def"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_a_file_that_is_cut_off_anywhere_is_refused(kind: str):
    step, whole = ps.codec.Image(), saved(kind)
    assert step.encode("photo", whole)[0].shape == (1, 9, 14, 3)
    behind = {"GIF": 1, "BMP": 2}.get(kind, 0)  # the mark that ends the frames, what fills the last row: nothing is missing without them
    for length in range(len(whole) - behind):
        with pytest.raises(InputError) as caught:
            step.encode("photo", whole[:length])
        assert (caught.value.field, caught.value.row) == ("photo", 0)


def test_a_png_is_whole_when_its_stream_is_as_long_as_its_rows():
    check_png(png(zlib.compress(ROWS)))


@pytest.mark.parametrize(("file", "said"), [
    (png(zlib.compress(ROWS[:-1])), "cut off"), (png(zlib.compress(ROWS + b"x")), "more behind"),
    (png(zlib.compress(ROWS) + b"x"), "more behind"),
    (png(zlib.compress(ROWS)[:-4]), "cut off"), (png(zlib.compress(ROWS)[:-1] + b"\0"), "damaged"),
    (png(zlib.compress(ROWS), struct.pack(">IIBBBBB", 3, 2, 3, 0, 0, 0, 0)), "header"),
    (png(zlib.compress(ROWS), struct.pack(">IIBBBBB", 3, 2, 8, 3, 0, 0, 0)), "palette"),
    (png(zlib.compress(ROWS)).replace(b"IDAT", b"IDAS"), "checksum"),
    (png(b"", struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 0), chunk(b"IDAT", zlib.compress(ROWS)), chunk(b"PLTE", b"abc")), "order"),
])  # fmt: skip
def test_a_png_that_is_not_whole_says_why(file: bytes, said: str):
    with pytest.raises(DamagedError, match=said):
        check_png(file)


def test_interlaced_rows_are_counted_by_pass():
    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 1)  # passes 1, 6 and 7 hold 1, 1 and 2 pixels
    check_png(png(zlib.compress(b"\0a\0b\0cd"), header))
    with pytest.raises(DamagedError):
        check_png(png(zlib.compress(b"\0a\0b\0c"), header))


def test_a_jpeg_without_pixels_or_end_is_not_whole():
    whole = saved("JPEG")
    check_whole("JPEG", whole + b"behind its end")
    with pytest.raises(DamagedError):
        check_whole("JPEG", whole[:-2])
    with pytest.raises(DamagedError, match="no pixels"):
        check_whole("JPEG", b"\xff\xd8\xff\xe0\0\4ab\xff\xd9")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_exif_of_a_file_is_found(kind: str):
    assert exif_in(kind, saved(kind, exif=EXIF)).removeprefix(b"Exif\0\0") == EXIF[6:]
    assert exif_in(kind, saved(kind)) == b""
    assert ps.codec.Image().encode("photo", saved(kind, exif=EXIF))[0].shape == (1, 14, 9, 3)


def test_further_exif_blocks_of_a_jpeg_continue_the_first():
    whole = saved("JPEG")
    first, second = EXIF[:20], b"Exif\0\0" + EXIF[20:]
    blocks = b"".join(b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block for block in (first, second))
    assert exif_in("JPEG", whole[:2] + blocks + whole[2:]) == EXIF


def test_an_orientation_in_xmp_does_not_count():
    turned = saved("JPEG", xmp=b'<x tiff:Orientation="6"/>')
    assert ps.codec.Image().encode("photo", turned)[0].shape == (1, 9, 14, 3)


def test_a_file_of_nothing_but_small_parts_is_refused():
    spare = [chunk(b"abCd", b"")] * 65_533
    check_png(png(zlib.compress(ROWS), struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 0), *spare))
    with pytest.raises(DamagedError, match="65536"):
        check_png(png(zlib.compress(ROWS), struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 0), *spare, spare[0]))
    whole = saved("JPEG")
    with pytest.raises(DamagedError, match="65536"):
        check_whole("JPEG", whole[:2] + b"\xff\xe5\0\2" * 65_536 + whole[2:])
