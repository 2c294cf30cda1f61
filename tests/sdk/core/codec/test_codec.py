"""The codec as a whole: steps are data, batches, passing through, names on the way out."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.sdk.core.codec import face
from portside.sdk.core.codec.bpe import BPE
from portside.sdk.core.codec.category import Categories
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.codec.image import Image
from portside.sdk.core.codec.number import Number
from portside.sdk.core.codec.tokens import ROLES
from portside.sdk.core.codec.wordpiece import WordPiece
from portside.sdk.core.errors import EngineError, FormatError, InputError
from portside.sdk.core.signature import Signature, TensorSpec

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##b"]
BYTES = {chr(c): c for c in [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]}
VOCABULARY = {**{token: place for place, token in enumerate([*BYTES, *map(chr, range(256, 324))])}, "ab": 256}
STEPS = {
    "photo": Image(size=(4, 6), fit="contain"),
    "colour": Categories(["red", "blue"], missing=["?"]),
    "age": Number(),
    "text": WordPiece(WORDS, outputs=ROLES, max_length=8, padding=8),
}
PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
WIRE = {"photo": [PIXELS, PIXELS[:, :2]], "colour": ["blue", "?"], "age": ["1", None], "text": ["ab", "a b!"]}


def codes(step: object, values: object) -> list[object]:
    return Codec.of({"f": step}).encode({"f": values})["f"].tolist()  # type: ignore[arg-type]


def test_a_codec_survives_its_json():
    codec = Codec.of(STEPS)
    steps = json.loads(json.dumps(codec.steps))
    again = Codec.from_steps(steps, lambda path: codec.files[path])
    assert again == codec and again.steps == codec.steps and again.files == codec.files
    assert all(path.startswith("codec/") for path in codec.files)


def test_bpe_survives_its_json():
    codec = Codec.of({"t": BPE(VOCABULARY, [("a", "b")])})
    assert Codec.from_steps(codec.steps, codec.files.__getitem__) == codec
    assert codec.encode({"t": "ab"})["input_ids"].tolist() == [[256]]


def test_typed_inputs_pass_through_and_fields_are_described():
    codec = Codec.of(STEPS)
    made = codec.encode({**WIRE, "x": np.ones((2, 3))})
    assert {name: array.shape for name, array in made.items()} == {
        "photo": (2, 4, 6, 3),
        "colour": (2,),
        "age": (2,),
        "input_ids": (2, 8),
        "attention_mask": (2, 8),
        "token_type_ids": (2, 8),
        "x": (2, 3),
    }
    signature = Signature((TensorSpec("x", "f32", ("batch", 3)), TensorSpec("colour", "i32", ("batch",))), ())
    fields = codec.wire_fields(signature)
    assert [(field.name, field.type) for field in fields] == [
        ("photo", "image"),
        ("colour", "category"),
        ("age", "number"),
        ("text", "text"),
        ("x", "tensor"),
    ]
    assert fields[3].inputs == ROLES and fields[1].categories == ("red", "blue") and fields[1].missing and not fields[0].missing
    assert codec.annotate(signature).input("colour").categories == ("red", "blue")


@pytest.mark.parametrize("name", list(STEPS))
def test_a_batch_equals_its_rows(name: str):
    codec = Codec.of({name: STEPS[name]})
    whole = codec.encode({name: WIRE[name]})
    for row, value in enumerate(WIRE[name]):
        single = codec.encode({name: value})
        for key, array in whole.items():
            np.testing.assert_array_equal(single[key], array[row : row + 1])


def test_already_typed_tensors_may_replace_a_wire_field():
    codec = Codec.of({"text": STEPS["text"]})
    typed = codec.encode({"text": "ab"})
    assert codec.encode(typed).keys() == typed.keys()


@pytest.mark.parametrize(
    ("wire", "field"),
    [
        ({}, "colour"),
        ({"colour": ["red"], "age": [1, 2]}, "colour"),
        ({"colour": [], "age": []}, "colour"),
        ({"colour": ["red", 1.5], "age": [1, 2]}, "colour"),
        ({"colour": ["red"], "age": ["1_000"]}, "age"),
        ({"colour": "red", "age": {}}, "age"),
    ],
)
def test_refusals_name_the_field(wire: dict[str, object], field: str):
    with pytest.raises(InputError) as caught:
        Codec.of({"colour": Categories(["red"]), "age": Number()}).encode(wire)
    assert caught.value.field == field


def test_refusals_name_the_row():
    with pytest.raises(InputError) as caught:
        Codec.of({"age": Number()}).encode({"age": [["1", "2"], ["3", "x"]]})
    assert caught.value.row == 1 and "'age', row 1" in str(caught.value)


@pytest.mark.parametrize(
    "step",
    [
        {"kind": "audio", "field": "x"},
        {"kind": "number"},
        {"kind": "number", "field": "x", "options": {"locale": "de"}},
        {"kind": "wordpiece", "field": "x"},
        {"kind": "number", "field": "x", "produces": ["a", "b"]},
        {"kind": "image", "field": "x", "options": {"mode": "CMYK"}},
        {"kind": "image", "field": "x", "options": {"size": [0, 4]}},
        {"kind": "image", "field": "x", "options": {"formats": ["PDF"]}},
        {"kind": "categories", "field": "x", "options": {"values": ["a", "a"]}},
        {"kind": "image", "field": "x", "options": {"layout": "HW"}},
    ],
)
def test_malformed_steps_are_format_errors(step: dict[str, object]):
    with pytest.raises(FormatError):
        Codec.from_steps([step], lambda path: b"")


def test_two_steps_must_not_make_the_same_input():
    with pytest.raises(FormatError):
        Codec.of({"a": STEPS["text"], "b": STEPS["text"]})


def test_categories_leave_as_names():
    signature = Signature((), (TensorSpec("label", "i64", ("batch",), categories=("ok", "bad")), TensorSpec("p", "f32", ("batch",))))
    out = Codec().decode({"label": np.array([1, 0, -1, -2]), "p": np.ones(4)}, signature)
    assert out["label"].tolist() == ["bad", "ok", None, None] and out["p"].tolist() == [1] * 4
    with pytest.raises(EngineError):
        Codec().decode({"label": np.array([2])}, signature)


@given(st.lists(st.text(max_size=8), min_size=1, max_size=12, unique=True), st.randoms())
def test_categories_make_the_round_trip(names: list[str], random: object):
    picked = [random.choice(names) for _ in range(20)]  # type: ignore[attr-defined]
    codec = Codec.of({"c": Categories(names)})
    signature = Signature((), (TensorSpec("c", "i32", ("batch",), categories=tuple(names)),))
    assert codec.decode(codec.encode({"c": picked}), signature)["c"].tolist() == picked  # type: ignore[arg-type]


def test_what_was_sent_behind_a_code():
    codec = Codec.of({"colour": Categories(["red"])})
    assert codec.sent("colour", 1, {"colour": ["red", "pink"]}) == "pink"
    assert codec.sent("colour", 0, {"colour": "pink"}) == "pink"
    assert codec.sent("x", 0, {"x": 3}) is None


def test_only_images_need_pillow():
    code = (
        "import sys; from portside.sdk.core.codec import face; from portside.sdk.core import door, infer; face.WordPiece; face.Number; "
        "assert 'PIL' not in sys.modules; face.Image; assert 'PIL' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_category_values():
    step = Categories(["1", "true", "red"], missing=["", "?"])
    assert codes(step, [1, True, "red", None, float("nan"), "?", "Red", np.int64(1), "red "]) == [0, 1, 2, -1, -1, -1, -2, 0, -2]
    assert codes(step, [["red", "1"], [None, "x"]]) == [[2, 0], [-1, -2]]
    assert Categories([1, True]).values == ("1", "true")


@given(st.lists(st.sampled_from(["red", "1", "true", "?", "blue", np.str_("red"), 1, True, 1.0, None, [], ["red"]]), max_size=3))
def test_a_list_of_names_is_coded_as_any_batch(names: list[object]):
    def coded(values: object) -> object:
        try:
            (made,) = Categories(["1", "true", "red"], missing=["?"]).encode("colour", values)
        except InputError as error:
            return str(error)
        return made.dtype, made.shape, made.tolist()

    assert coded(names) == coded(tuple(names))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("-.5", -0.5),
        ("5.", 5),
        ("+1e-3", 0.001),
        (" 7\n", 7),
        ("Infinity", np.inf),
        ("-inf", -np.inf),
        ("1e999", np.inf),
        (3, 3),
        (2.5, 2.5),
    ],
)
def test_numbers(text: object, number: float):
    assert codes(Number(), [text]) == [number]


@pytest.mark.parametrize("text", ["1_0", "1,5", "٣", "0x10", "1e", ".", "-", "１", "1 2", "ınf", b"1", True, 10**400, "9" * 1001, {}])
def test_what_is_no_number(text: object):
    with pytest.raises(InputError) as caught:
        Number().encode("n", [text])
    assert caught.value.field == "n"


@given(st.floats(allow_nan=False))
def test_numbers_make_the_round_trip_through_text(number: float):
    assert codes(Number(), [repr(number)]) == [number]


def test_the_public_names():
    assert face.Image is Image and face.BPE is BPE and face.WordPiece is WordPiece
    with pytest.raises(AttributeError):
        _ = face.Audio


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2), max_leaves=10
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(STEPS)), JSON)
def test_any_value_is_encoded_or_refused_with_a_field(name: str, value: object):
    try:
        Codec.of({name: STEPS[name]}).encode({name: value})
    except InputError as error:
        assert error.field == name
