"""What a person is shown of a row: nothing of the model at some levels, pressing first, with a deadline only where a caller waits."""

import numpy as np
import pytest

from portside.cloud.automating.items import CALLER, ItemMaker
from portside.cloud.automation import Dial, decide
from portside.cloud.deployment.review import Review
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.signature import Signature, TensorSpec

INPUTS = (TensorSpec("x", "f32", ("batch", 2)), TensorSpec("name", "string", ("batch",), redact=True))
LABEL, SHARES = TensorSpec("label", "i64", ("batch",), categories=("a", "b", "c")), TensorSpec("shares", "f32", ("batch", 3))
OUTPUTS = {"label": np.array([2]), "shares": np.array([[0.1, 0.3, 0.6]], np.float32)}


def item(level, outputs=OUTPUTS, label=LABEL, draw=0.5, **review):
    signature = Signature(INPUTS, (label, SHARES))
    maker = ItemMaker("tester", signature, Codec().wire_fields(signature), "label", Review(**review))
    route = decide(Dial(level, 0.5, 0.1), 0.6, draw)
    return maker.item("i1", "r1", 0, route, {"x": [[1.0, 2.0]], "name": ["ana"]}, outputs, "sha256:1", "e1", 1000)


def test_a_proposal_has_the_likeliest_first():
    held = item("assist")
    assert [(one.shown, one.probability and round(one.probability, 2)) for one in held.candidates] == [("c", 0.6), ("b", 0.3), ("a", 0.1)]
    assert held.payload == {"x": [1.0, 2.0]} and (held.entity, held.package, held.created_ms) == ("e1", "sha256:1", 1000)


@pytest.mark.parametrize(("level", "outputs"), [("shadow", OUTPUTS), ("human", {})])
def test_who_is_to_decide_alone_sees_nothing_of_the_model(level, outputs):
    assert [(one.value, one.probability) for one in item(level, outputs).candidates] == [(0, None), (1, None), (2, None)]


def test_of_many_categories_a_blind_item_gives_none_to_pick_from():
    many = TensorSpec("label", "i64", ("batch",), categories=tuple("abcdefghijkl"))
    assert item("human", {}, many).candidates == ()


def test_a_caller_that_waits_comes_before_every_check():
    waits, check = item("assist"), item("full", draw=0.01)
    assert (check.reason, check.selection) == ("check", 0.1) and waits.priority > CALLER >= check.priority
    assert item("assist", deadline_s=2.0).deadline_ms == 3000 and item("full", draw=0.01, deadline_s=2.0).deadline_ms is None
