"""Labels as values: what they say, which one counts, what an output can hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.errors import FormatError, InputError
from portside.sdk.core.labels import Label, checked, newest
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((), (
    TensorSpec("label", "i64", ("batch",), categories=("no", "yes"), missing=True), TensorSpec("price", "f32", ("batch",)),
    TensorSpec("box", "f32", ("batch", 4)), TensorSpec("count", "u8", ("batch",)), TensorSpec("fine", "bool", ("batch",)),
    TensorSpec("words", "string", ("batch", "n")), TensorSpec("name", "string", ("batch",), redact=True),
))  # fmt: skip


def said(**values):
    return Label("1", "r", 0, values, "ana", 5)


@pytest.mark.parametrize(("given", "kept"), [
    ({"label": "yes"}, {"label": 1}), ({"label": 0}, {"label": 0}), ({"label": -1}, {"label": -1}),
    ({"label": np.int64(1)}, {"label": 1}),
    ({"price": 3}, {"price": 3.0}), ({"box": np.ones(4, np.float32)}, {"box": [1.0] * 4}), ({"count": 255}, {"count": 255}),
    ({"fine": True}, {"fine": True}), ({"fine": 0}, {"fine": False}), ({"words": ["a"]}, {"words": ["a"]}),
    ({"price": None}, {"price": None}),
], ids=str)  # fmt: skip
def test_what_an_output_holds(given, kept):
    label = checked(said(**given), SIGNATURE)
    assert dict(label.values) == kept and checked(label, SIGNATURE) == label


@pytest.mark.parametrize(("values", "match"), [
    ({"label": "maybe"}, "no such category"), ({"label": 2}, "no such category"), ({"label": -2}, "no such category"),
    ({"label": [1]}, "one value"), ({"box": [1, 2, 3]}, "another shape"), ({"box": 1.0}, "another shape"),
    ({"box": "1111"}, "another shape"),
    ({"count": 256}, "cannot hold"), ({"count": 0.5}, "cannot hold"), ({"count": float("inf")}, "cannot hold"),
    ({"price": "3"}, "is a number"),
    ({"price": float("nan")}, "never missing"), ({"words": [3]}, "is text"), ({"name": "ana"}, "keep no value"), ({"lable": 1}, "'label'"),
], ids=str)  # fmt: skip
def test_what_it_does_not_hold(values, match):
    with pytest.raises(InputError, match=match):
        checked(said(**values), SIGNATURE)


@pytest.mark.parametrize("wrong", [{"id": ""}, {"record": ""}, {"row": -1}, {"author": ""}, {"values": {}}, {"source": "rumour"}], ids=str)
def test_a_label_says_who_what_and_of_which_row(wrong):
    with pytest.raises(InputError):
        Label(**{"id": "1", "record": "r", "values": {"label": 1}, "author": "ana", **wrong})


def test_labels_travel_as_json():
    label = said(label=1)
    assert Label.from_dict({**label.to_dict(), "of a later version": 1}) == label
    with pytest.raises(FormatError):
        Label.from_dict({"id": "1"})


labels = st.builds(Label, st.uuids().map(str), st.sampled_from("ab"), st.integers(0, 1), st.just({"y": 1}), st.just("ana"),
                   st.integers(0, 3))  # fmt: skip


@given(st.lists(labels, max_size=8), st.lists(labels, max_size=8), st.randoms())
def test_which_label_counts_does_not_depend_on_order_or_batches(some, more, random):
    mixed = [*some, *more]
    random.shuffle(mixed)
    assert newest(mixed) == newest([*some, *more]) == newest([*newest(some).values(), *newest(more).values()])
