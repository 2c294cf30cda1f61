"""The session that every runtime shares: names, plans, taps, doors, codec."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.runtimes.base import Cancel, SessionInfo
from portside.runtimes.session import ProgramSession, plan
from portside.sdk.core.errors import EngineError, FormatError, InputError
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("x", "f64", ("batch", 2)),),
    (TensorSpec("z", "f16", ("batch", 2), kind="value"), TensorSpec("a", "i64", ("batch",), kind="decision")),
)


class Step:
    """A segment that computes with a function, and remembers what it was asked for."""

    def __init__(self, inputs, outputs, function):
        self.inputs, self.outputs, self.function = tuple(inputs), tuple(outputs), function
        self.asked, self.closed = [], False

    def run(self, names, feeds, cancel):
        if cancel is not None and cancel.cancelled:
            raise EngineError("cancelled", reason="cancelled")
        self.asked.append((list(names), sorted(feeds)))
        made = self.function(**feeds)
        return [made[name] for name in names]

    def close(self):
        self.closed = True


def double(x):
    return {"features": x * 2, "unused": x}


def decide(features):
    return {"a": features.argmax(1).astype(np.int32), "z": features}


def session_of(segments, signature=SIGNATURE, **options):
    info = SessionInfo(signature, "test", "sha256:0", True, True, True)
    return ProgramSession(info, segments, **options)


@pytest.fixture
def two():
    return [Step(["x"], ["unused", "features"], double), Step(["features"], ["a", "z"], decide)]


def test_outputs_have_the_signatures_order_and_dtypes(two):
    outputs = session_of(two).run({"x": [[1, 2]]})
    assert list(outputs) == ["z", "a"]
    assert [value.dtype for value in outputs.values()] == [np.float16, np.int64]


def test_segments_are_asked_only_for_what_is_needed(two):
    session_of(two).run({"x": [[1, 2]]})
    assert two[0].asked == [(["features"], ["x"])]
    assert two[1].asked[0][1] == ["features"]


def test_a_segment_that_nothing_needs_is_left_out(two):
    idle = Step(["x"], ["other"], double)
    session_of([idle, *two]).run({"x": [[1, 2]]})
    assert idle.asked == []


def test_a_value_that_nobody_makes_is_refused(two):
    with pytest.raises(FormatError, match="features"):
        session_of(two[1:])


def test_taps_come_beside_the_outputs(two):
    session = session_of(two, taps={"features": ["features"], "input": ["x"]})
    outputs, inner = session.run_tapped({"x": [[1, 2]]}, ["features", "input"])
    assert list(outputs) == ["z", "a"]
    assert inner["features"].tolist() == [[2, 4]]
    assert inner["x"].tolist() == [[1, 2]]


def test_an_unknown_tap_names_those_there_are(two):
    with pytest.raises(FormatError, match="features"):
        session_of(two, taps={"features": ["features"]}).run_tapped({"x": [[1, 2]]}, ["model"])


def test_the_door_is_in_front_unless_it_was_passed(two):
    with pytest.raises(InputError) as caught:
        session_of(two).run({"x": [[1, 2, 3]]})
    assert caught.value.field == "x"
    array = np.ones((1, 3), np.float32)
    assert session_of(two, door=False).run({"x": array})["z"].shape == (1, 3)


def test_without_a_door_a_missing_input_is_still_named(two):
    with pytest.raises(InputError) as caught:
        session_of(two, door=False).run({"y": np.ones((1, 2), np.float32)})
    assert caught.value.field == "x"


def test_a_bare_value_goes_to_the_only_field(two):
    assert session_of(two).predict(np.ones((2, 2)))["a"].tolist() == [0, 0]


def test_a_bare_value_for_several_inputs_is_refused():
    signature = Signature((TensorSpec("x", "f32", ("batch",)), TensorSpec("y", "f32", ("batch",))), (TensorSpec("z", "f32", ("batch",)),))
    session = session_of([Step(["x", "y"], ["z"], lambda x, y: {"z": x + y})], signature)
    with pytest.raises(InputError, match="x, y"):
        session.predict(np.ones(2))


@pytest.mark.parametrize("nothing", [(), (None,), ({},)])
def test_nothing_is_refused_with_the_names_of_all_fields(nothing):
    signature = Signature((TensorSpec("x", "f32", ("batch",)), TensorSpec("y", "f32", ("batch",))), (TensorSpec("z", "f32", ("batch",)),))
    session = session_of([Step(["x", "y"], ["z"], lambda x, y: {"z": x + y})], signature)
    with pytest.raises(InputError) as caught:
        session.predict(*nothing)
    assert (caught.value.field, caught.value.got, caught.value.expected) == ("x", "nothing", "x, y")
    assert caught.value.fix == "Pass a batch per field: predict({'x': [...], 'y': [...]})."


def test_nothing_is_enough_where_every_input_has_a_default(two):
    signature = SIGNATURE.edit("x", required=False, default=1.0)
    assert session_of(two, signature).predict()["a"].tolist() == [0]


def test_a_session_shows_what_it_takes_and_gives(two):
    assert repr(session_of(two)) == "<Session on test of package sha256:0: x f64 (batch, 2) -> z, a>"


def test_categories_leave_predict_as_names(two):
    signature = SIGNATURE.edit("a", categories=("left", "right"))
    assert session_of(two, signature).predict({"x": [[1, 2], [2, 1]]})["a"].tolist() == ["right", "left"]


def test_closing_closes_the_segments_once_and_for_all(two):
    session = session_of(two)
    session.close()
    assert all(step.closed for step in two)
    with pytest.raises(EngineError) as caught:
        session.predict({"x": [[1, 2]]})
    assert caught.value.reason == "closed"


def test_a_dropped_session_is_freed_without_the_garbage_collector(two):
    gc.disable()
    try:
        session = session_of(two)
        session.predict({"x": [[1, 2]]})
        ghost = weakref.ref(session)
        del session
        assert ghost() is None
    finally:
        gc.enable()


def test_cancel_reaches_every_segment(two):
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(EngineError) as caught:
        session_of(two).run({"x": [[1, 2]]}, cancel)
    assert caught.value.reason == "cancelled"


@given(st.permutations(["a", "b", "c", "d"]), st.sets(st.sampled_from(["a", "b", "c", "d"]), min_size=1))
def test_a_plan_makes_each_wanted_value_once_and_after_what_it_reads(order, wanted):
    steps = [Step([before], [name], None) for before, name in zip(["x", *order], order, strict=False)]
    made = [name for _, _, writes in plan(steps, sorted(wanted), ["x"]) for name in writes]
    last = max(order.index(name) for name in wanted)
    assert made == order[: last + 1]
