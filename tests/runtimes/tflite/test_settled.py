"""Memory that stays where it is, and the files in which it may not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portside.runtimes.tflite.interpreter import TfliteEngine, open_one
from portside.runtimes.tflite.plan import Plan, Slot
from portside.runtimes.tflite.settled import layout
from portside.runtimes.tflite.weights import open_model

sys.path.insert(0, str(Path(__file__).parent))
from tflite_files import Graph, Operator, Tensor, file_of

X, DOUBLE = Tensor("x", "f32", (2, 3)), Tensor("double", "f32", (2, 3))
ADD = Operator("ADD", ("x", "x"), ("double",), schema.AddOptionsT())
PLAN = Plan((Slot("x", "x", "f32", (2, 3)),), (Slot("y", "y", "f32", (2, 3)),), {"one": {}})


def graph(*tensors, operators=(ADD,), inputs=("x",), outputs=None, keys=("one",)):
    return Graph((X, DOUBLE, *tensors), operators, inputs, outputs or {"y": "double"}, keys)


def write(folder, *graphs):
    file = folder / "made.tflite"
    file.write_bytes(file_of(graphs))
    return file


def address(view):
    return view.__array_interface__["data"][0]


def test_the_reader_sees_what_the_schemas_own_sees(mixed_artifact):
    _, artifact = mixed_artifact
    (file,) = artifact.engine["plans"]
    model, held = open_model(artifact.path / file), layout(artifact.path / file)
    dtypes = {schema.TensorType.FLOAT32: "f32", schema.TensorType.INT32: "i32", schema.TensorType.BOOL: "bool"}
    assert len(held.operators) == len(held.dtypes) == model.SubgraphsLength() == 2
    for place in range(2):
        read = model.Subgraphs(place)
        operators = [read.Operators(one) for one in range(read.OperatorsLength())]
        assert held.operators[place] == tuple((tuple(one.InputsAsNumpy()), tuple(one.OutputsAsNumpy())) for one in operators)
        assert held.dtypes[place] == tuple(dtypes[read.Tensors(one).Type()] for one in range(read.TensorsLength()))


def test_views_stay_where_the_tensors_are_through_calls_of_every_signature(mixed_artifact):
    sample, artifact = mixed_artifact
    ((file, data),) = artifact.engine["plans"].items()
    plan = Plan.from_dict(data)
    engine = TfliteEngine(artifact.path / file, plan)
    opened = open_one(artifact.path / file, plan, 1)
    engine._pool.free.clear()
    engine._pool.give(opened)
    assert set(opened.fresh) == {"batch1", "batch8"}
    every = dict(opened.fresh)

    def where():
        return [address(view) for held in every.values() for side in (held.inputs, held.outputs) for view in side.values()]

    def truly():
        found = []
        for key, held in every.items():
            call = held.invoke.func.__self__
            described = {"inputs": plan.inputs, "outputs": plan.outputs}
            signature = call.GetSignatureDefs()[key]
            found += [address(call.tensor(call, signature[side][slot.key], call.GetSubgraphIndexFromSignature(key)))
                      for side, slots in described.items() for slot in slots]  # fmt: skip
        return found

    before = where()
    for rows in (1, 8, 3, 8, 1, 21):
        given = sample.inputs(rows)
        engine.run(list(engine.outputs), {**given, "ids": given["ids"].astype(np.int32)})
        assert where() == before == truly()
    assert opened.settled == every
    assert opened.fresh == {}


def test_an_operator_that_nothing_needs_unsettles_a_file(tmp_path):
    dead = Operator("ADD", ("x", "x"), ("spare",), schema.AddOptionsT())
    file = write(tmp_path, graph(Tensor("spare", "f32", (2, 3)), operators=(ADD, dead)))
    assert layout(file) is not None
    assert not layout(file).leads(0, [1])
    assert open_one(file, PLAN, 1).fresh == {}
    (made,) = TfliteEngine(file, PLAN).run(["y"], {"x": np.ones((2, 3), np.float32)})
    assert made.tolist() == [[2.0] * 3] * 2


def test_an_output_that_gets_its_memory_when_it_is_made_has_no_view(tmp_path):
    """It is the last one, and has memory before the first call: it moves in the first call."""
    shape = Tensor("shape", "i32", (2,))
    tensors = (shape, Tensor("made", "f32", (2, 3)))
    reshape = Operator("RESHAPE", ("double", "shape"), ("made",), schema.ReshapeOptionsT())
    file = write(tmp_path, graph(*tensors, operators=(ADD, reshape), inputs=("x", "shape"), outputs={"y": "made"}))
    plan = Plan((*PLAN.inputs, Slot("shape", "shape", "i32", (2,))), PLAN.outputs, {"one": {}})
    assert layout(file).leads(0, [3])
    opened = open_one(file, plan, 1)
    assert set(opened.fresh) == {"one"}
    engine = TfliteEngine(file, plan)
    engine._pool.free.clear()
    engine._pool.give(opened)
    for wanted in ([3, 2], [6, 1], [1, 6]):
        (made,) = engine.run(["y"], {"x": np.ones((2, 3), np.float32), "shape": np.array(wanted, np.int32)})
        assert made.shape == tuple(wanted)
        assert opened.fresh == opened.settled == {}


def test_what_stands_behind_such_an_output_unsettles_all_of_it(tmp_path):
    """The second output is not dynamic, and made first: its memory moves all the same when the rest is planned."""
    tensors = (Tensor("shape", "i32", (2,)), Tensor("made", "f32", (2, 3)), Tensor("last", "f32", (2, 3)))
    operators = (ADD, Operator("RESHAPE", ("double", "shape"), ("made",), schema.ReshapeOptionsT()),
                 Operator("ADD", ("made", "made"), ("last",), schema.AddOptionsT()))  # fmt: skip
    file = write(tmp_path, graph(*tensors, operators=operators, inputs=("x", "shape"), outputs={"y": "double", "z": "last"}))
    slots = (*PLAN.outputs, Slot("z", "z", "f32", (2, 3)))
    plan = Plan((*PLAN.inputs, Slot("shape", "shape", "i32", (2,))), slots, {"one": {}})
    assert open_one(file, plan, 1).fresh == {}


@pytest.mark.parametrize("name", ["IF", "WHILE", "CALL", "CALL_ONCE", "CUSTOM", "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE"])
def test_an_operator_that_may_run_another_subgraph_unsettles_a_file(tmp_path, name):
    assert layout(write(tmp_path, graph())) is not None
    assert layout(write(tmp_path, graph(operators=(ADD, Operator(name, ("x",), ("double",)))))) is None


def test_two_numbers_in_one_byte_are_not_numpys(tmp_path):
    held = layout(write(tmp_path, graph(Tensor("packed", "int4", (2, 3)))))
    assert held.plain(0, 0, np.zeros((2, 3), np.float32))
    assert not held.plain(0, 2, np.zeros((2, 3), np.int8))


@pytest.mark.parametrize("view", [np.zeros((2, 3), np.int32), np.zeros((2, 3), ">f4"), np.zeros((0, 3), np.float32),
                                  np.zeros((3, 2), np.float32).T, np.float32(1), np.ma.zeros((2, 3), np.float32)])  # fmt: skip
def test_a_view_that_is_not_the_memory_as_it_lies_is_none(tmp_path, view):
    assert not layout(write(tmp_path, graph())).plain(0, 0, view)


def test_one_subgraph_of_two_signatures_has_one_memory_and_two_ways(tmp_path):
    plan = Plan(PLAN.inputs, PLAN.outputs, {"one": {}, "two": {}})
    opened = open_one(write(tmp_path, graph(keys=("one", "two"))), plan, 1)
    one, two = (opened.fresh[key].inputs["x"] for key in ("one", "two"))
    assert address(one) == address(two)


def test_an_empty_file_says_nothing(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    assert layout(tmp_path / "empty") is None


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 10_000))
def test_a_damaged_file_is_read_without_an_error_or_not_at_all(tmp_path, changes, end):
    data = bytearray(file_of([graph()]))
    for place, value in changes:
        data[place % len(data)] = value
    (tmp_path / "damaged").write_bytes(data[: len(data) - end % len(data)])
    held = layout(tmp_path / "damaged")
    assert held is None or len(held.operators) == len(held.dtypes)
