"""The forms of a request without a parser: which library reads JSON, and writes it, is whoever asks's."""

from __future__ import annotations

import json

import numpy as np
import pytest

from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.errors import InputError
from portside.sdk.core.signature import Signature, TensorSpec
from portside.sdk.core.wire import Part, WireForms

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 2)), TensorSpec("scale", "f32", (), None)),
                      (TensorSpec("y", "f32", ("batch",), kind="value"), TensorSpec("mean", "f32", (), None, kind="value")))  # fmt: skip
OUTPUTS = {"y": np.array([1, 2], np.float32), "mean": np.array(1.5, np.float32)}


@pytest.fixture
def forms():
    return WireForms(Codec().wire_fields(SIGNATURE), SIGNATURE, json.loads, lambda array: np.asarray(array).tolist())


def test_three_forms_are_one_batch_and_are_answered_in_kind(forms):
    rows = forms.read({"rows": [{"x": [1, 2], "scale": 3}, {"x": [4, 5], "scale": 3}], "entity": "a", "event_ms": 7})
    assert rows == ({"x": [[1, 2], [4, 5]], "scale": 3}, "rows", "a", 7)
    assert forms.read({"inputs": {"x": [[1, 2]], "scale": 3}}) == ({"x": [[1, 2]], "scale": 3}, "inputs", None, None)
    assert forms.read({"row": {"x": [1, 2], "scale": 3}}).wire == {"x": [[1, 2]], "scale": 3}
    assert forms.read_parts([Part("x", None, b"[1, 2]"), Part("scale", None, b"3")]).wire == {"x": [[1, 2]], "scale": 3}
    assert forms.write(OUTPUTS, "inputs") == {"y": [1, 2], "mean": 1.5}
    assert forms.write(OUTPUTS, "rows") == [{"y": 1, "mean": 1.5}, {"y": 2, "mean": 1.5}]
    assert forms.write({"y": OUTPUTS["y"][:1], "mean": OUTPUTS["mean"]}, "row") == {"y": 1, "mean": 1.5}


@pytest.mark.parametrize("said", [[], {}, {"row": {}, "rows": []}, {"row": {"z": 1}}, {"row": {"x": [1, 2]}, "entity": 5},
                                  {"row": {"x": [1, 2]}, "entity": "a\0"},
                                  {"rows": [{"x": [1, 2], "scale": 1}, {"x": [1, 2], "scale": 2}]}, {"rows": [{"x": 1}, {}]}])  # fmt: skip
def test_what_is_no_form_names_the_field(forms, said):
    with pytest.raises(InputError) as caught:
        forms.read(said)
    assert caught.value.field
