"""What a record will hold of a request: traits of what may be looked at, and nothing that would keep the rest of it alive."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.cloud.answering.chain import ModelEntry
from portside.cloud.answering.consistency import NOBODY, Author
from portside.cloud.answering.note import About, Note, NoteAround
from portside.cloud.records.draft import OWN_BYTES, row_bytes, weight
from portside.cloud.records.rows import TEXTS, row, tensors
from portside.cloud.records.tables import COLUMNS
from portside.runtimes.isolation import Lane
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.door_gate import Flag
from portside.sdk.core.records import Receipt, Record, new_id
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("photo", "u8", ("batch", 8, 8, 3)), TensorSpec("words", "string", ("batch",)), TensorSpec("x", "f32", ("batch", 2))),
    (TensorSpec("y", "f32", ("batch",)),),
)
AUTHOR = Author(0, "m", "sha256:p", "onnx-cpu", "sha256:p", "sha256:a", "champion", "model")


class Silent:
    """A session that is never asked."""

    info = None

    def close(self):
        pass


def about(signature=SIGNATURE, traits=True):
    entry = ModelEntry("m", "sha256:p", "fake", "sha256:a", "front", signature, Codec(), Lane(Silent(), threads=0))
    return About.of("shop", "sha256:d", [entry], traits)


def note(of, **more):
    receipt = Receipt("m", "sha256:p", "onnx-cpu", 0, "primary", record=new_id())
    inputs = {"photo": np.full((2, 8, 8, 3), 255, np.uint8), "words": np.array(["a b", "c!"], object), "x": np.ones((2, 2), np.float32)}
    given = {"inputs": inputs, "outputs": {"y": np.zeros(2, np.float32)}, **more}
    return Note(receipt, "ana", None, None, AUTHOR, given.pop("flags", ()), 7, of, **given)


def test_traits_are_taken_where_there_are_some():
    made = note(about())
    assert dict(made.about.kinds) == {"photo": "image", "words": "text"} and not made.about.hides
    found = made.features(4096)["traits"]
    assert found["photo.brightness"] == [1.0, 1.0] and found["words.length"] == [3.0, 2.0]
    assert note(about(traits=False)).features(4096) == {}


def test_what_is_redacted_has_no_traits_and_hides_boundaries():
    hidden = about(SIGNATURE.edit("photo", redact=True))
    made = note(hidden, tapped={"features/z": np.ones((2, 4), np.float32)})
    found = made.features(4096)
    assert not any(name.startswith("photo") for name in found["traits"]) and found["features"] == {"z": {"redacted": True}}
    values = dict(zip(COLUMNS, row(made, 4096), strict=True))
    assert '"photo":{"redacted":true}' in values["inputs"].replace(" ", "") and values["name"] == "shop"


def test_a_flag_says_that_a_hidden_field_was_odd_and_not_how():
    odd = (Flag("words", 1, "unknown", "my illness"), Flag("x", 0, "range", 7.5))
    made = note(about(SIGNATURE.edit("words", redact=True)), flags=odd)
    assert [(flag["field"], flag["why"], flag["value"]) for flag in made.record.flags] == [("words", "unknown", None), ("x", "range", 7.5)]
    assert "illness" not in str(row(made, 4096))
    assert note(about(), flags=odd).record.flags[0]["value"] == "my illness"


@pytest.mark.parametrize("hidden", ["words", "y"])
def test_any_hidden_field_hides_boundaries(hidden):
    made = note(about(SIGNATURE.edit(hidden, stays_on_device=True)), tapped={"model/z": np.ones(2, np.float32)})
    assert made.features(4096)["model"] == {"z": {"redacted": True}}


def test_large_features_are_described():
    made = note(about(traits=False), tapped={"features/z": np.ones((2, 4000), np.float32), "features/small": np.ones(2, np.float32)})
    held = made.features(4096)["features"]
    assert held["z"]["shape"] == [2, 4000] and held["small"] == [1.0, 1.0]


def test_a_note_weighs_what_it_keeps():
    bare = note(about(), inputs={}, outputs={})
    assert weight(bare) == 1024
    assert weight(note(about(), sent={"words": ["a" * 1000, "b" * 500]})) - weight(note(about())) == 1500
    assert weight(note(about(), tapped={"f/z": np.zeros(100, np.float64)})) - weight(note(about())) == 800


def test_a_row_is_made_of_the_values_of_the_record():
    made = note(about(), tapped={"features/z": np.ones((2, 4), np.float32)})
    step = made._replace(parent="0190", event_ms=3, author=NOBODY)
    for one in (made, step):
        assert tuple(one.values()) == COLUMNS and Record(**one.values()) == one.record
        held = dict(zip(COLUMNS, row(one, 4096), strict=True))
        assert all(held[name] == value for name, value in vars(one.record).items() if name not in TEXTS)
    assert (step.record.exposed, step.record.event_ms, made.record.event_ms) == (False, 3, 7)


PLAIN = Signature((TensorSpec("x", "f32", ("batch", 3)), TensorSpec("n", "i64", ("batch",))), (TensorSpec("y", "f32", ("batch",)),))
NUMBERS = st.lists(st.floats(width=32), min_size=3, max_size=3)
DTYPES = st.sampled_from([np.float32, np.float64, np.float16, np.dtype(">f4")])


@settings(max_examples=200)
@given(st.data(), NUMBERS, DTYPES, st.none() | st.text(max_size=5), st.none() | st.integers(1, 1 << 46), st.booleans(), st.booleans(),
       st.none() | st.floats(0, 1e5), st.sampled_from([4096, 4]))  # fmt: skip
def test_the_row_of_a_plain_note_is_that_of_its_values(data, numbers, dtype, entity, event_ms, nobody, step, age_ms, limit):
    """The shorter way against the longer one, which whatever is written around a note takes."""
    author = NOBODY if nobody else AUTHOR
    receipt = Receipt(author.model, author.version, author.target, author.place, "primary", (), data.draw(st.floats(0, 1e6)), 1.25, 50.0,
                      record=new_id(), age_ms=age_ms)  # fmt: skip
    with np.errstate(over="ignore"):
        x = np.array([numbers], dtype)
    inputs = {"x": x, "n": np.array([data.draw(st.integers(-(1 << 31), (1 << 31) - 1))], np.int32)}
    outputs = data.draw(st.sampled_from([{}, {"y": np.array(numbers[:1], np.float32)}, {"y": np.float32(1.5)[()] * np.ones(())}]))
    flags = data.draw(st.sampled_from([(), (Flag("x", 0, "range", 7.5),)]))
    signature = data.draw(st.sampled_from([PLAIN, PLAIN.edit("n", redact=True)]))
    one = Note(receipt, entity, event_ms, "0190" if step else None, author, flags, 7, about(signature), inputs, outputs)
    short, long = (dict(zip(COLUMNS, row(way, limit), strict=True)) for way in (one, NoteAround(one)))
    assert {**short, **{name: json.loads(short[name]) for name in TEXTS}} == {**long, **{name: json.loads(long[name]) for name in TEXTS}}
    assert [type(value) for value in short.values()] == [type(value) for value in long.values()]
    assert (one.columns(tensors, limit) is None) == (bool(flags) or age_ms is not None)


def test_what_a_row_weighs_is_known_where_all_rows_weigh_the_same():
    wide = Signature(
        (TensorSpec("x", "f64", ("batch", 3, 2)), TensorSpec("n", "u8", (2, "batch"), 1)), (TensorSpec("y", "f64", ("batch",)),)
    )
    rows = 5
    inputs = {"x": np.zeros((rows, 3, 2), np.float32), "n": np.zeros((2, rows), np.uint8)}
    size = row_bytes(wide)
    assert size is not None and OWN_BYTES + rows * size == weight(note(about(wide), inputs=inputs, outputs={"y": np.zeros(rows)}))


@pytest.mark.parametrize("spec", [
    TensorSpec("t", "string", ("batch",)), TensorSpec("t", "f32", (3,), None), TensorSpec("t", "f32", ("batch", "length")),
    TensorSpec("t", "f32", (4,), 0),
])  # fmt: skip
def test_elsewhere_it_is_not(spec):
    assert row_bytes(Signature((spec,), PLAIN.outputs)) is None and row_bytes(Signature(PLAIN.inputs, (spec,))) is None


def test_images_of_any_size_are_weighed():
    assert row_bytes(SIGNATURE) is None
