"""A small answer's row says what its note would have said, and whatever is unusual is left to the note."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.cloud.answering.answers import Question
from portside.cloud.answering.books import Books
from portside.cloud.answering.consistency import Author
from portside.cloud.answering.metrics import Metrics
from portside.cloud.answering.note import About
from portside.cloud.answering.small_rows import SmallRows
from portside.cloud.answering.walk import Walk
from portside.cloud.records.draft import OWN_BYTES
from portside.cloud.records.rows import row
from portside.cloud.records.store import FEW_BYTES, RecordStore, records
from portside.sdk.core.door import Checked
from portside.sdk.core.door_gate import Flag
from portside.sdk.core.records import Receipt, new_id
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 3)), TensorSpec("n", "i64", ("batch",))), (TensorSpec("y", "f32", ("batch",)),))
ABOUT = About("shop", "sha256:d", SIGNATURE)
AUTHORS = (
    Author(0, "m", "sha256:p", "onnx-cpu", "sha256:p", "sha256:a", "champion", "model"),
    Author(1, "default", "", "default", "", "", "fallback", "default"),
)
NUMBERS = st.lists(st.floats(width=32), min_size=4, max_size=4)


def walk(numbers, rows=1, flags=(), entity="ana", event_ms=None, parent=None):
    x = np.array([numbers[:3]] * rows, np.float32)
    question = Question({}, 0.0, entity, event_ms, parent)
    return Walk(question, Checked({"x": x, "n": np.arange(rows, dtype=np.int32)}, flags), rows, 0.0)


def receipt(by, age_ms=None):
    return Receipt(by.model, by.version, by.target, by.place, "primary", (), 0.25, 0.125, 50.0, record=new_id(), age_ms=age_ms)


@settings(max_examples=200)
@given(st.sampled_from(AUTHORS), NUMBERS, st.integers(1, 40), st.none() | st.text(max_size=5), st.none() | st.integers(1, 1 << 46),
       st.none() | st.just("0190"), st.booleans(), st.none() | st.just(3.0), st.sampled_from([0, 8, 100, FEW_BYTES]))  # fmt: skip
def test_a_row_is_what_its_note_would_become(by, numbers, rows, entity, event_ms, parent, flagged, age_ms, most):
    asked = walk(numbers, rows, (Flag("x", 0, "range", 7.5),) if flagged else (), entity, event_ms, parent)
    outputs, said = {"y": np.full(rows, numbers[3], np.float32)}, receipt(by, age_ms)
    small = SmallRows(ABOUT, most)
    size = small.size(asked)
    assert size == OWN_BYTES + sum(array.nbytes for array in (*asked.checked.arrays.values(), *outputs.values()))
    made = small.made(asked, by, outputs, said, size)
    finite = bool(np.isfinite(np.float32(numbers)).all())
    assert (made is not None) == (finite and not flagged and age_ms is None and size - OWN_BYTES <= most)
    if made is not None:
        note = list(row(Books([], None, ABOUT, None, Metrics())._note(asked, by, outputs, said), 4096))
        assert type(made) is tuple and made[3:] == tuple(note[3:]) and made[0] == note[0]
        assert 0 <= note[1] - made[1] < 60_000 and made[2] == (event_ms or made[1])  # the moment is that of making it
        assert [type(value) for value in made] == [type(value) for value in note]


@pytest.mark.parametrize(
    "about",
    [
        ABOUT._replace(kinds={"x": "image"}), ABOUT._replace(signature=SIGNATURE.edit("x", redact=True)),
        ABOUT._replace(signature=SIGNATURE.edit("y", stays_on_device=True)),
        ABOUT._replace(signature=Signature((TensorSpec("x", "string", ("batch",)),), SIGNATURE.outputs)),
        ABOUT._replace(signature=Signature((TensorSpec("x", "bool", ("batch", 3)),), SIGNATURE.outputs)),
    ],
)  # fmt: skip
def test_what_needs_a_longer_look_is_left_to_the_note(about):
    small, asked = SmallRows(about, FEW_BYTES), walk([0.5] * 4)
    assert small.made(asked, AUTHORS[0], {"y": np.zeros(1, np.float32)}, receipt(AUTHORS[0]), OWN_BYTES + 20) is None


def test_boundaries_and_an_odd_order_are_left_to_the_note():
    small, asked, outputs = SmallRows(ABOUT, FEW_BYTES), walk([0.5] * 4), {"y": np.zeros(1, np.float32)}
    size = small.size(asked)
    assert small.made(asked, AUTHORS[0], {"y": np.zeros(1, ">f4")}, receipt(AUTHORS[0]), size) is None
    asked.tapped = {"features/z": np.zeros(3, np.float32)}
    assert small.size(asked) is None and small.made(asked, AUTHORS[0], outputs, receipt(AUTHORS[0]), None) is None


def test_authors_that_are_equal_or_gone_are_told_apart():
    small, asked, outputs = SmallRows(ABOUT, FEW_BYTES), walk([0.5] * 4), {"y": np.zeros(1, np.float32)}
    for number in range(2000):
        by = AUTHORS[0]._replace(artifact=f"sha256:{number}")
        made = small.made(asked, by, outputs, receipt(by), small.size(asked))
        assert made is not None and made[5] == f"sha256:{number}" and len(small._parts) <= 64


@pytest.mark.parametrize("limit", [4096, 8])
def test_the_books_put_a_row_where_there_is_one_and_records_say_the_same(tmp_path, limit):
    store, kept = RecordStore(tmp_path / "r.sqlite", raw_limit_bytes=limit), []
    put = store._backlog.put
    store._backlog.put = lambda draft, size: kept.append(draft) or put(draft, size)
    books = Books([], 50.0, ABOUT, store, Metrics())
    for rows, first in ((1, 0.5), (1, np.nan), (40, 0.5)):
        books.answered(walk([first] * 3, rows), AUTHORS[0], {"y": np.zeros(rows, np.float32)}, "primary")
    store.close()
    small, odd, large = records(tmp_path / "r.sqlite")
    assert [type(item) is tuple for item in kept] == [limit == 4096, False, False]
    if limit == 4096:
        assert small.inputs == {"x": [[0.5, 0.5, 0.5]], "n": [0]} and odd.inputs["x"] == [[None] * 3] and len(large.inputs["x"]) == 40
    else:
        assert small.inputs["x"]["shape"] == [1, 3] and small.inputs["n"] == [0] and "sha256" in large.outputs["y"]
    assert (small.receipt["reason"], small.name, small.entity, store.written, store.lost) == ("primary", "shop", "ana", 3, 0)


def test_books_whose_records_hold_more_put_no_rows(tmp_path):
    class More(Books):
        more = True

    store = RecordStore(tmp_path / "r.sqlite")
    assert More([], None, ABOUT, store, Metrics())._small.made(
        walk([0.5] * 4), AUTHORS[0], {"y": np.zeros(1, np.float32)}, receipt(AUTHORS[0]), OWN_BYTES + 20
    ) is None  # fmt: skip
    store.close()
