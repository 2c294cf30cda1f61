"""Fields by whose values a rollout is judged apart: their texts, the segment of a first step, and what is refused."""

import numpy as np
import pytest

from portside.cloud.arms.slices import MISSING, Fields, Segment, check_rollout
from portside.cloud.deployment.rollout import Rollout
from portside.sdk.core.errors import FormatError
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("line", "i32", ("batch",), categories=("test", "live"), missing=True), TensorSpec("night", "bool", ("batch",)),
     TensorSpec("shop", "i64", ("batch",)), TensorSpec("x", "f32", ("batch", 3)), TensorSpec("age", "f32", ("batch",)),
     TensorSpec("name", "string", ("batch",), redact=True)),
    (TensorSpec("score", "f32", ("batch",), kind="score"),),
)  # fmt: skip
INPUTS = {"line": np.array([0, 1, -1], np.int32), "night": np.array([True, False, True]), "shop": np.array([3, 3, 4])}


def test_a_text_per_row():
    assert Fields(["line", "night", "shop"], SIGNATURE).texts(INPUTS) == {
        "line": ["test", "live", MISSING], "night": ["true", "false", "true"], "shop": ["3", "3", "4"]}  # fmt: skip
    assert Fields(["line", "shop"], SIGNATURE).texts({"shop": np.array([1])}) == {"shop": ["1"]} and not Fields([], SIGNATURE)


@pytest.mark.parametrize(("name", "rows", "holds"), [
    ("line=test", [0], True), ("line=test", [0, 2], False), ("night=true", [0, 2], True), ("night=true", [0, 1], False),
    ("shop=3", [0, 1], True), ("shop=3", [2], False),
])  # fmt: skip
def test_a_request_is_in_a_segment_when_all_its_rows_are(name, rows, holds):
    assert Segment(name, SIGNATURE).holds({key: values[rows] for key, values in INPUTS.items()}) is holds


def test_nothing_is_in_a_segment_without_its_field():
    segment = Segment("shop=3", SIGNATURE)
    assert not segment.holds({}) and not segment.holds({"shop": np.array([], np.int64)})


@pytest.mark.parametrize(("settings", "says"), [
    ({"slices": ["nope"]}, "there is not"), ({"slices": ["x"]}, "one category"), ({"slices": ["age"]}, "one category"),
    ({"slices": ["name"]}, "Records keep nothing"), ({"slices": ["score"]}, "there is not"), ({"first": "line=other"}, "category"),
    ({"first": "age=3"}, "one category"), ({"limits": {"disagreement": 0.1}}, "no output is one"),
])  # fmt: skip
def test_what_the_champion_has_not_is_refused(settings, says):
    with pytest.raises(FormatError, match=rf"deployment.toml line 9.*{says}"):
        check_rollout(Rollout.model_validate({"challenger": "new", **settings}), SIGNATURE, "deployment.toml line 9")


def test_what_it_has_is_not():
    check_rollout(Rollout(challenger="new", slices=["line", "shop"], first="night=false"), SIGNATURE, "deployment.toml")
