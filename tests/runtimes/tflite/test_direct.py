"""The direct way answers as the general one, bit by bit and refusal by refusal; what leaves is the caller's, and views stay inside."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portside.runtimes.base import Cancel
from portside.runtimes.session import ProgramSession, describe
from portside.runtimes.tflite import interpreter as module
from portside.runtimes.tflite.interpreter import TfliteEngine
from portside.runtimes.tflite.plan import Plan, Slot
from portside.sdk.core.codec.category import Categories
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.codec.number import Number
from portside.sdk.core.errors import EngineError, InputError, PortsideError
from portside.sdk.core.signature import NUMPY, Signature, TensorSpec

sys.path.insert(0, str(Path(__file__).parent))
from tflite_files import Graph, Operator, Tensor, file_of

BATCHES = (1, 3, 40)
H, W = 4, 5
SPECS = (
    TensorSpec("pair", "f32", ("batch", 2)),
    TensorSpec("wide", "f64", ("batch", 3), range=(-2.0, 7.5), on_range="reject"),
    TensorSpec("gaps", "f32", ("batch",), missing=True, range=(0.0, 9.0)),
    TensorSpec("moved", "f64", ("batch",), range=(0.0, 1.0), on_range="clamp"),
    TensorSpec("open", "f64", ("batch",), on_range="reject"),
    TensorSpec("colour", "i32", ("batch",), categories=("red", "green", "blue"), missing=True),
    TensorSpec("shade", "i64", ("batch",), categories=("light", "dark"), on_unknown="reject"),
    TensorSpec("count", "i64", ("batch",), range=(0, 5), on_range="reject"),
    TensorSpec("any", "i32", ("batch",), range=(0, 5)),
    TensorSpec("on", "bool", ("batch",)),
    TensorSpec("photo", "u8", ("batch", "photo_height", "photo_width", 1), canvas=(H, W)),
)  # fmt: skip
"""One of each rule that a door has. The program gives every input back as it stands in the interpreter's memory."""
SIZE = "photo_size"
STEPS = {"tint": ("colour", Categories(["red", "green", "blue"], missing=["?"])), "shade": ("shade", Categories(["light", "dark"])),
         "gaps": ("gaps", Number()), "moved": ("moved", Number())}  # fmt: skip


def direct(session, inputs):
    """What the direct way alone makes of a call; None: it declines."""
    assert session._direct is not None
    return session._direct(inputs)


def tensors(rows):
    made = [Tensor(spec.name, spec.rim_dtype, (rows, *(size for size in spec.shape[1:]))) for spec in SPECS if spec.canvas is None]
    return [*made, Tensor("photo", "u8", (rows, H, W, 1)), Tensor(SIZE, "i32", (rows, 2)), Tensor("twice", "f32", (rows, 2))]


def signature_of(specs=SPECS):
    given_back = [TensorSpec(f"{spec.name}_back", spec.dtype, spec.shape, kind="value") for spec in specs if spec.canvas is None]
    rest = (("photo_back", "u8", ("batch", H, W, 1)), ("size_back", "i32", ("batch", 2)), ("twice", "f64", ("batch", 2)))
    return Signature(tuple(specs), (*given_back, *(TensorSpec(*one, kind="value") for one in rest)))


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """(file, plan) of a program that answers with its inputs."""
    folder = tmp_path_factory.mktemp("direct")
    add = Operator("ADD", ("pair", "pair"), ("twice",), schema.AddOptionsT())
    names = [tensor.name for tensor in tensors(1)[:-1]]
    back = {("size_back" if name == SIZE else f"{name}_back"): name for name in names}
    graphs = [Graph(tensors(rows), [add], names, {**back, "twice": "twice"}, [f"batch{rows}"]) for rows in BATCHES]
    (folder / "made.tflite").write_bytes(file_of(graphs))
    inputs = tuple(Slot(one.name, one.name, one.dtype, ("batch", *one.shape[1:])) for one in tensors(1)[:-1])
    outputs = tuple(Slot("size_back" if one.name == SIZE else f"{one.name}_back", "size_back" if one.name == SIZE else f"{one.name}_back",
                         one.dtype, ("batch", *one.shape[1:])) for one in tensors(1)[:-1])  # fmt: skip
    plan = Plan(
        inputs, (*outputs, Slot("twice", "twice", "f32", ("batch", 2))), {f"batch{rows}": {"batch": rows} for rows in BATCHES}, "batch"
    )
    return folder / "made.tflite", plan


def session_of(opened, signature=None, codec=None, **options):
    info = describe(signature or signature_of(), "tflite", "sha256:" + "0" * 64, batch_invariant=True, host=False, cancellable=False)
    steps = codec.steps if codec is not None else ()
    return ProgramSession(info, [TfliteEngine(*opened)], codec=steps, read=lambda path: b"", **options)


def codec_of():
    made = Codec.of({field: step for field, (_, step) in STEPS.items()})
    return Codec.from_steps([{**data, "produces": [STEPS[data["field"]][0]]} for data in made.steps], lambda path: b"")


def general(session):
    """The same session without its direct ways."""
    session._direct, session._wired, session._asked = None, None, True
    return session


def usual(rows, seed=0):
    """Arrays of the program's own dtypes and shapes, within all ranges."""
    rng = np.random.default_rng(seed)
    made = {
        "pair": rng.normal(size=(rows, 2)), "wide": rng.uniform(-2, 7, (rows, 3)), "gaps": rng.uniform(0, 9, rows),
        "moved": rng.uniform(0, 1, rows), "open": rng.normal(size=rows), "colour": rng.integers(-1, 3, rows),
        "shade": rng.integers(0, 2, rows), "count": rng.integers(0, 6, rows), "any": rng.integers(0, 6, rows),
        "on": rng.integers(0, 2, rows), "photo": rng.integers(0, 256, (rows, H, W, 1)),
    }  # fmt: skip
    return {spec.name: made[spec.name].astype(NUMPY[spec.rim_dtype]) for spec in SPECS}


def wire(rows, seed=0):
    """The same as a caller has it."""
    made = usual(rows, seed)
    named = {"tint": [["red", "green", "blue", "?"][code] for code in made.pop("colour")],
             "shade": [["light", "dark"][code] for code in made["shade"]]}  # fmt: skip
    return {**made, **named, "gaps": made["gaps"].tolist(), "moved": made["moved"].tolist(), "pair": made["pair"].tolist()}


def warm(session, call="run", make=usual):
    """Every signature once, the general way: its memory is known to stay."""
    for rows in BATCHES:
        getattr(session, call)(make(rows))
    return session


@pytest.fixture(scope="module")
def both(opened):
    return warm(session_of(opened)), general(session_of(opened))


@pytest.fixture(scope="module")
def both_from_the_wire(opened):
    return warm(session_of(opened, codec=codec_of()), "predict", wire), general(session_of(opened, codec=codec_of()))


def outcome(call):
    """What came out, down to bits, flags and words."""
    try:
        made = call()
    except PortsideError as error:
        return type(error).__name__, str(error)
    return [(name, value.dtype, value.shape, value.tobytes(), value.flags.carray, value.flags.owndata) for name, value in made.items()]


@pytest.mark.parametrize("rows", BATCHES)
def test_what_is_usual_goes_the_direct_way(both, rows):
    session, slow = both
    given = usual(rows, 7)
    made = session._direct(given)
    assert made is not None
    assert outcome(lambda: made) == outcome(lambda: slow.run(given))
    for spec in SPECS:
        np.testing.assert_array_equal(made[f"{spec.name}_back"], given[spec.name])
    assert made["size_back"].tolist() == [[H, W]] * rows


@pytest.mark.parametrize("rows", BATCHES)
def test_what_is_usual_on_the_wire_goes_the_direct_way(both_from_the_wire, rows):
    session, slow = both_from_the_wire
    given = wire(rows, 7)
    made = session._wired(given)
    assert made is not None
    assert outcome(lambda: made) == outcome(lambda: slow.predict(given))


@pytest.mark.parametrize(
    ("name", "value"), [("pair", [[1.5, 2], [3, 4.25], [-0.0, 1e-42]]), ("gaps", [1, 2.5, 9.0]), ("open", [3.4e38, 0, -1])]
)
def test_lists_of_numbers_go_the_direct_way_too(both, name, value):
    session, slow = both
    given = {**usual(3), name: value}
    assert session._direct(given) is not None
    assert outcome(lambda: session.run(given)) == outcome(lambda: slow.run(given))


@pytest.mark.parametrize("rows", [1, 3])
def test_arrays_in_the_signatures_own_dtypes_go_the_direct_way_too(both, rows):
    session, slow = both
    own = {"f": np.float64, "i": np.int64}
    given = {name: value.astype(own.get(value.dtype.kind, value.dtype)) for name, value in usual(rows, 3).items()}
    given["open"] = given["open"] * 1e9 / 3  # what narrowing rounds
    assert session._direct(given) is not None
    assert outcome(lambda: session.run(given)) == outcome(lambda: slow.run(given))


FLOATS = [0.0, -0.0, 1.0, 7.5, 7.500000001, 9.0, 1e-42, -2.0, -2.1, 3.5e38, 1e300, np.nan, np.inf, -np.inf]
INTEGERS = [0, 1, 2, 3, 5, 6, -1, -2, -3, 2**31, -(2**31), 2**40]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("rows", BATCHES)
@pytest.mark.parametrize("name", [spec.name for spec in SPECS if spec.rim_dtype in ("f32", "i32")])
def test_every_odd_value_of_every_field_in_every_form(both, name, rows):
    session, slow = both
    rim = usual(1)[name].dtype
    for value in FLOATS if rim.kind == "f" else INTEGERS:
        given = usual(rows)
        wide = given[name].astype(np.float64 if rim.kind == "f" else np.int64)
        wide.flat[-1] = value
        with np.errstate(over="ignore"):
            forms = [wide, wide.astype(rim), wide.tolist()]
        for form in forms:
            inputs = {**given, name: form}
            assert outcome(lambda inputs=inputs: session.run(inputs)) == outcome(lambda inputs=inputs: slow.run(inputs))


class Own(np.ndarray):
    """A subclass, which has the right dtype and shape."""


@st.composite
def arrays(draw, shape):
    """Arrays of any dtype, layout and class, most of the shape that they should have."""
    shape = list(draw(st.sampled_from([shape] * 6 + [(*shape, 1), shape[1:], (0, *shape[1:]), (shape[0] + 1, *shape[1:])])))
    dtype = draw(st.sampled_from(["<f4", "<f4", "<f4", "<i4", "<i4", "<f8", "<i8", ">f4", ">i4", "<f2", "|u1", "|b1", "|i1", "|O", "<c8"]))
    pool = FLOATS if np.dtype(dtype).kind in "fcO" else INTEGERS if dtype != "|b1" else [True, False]
    few = st.sampled_from(pool[:4]) if draw(st.booleans()) else st.sampled_from(pool)
    size = int(np.prod(shape, dtype=int))
    with np.errstate(all="ignore"):
        first = np.bool_ if dtype == "|b1" else np.int64 if pool is INTEGERS else np.float64
        made = np.array(draw(st.lists(few, min_size=size, max_size=size)), first).reshape(shape).astype(dtype)
    layout = draw(st.sampled_from(["plain"] * 4 + ["fortran", "backwards", "every second", "frozen", "own", "masked"]))
    if layout == "fortran":
        return np.asfortranarray(made)
    if layout == "backwards" and made.ndim:
        return made[::-1].copy()[::-1]
    if layout == "every second":
        return np.repeat(made, 2, axis=-1)[..., ::2] if made.ndim else made
    if layout == "frozen":
        made.flags.writeable = False
    return made.view(Own) if layout == "own" else np.ma.masked_array(made) if layout == "masked" else made


def cells(*more):
    return st.sampled_from(
        [*FLOATS, *INTEGERS, *more, None, True, "1", "red", "nan", 10**400, np.float32(1), np.int64(2), [1], "?", "light", "dark"]
    )


@st.composite
def values(draw, shape):
    """An array, a list, or something that is neither."""
    kind = draw(st.sampled_from(["array"] * 5 + ["list", "cells", "other"]))
    if kind == "array":
        return draw(arrays(shape))
    if kind == "list":
        return draw(arrays(shape)).tolist()
    if kind == "cells":
        row = draw(st.lists(cells(), min_size=shape[0], max_size=shape[0]))
        return row if len(shape) == 1 else [draw(st.lists(cells(), min_size=shape[1], max_size=shape[1])) for _ in row]
    return draw(st.sampled_from([None, 1.0, "red", (), [], {}, object, (1.0,) * shape[0], [[1.0]] * shape[0], range(shape[0])]))


def images(rows):
    fitting = [(rows, H, W, 1)] * 3 + [(rows, 2, 3, 1), (rows, H, 1, 1)]
    others = [(rows, H + 1, W, 1), (rows, 0, W, 1), (rows, 2, 3, 2), (rows, 2, 3), (rows + 1, 2, 3, 1), (2, 3, 1)]
    shapes = st.sampled_from(fitting + others)
    random = st.integers(0, 9)
    dtypes = st.sampled_from(["|u1", "|u1", "|u1", "<i4", "<f4"])
    batches = st.builds(
        lambda shape, seed, dtype: np.random.default_rng(seed).integers(0, 256, shape).astype(dtype), shapes, random, dtypes
    )
    each = st.lists(st.sampled_from([np.ones((2, 3, 1), np.uint8), np.ones((H, W, 1), np.uint8), np.ones((9, 9, 1), np.uint8)]),
                    min_size=rows, max_size=rows)  # fmt: skip
    return st.one_of(batches, batches, each)


@st.composite
def calls(draw, make):
    """A usual call with up to three fields that are something else, absent or too many."""
    rows = draw(st.sampled_from([1, 1, 3, 3, 2, 40, 5]))
    given = make(rows, draw(st.integers(0, 99)))
    shapes = {spec.name: (rows, *(size for size in spec.shape[1:])) for spec in SPECS if spec.canvas is None}
    for name in draw(st.lists(st.sampled_from([*given]), max_size=3, unique=True)):
        given[name] = draw(images(rows) if name == "photo" else values(shapes[STEPS[name][0] if name in STEPS else name]))
    if draw(st.integers(0, 9)) == 0:
        del given[draw(st.sampled_from([*given]))]
    if draw(st.integers(0, 9)) == 0:
        given[draw(st.sampled_from(["typo", SIZE, "colour"]))] = np.zeros((rows, 2), np.int32)
    order = draw(st.permutations([*given]))
    return {name: given[name] for name in order}


MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@MANY
@given(calls(usual))
def test_any_call_is_answered_as_the_general_way_answers_it(both, inputs):
    session, slow = both
    assert outcome(lambda: session.run(inputs)) == outcome(lambda: slow.run(inputs))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@MANY
@given(calls(wire))
def test_any_call_from_the_wire_is_answered_as_the_general_way_answers_it(both_from_the_wire, inputs):
    session, slow = both_from_the_wire
    assert outcome(lambda: session.predict(inputs)) == outcome(lambda: slow.predict(inputs))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@MANY
@given(calls(usual))
def test_without_a_door_too(opened, both_without_door, inputs):
    session, slow = both_without_door
    rows = len(inputs["photo"]) if "photo" in inputs and hasattr(inputs["photo"], "__len__") else 1
    inputs = {**inputs, SIZE: np.full((rows, 2), 3, np.int32)}
    if any(not isinstance(value, np.ndarray) or value.dtype.kind == "O" for value in inputs.values()):
        return  # typed arrays are what a caller promises who has passed a door
    assert outcome(lambda: session.run(inputs)) == outcome(lambda: slow.run(inputs))


@pytest.fixture(scope="module")
def both_without_door(opened):
    def make(rows):
        return {**usual(rows), SIZE: np.full((rows, 2), 2, np.int32)}

    session = warm(session_of(opened, door=False), make=make)
    assert direct(session, make(3)) is not None
    return session, general(session_of(opened, door=False))


@pytest.mark.parametrize("kind", [MappingProxyType, lambda given: type("Own", (dict,), {})(given)])
def test_other_mappings_are_answered_the_general_way(both, kind):
    session, slow = both
    given = kind(usual(1))
    assert isinstance(given, Mapping)
    assert session._direct(given) is None
    assert outcome(lambda: session.run(given)) == outcome(lambda: slow.run(given))


def test_what_leaves_is_the_callers_own(both):
    session, _ = both
    given = usual(3)
    first = session.run(given)
    kept = {name: value.copy() for name, value in first.items()}
    for value in first.values():
        assert value.base is None
        value[...] = 0
    again = session.run(given)
    for name, value in again.items():
        np.testing.assert_array_equal(value, kept[name])
        assert not np.shares_memory(value, first[name])


def test_what_comes_in_is_left_alone_and_not_kept(both):
    session, _ = both
    given = usual(3)
    before = {name: value.tobytes() for name, value in given.items()}
    made = session.run(given)
    assert {name: value.tobytes() for name, value in given.items()} == before
    given["pair"][...] = 99
    assert made["pair_back"].tobytes() == before["pair"]


@pytest.mark.parametrize("most", [1, 8])
@pytest.mark.parametrize("call", ["run", "predict"])
def test_threads_get_their_own_answers(opened, monkeypatch, most, call):
    monkeypatch.setattr(module, "POOL_LIMIT", most)
    monkeypatch.setattr(module, "cores", lambda: 8)
    make = usual if call == "run" else wire
    session, slow = session_of(opened, codec=codec_of()), general(session_of(opened, codec=codec_of()))
    session = warm(session, call, make)
    asked = [make(BATCHES[place % 3], place) for place in range(200)]
    wanted = [outcome(lambda given=given: getattr(slow, call)(given)) for given in asked]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            got = pool.map(lambda given: outcome(lambda: getattr(session, call)(given)), asked)
            assert list(got) == wanted
    assert 1 <= len(session._segments[0]._pool.free) <= most


def test_a_closed_session_refuses_whatever_was_under_way(opened):
    session = warm(session_of(opened))
    given, stop, wrong = usual(1), threading.Event(), []

    def call():
        while not stop.is_set():
            closed = session._closed
            found = outcome(lambda: session.run(given))
            if found[0] == "EngineError":
                if "closed" not in found[1]:
                    wrong.append(found)
                return
            if closed:
                wrong.append("an answer of a closed session")

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    session.close()
    for thread in threads:
        thread.join(30)
    stop.set()
    assert wrong == []
    assert not session._segments[0]._pool.free
    with pytest.raises(EngineError) as caught:
        session.run(given)
    assert caught.value.reason == "closed"


def test_a_cancelled_call_does_not_start_and_another_is_answered(both, both_from_the_wire):
    for call, sent in ((both[0].run, usual(1)), (both_from_the_wire[0].predict, wire(1))):
        cancel = Cancel()
        assert call(sent, cancel)
        cancel.cancel()
        with pytest.raises(EngineError) as caught:
            call(sent, cancel)
        assert caught.value.reason == "cancelled"


def test_closing_frees_the_interpreters_and_dropping_frees_the_session(opened):
    gc.disable()
    try:
        session = warm(session_of(opened, codec=codec_of()), "predict", wire)
        session.predict(wire(1))
        (held,) = session._segments[0]._pool.free
        ghosts = [weakref.ref(held), weakref.ref(session)]
        assert held.ways
        del held
        session.close()
        assert ghosts[0]() is None
        del session
        assert ghosts[1]() is None
    finally:
        gc.enable()


def test_what_the_interpreter_refuses_is_wrapped_alike_and_the_session_goes_on(tmp_path):
    tensors = [Tensor("table", "f32", (3,), np.arange(3, dtype=np.float32)), Tensor("place", "i32", (2,)), Tensor("found", "f32", (2,))]
    gather = Operator("GATHER", ("table", "place"), ("found",), schema.GatherOptionsT())
    (tmp_path / "made.tflite").write_bytes(file_of([Graph(tensors, [gather], ["place"], {"found": "found"}, ["one"])]))
    plan = Plan((Slot("place", "place", "i32", (2,)),), (Slot("found", "found", "f32", (2,)),), {"one": {}})
    signature = Signature((TensorSpec("place", "i32", (2,), None),), (TensorSpec("found", "f32", (2,), None, kind="value"),))
    session, slow = (session_of((tmp_path / "made.tflite", plan), signature) for _ in range(2))
    right, wrong = {"place": np.array([2, 0], np.int32)}, {"place": np.array([2, 9], np.int32)}
    session.run(right)
    assert direct(session, right) is not None
    for _ in range(2):  # what the interpreter says grows from one refusal to the next
        assert outcome(lambda: direct(session, wrong)) == outcome(lambda: general(slow).run(wrong))
    assert "gather index out of bounds" in outcome(lambda: session.run(wrong))[1]
    assert session.run(right)["found"].tolist() == [2.0, 0.0]


def test_outputs_with_names_are_named_the_general_way(opened):
    signature = signature_of().edit("colour_back", categories=("red", "green", "blue"))
    session = session_of(opened, signature, codec=codec_of())
    for _ in range(3):
        assert session.predict({**wire(1), "tint": ["green"]})["colour_back"].tolist() == ["green"]


def test_a_field_that_is_read_twice_has_no_direct_way_from_the_wire(opened):
    steps = [(data, "gaps") for data in codec_of().steps if data["field"] in ("gaps", "moved")]
    twice = Codec.from_steps([{**data, "field": field, "produces": data["produces"]} for data, field in steps], lambda path: b"")
    session = session_of(opened, codec=twice)
    sent = usual(1)
    del sent["moved"]
    assert session.predict({**sent, "gaps": [0.5]})["moved_back"].tolist() == [0.5]
    assert session._wired is None
    with pytest.raises(InputError, match="typo"):
        session.predict({**sent, "gaps": [0.5], "typo": [1.0]})


def test_a_door_that_wants_other_shapes_than_the_file_has_no_direct_way(opened):
    specs = tuple(TensorSpec("pair", "f32", ("batch", 4)) if spec.name == "pair" else spec for spec in SPECS)
    session = session_of(opened, signature_of(specs))
    assert session._direct is None
    with pytest.raises(InputError):
        session.run(usual(1))
