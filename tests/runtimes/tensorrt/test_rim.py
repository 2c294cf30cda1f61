"""How calls of any size are fitted to an engine's profile."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.runtimes.tensorrt.rim import Piece, Rim, Slot
from portside.sdk.core.errors import FormatError, InputError

TEXT = Rim(
    (Slot("ids", "int32", ("batch", "length")), Slot("mask", "int32", ("batch", "length")), Slot("rate", "int32", ())),
    (Slot("embedding", "float32", ("batch", 384)),), {"batch": (1, 8, 64), "length": (1, 16, 128)}, "batch",
)  # fmt: skip
WHOLE = Rim((Slot("x", "float32", ("batch", 4)),), (Slot("mean", "float32", ()),), {"batch": (1, 8, 64)}, "batch")


def test_the_profile_has_the_shapes_of_what_is_free_alone():
    shape = ((1, 1), (8, 16), (64, 128))
    assert TEXT.profile == {"ids": shape, "mask": shape}


def test_a_rim_survives_json():
    assert Rim.from_dict(json.loads(json.dumps(TEXT.to_dict()))) == TEXT


@pytest.mark.parametrize("ranges", [{"batch": [1, 8]}, {"batch": [8, 1, 64]}, {"batch": [0, 1, 1]}, {"batch": 3}])
def test_a_malformed_description_is_refused(ranges):
    with pytest.raises(FormatError, match="malformed"):
        Rim.from_dict({**WHOLE.to_dict(), "ranges": ranges})


@given(st.integers(0, 400))
def test_pieces_are_every_row_once_and_none_larger_than_the_largest(rows):
    pieces = TEXT.pieces({"batch": rows, "length": 3})
    covered = [row for piece in pieces for row in range(piece.start, piece.start + piece.rows)]
    assert covered == list(range(rows))
    assert all(0 < piece.rows <= 64 for piece in pieces)


def test_rows_are_not_cut_where_an_output_is_of_all_of_them():
    assert WHOLE.pieces(WHOLE.sizes({"x": (64, 4)})) == [Piece(0, 64)]
    with pytest.raises(InputError, match=r"'batch' is not one that was compiled.*65.*1 to 64.*option batches"):
        WHOLE.sizes({"x": (65, 4)})


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"ids": (2, 200), "mask": (2, 200), "rate": ()}, r"'length' is not one that was compiled.*200.*1 to 128.*option sizes"),
        ({"ids": (2, 5), "mask": (3, 5), "rate": ()}, "does not fit"),
        ({"ids": (2, 5), "mask": (2, 5), "rate": (1,)}, "number of axes"),
    ],
)
def test_a_size_that_does_not_fit_is_named(shapes, words):
    with pytest.raises(InputError, match=words):
        TEXT.sizes(shapes)


def test_a_fixed_size_must_be_met():
    with pytest.raises(InputError, match="does not fit"):
        WHOLE.sizes({"x": (2, 5)})
