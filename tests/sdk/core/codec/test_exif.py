"""Which entries of an EXIF block count as an orientation, and that nothing in one can fail."""

import random
import struct

import pytest

from portside.sdk.core.codec.exif import orientation_of


def block(*entries: tuple[int, int, int, int], order: str = "<", more: int = 0) -> bytes:
    """Entries of (tag, type, count, value) in one directory, which claims to hold `more`."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries) + more)
    return head + b"".join(struct.pack(f"{order}HHI", *entry[:3]) + _value(entry[1], entry[3], order) for entry in entries)


def _value(kind: int, value: int, order: str) -> bytes:
    return struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
def test_short_and_long_in_either_byte_order(order: str, kind: int):
    made = block((0x10F, 2, 4, 0), (0x112, kind, 1, 7), (0x213, 3, 1, 1), order=order)
    assert [orientation_of(head + made) for head in (b"", b"Exif\0\0", b"Exif\0\0" * 2)] == [7, 7, 7]


def test_the_last_entry_that_counts_wins():
    assert orientation_of(block((0x112, 3, 1, 6), (0x112, 3, 1, 8))) == 8
    assert orientation_of(block((0x112, 3, 1, 6), (0x112, 3, 2, 8), (0x112, 2, 1, 8))) == 6


def test_a_directory_that_is_cut_off_counts_as_far_as_it_is_whole():
    made = block((0x112, 3, 1, 6), (0x112, 3, 1, 8), more=3)
    assert [orientation_of(made[:length]) for length in (len(made), len(made) - 1, 22, 21)] == [8, 6, 6, 1]


def test_what_is_no_block_is_upright():
    assert [orientation_of(data) for data in (b"", b"Exif\0\0", b"II*\0", b"XX*\0" + block((0x112, 3, 1, 6))[4:])] == [1, 1, 1, 1]


def test_bytes_by_chance_never_fail():
    rng = random.Random(4)
    start = struct.pack("<I", 8)
    found = {orientation_of(rng.choice([b"II*\0", b"MM\0*"]) + start + rng.randbytes(rng.randrange(60))) for _ in range(2000)}
    assert found == {1}
