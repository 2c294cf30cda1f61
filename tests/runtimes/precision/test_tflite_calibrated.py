"""int8-static on TFLite is calibrated by the plan's ranges, not by golden rows: in one file, and in each of several segments."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from portside.compress.derive import derive
from portside.compress.quantize import Plans
from portside.compress.settings import Settings
from portside.runtimes.assemble import assemble
from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.precision.tflite_rows import calibration_calls
from portside.runtimes.reference import Reference
from portside.runtimes.samples import graph_model, node
from portside.runtimes.tflite.flow import flow
from portside.runtimes.tflite.sizes import contract_of
from portside.runtimes.tflite_edge import TfliteEdge
from portside.sdk.core.contract import Case, Rule
from portside.sdk.core.data import Data
from portside.sdk.core.plan import PrecisionPlan
from portside.sdk.core.signature import Signature, TensorSpec

PICTURE = ("batch", 4, 8, 8)
WIDER = 4.0
"""The user's rows reach this much further than the golden ones."""
HOST = "def between(m):\n    return {'z': m * 0.5}\n"


def spec(name, shape):
    return TensorSpec(name, "f32", shape, kind="value")


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) / 6


def first(source="x", made="m"):
    """Skips, a join, a pool and a product between convolutions."""
    nodes = [
        node("Conv", [source, "w1", "b1"], "c1", pads=[1] * 4), node("Relu", ["c1"], "r1"),
        node("Conv", ["r1", "w2", "b2"], "c2", pads=[1] * 4), node("Add", ["c2", "r1"], "skip"), node("Sigmoid", ["c2"], "open"),
        node("Mul", ["open", "skip"], "gated"), node("Concat", ["gated", "r1"], "joined", axis=1),
        node("AveragePool", ["joined"], "pooled", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["pooled", "w3", "b3"], made, pads=[1] * 4),
    ]  # fmt: skip
    held = {"w1": draw(1, 8, 4, 3, 3), "b1": draw(2, 8), "w2": draw(3, 8, 8, 3, 3), "b2": draw(4, 8), "w3": draw(5, 6, 16, 3, 3),
            "b3": draw(6, 6)}  # fmt: skip
    return graph_model(Signature((spec(source, PICTURE),), (spec(made, ("batch", 6, 4, 4)),)), nodes, held)


def second():
    nodes = [node("Conv", ["z", "w4", "b4"], "c4", pads=[1] * 4), node("Relu", ["c4"], "r4"), node("Conv", ["r4", "w5", "b5"], "y")]
    held = {"w4": draw(7, 8, 6, 3, 3), "b4": draw(8, 8), "w5": draw(9, 5, 8, 3, 3), "b5": draw(10, 5)}
    return graph_model(Signature((spec("z", ("batch", 6, 4, 4)),), (spec("y", ("batch", 5, 2, 2)),)), nodes, held)


def pictures(rows, seed=0, scale=1.0):
    return (np.random.default_rng(seed).normal(size=(rows, *PICTURE[1:])) * scale).astype(np.float32)


def truth(package, folder, given):
    """What the package answers, for golden rows."""
    artifact = Reference().compile(package, CompileOptions(verify=False), folder)
    session = Reference().load(artifact.path, LoadOptions(trust=True))
    made = session.run(given)
    session.close()
    return made


@pytest.fixture
def package_of(make_package, tmp_path):
    """Parts -> a package of them with golden rows of ordinary size."""

    def make(parts, outputs):
        signature = Signature((spec("x", PICTURE),), outputs)
        given = {"x": pictures(24)}
        bare = make_package(signature, parts, trusted=True, name="bare")
        made = truth(bare, tmp_path / "reference", given)
        rules = {one.name: Rule("value", scale=float(np.ptp(made[one.name]))) for one in outputs}
        return make_package(signature, parts, trusted=True, cases=[Case(given, made, why=("random",) * 24)], rules=rules)

    return make


def planned(package, tmp_path, out="planned"):
    """(plan, derived package, artifact) after calibration on rows that reach further."""
    plans = Plans(package)
    plan = plans.plan(Settings("int8-static"), plans.calibrate(Data({"x": pictures(128, seed=5, scale=WIDER)})))
    made = derive(package, {"kind": "quantize"}, tmp_path / out, plan=plan.to_dict())
    return plan, made, TfliteEdge().compile(made, CompileOptions(verify=False), tmp_path / f"{out}-artifact")


def held_ranges(file):
    """Widths of what int8 activations of a file can hold."""
    found = Interpreter(model_path=str(file), experimental_preserve_all_tensors=True).get_tensor_details()
    quantized = [one["quantization_parameters"] for one in found if one["dtype"] == np.int8]
    return [float(one["scales"][0]) * 255 for one in quantized if len(one["scales"]) == 1 and one["zero_points"][0] != 0]


def widths(plan, stage):
    return np.array([max(high, 0) - min(low, 0) for name, (low, high) in plan.ranges.items() if name.startswith(f"{stage}/")] + [255 / 256])


@pytest.mark.slow
def test_every_range_in_the_file_is_one_that_calibration_recorded(package_of, tmp_path):
    plan, _, artifact = planned(package_of([("main", first())], (spec("m", ("batch", 6, 4, 4)),)), tmp_path)
    assert {"main/skip", "main/gated", "main/joined", "main/pooled"} <= set(plan.ranges)
    assert artifact.engine["precision"]["achieved"] == {"int8-static": 3}
    assert not [note for note in artifact.engine["precision"]["notes"] if "golden" in note]
    (file,) = artifact.engine["plans"]
    held = held_ranges(artifact.path / file)
    assert len(held) >= 8
    recorded = widths(plan, "main")
    assert all(np.abs(recorded / width - 1).min() < 1e-3 for width in held), (held, recorded)


@pytest.mark.slow
def test_values_without_a_range_take_that_of_the_golden_rows_and_are_counted(package_of, tmp_path):
    package = package_of([("main", first())], (spec("m", ("batch", 6, 4, 4)),))
    plan = PrecisionPlan(dict.fromkeys(Plans(package).nodes("int8-static"), "int8-static"))
    made = derive(package, {"kind": "quantize"}, tmp_path / "bare-plan", plan=plan.to_dict())
    artifact = TfliteEdge().compile(made, CompileOptions(verify=False), tmp_path / "artifact")
    (note,) = [note for note in artifact.engine["precision"]["notes"] if "golden" in note]
    (file,) = artifact.engine["plans"]
    assert int(note.split()[0]) >= 8
    assert max(held_ranges(artifact.path / file)) < 12


PARTS = [("one", first()), ("between", HOST, ["m"], ["z"]), ("two", second())]


def test_later_segments_are_calibrated_on_what_earlier_ones_make(package_of):
    package = package_of(PARTS, (spec("y", ("batch", 5, 2, 2)),))
    parts = assemble(package, "tflite")
    calls = calibration_calls(package, PrecisionPlan(), contract_of(package))
    one, two = list(flow(package, parts, calls))
    assert [held[0].spec.inputs for held in (one, two)] == [("x",), ("z",)]
    np.testing.assert_array_equal(one[1][0]["x"], contract_of(package).cases[0].inputs["x"])
    assert two[1][0]["z"].shape == (24, 6, 4, 4)


@pytest.mark.slow
@pytest.mark.long
def test_each_segment_has_the_ranges_of_its_own_stage(package_of, tmp_path):
    plan, _, artifact = planned(package_of(PARTS, (spec("y", ("batch", 5, 2, 2)),)), tmp_path)
    assert artifact.engine["precision"]["achieved"] == {"int8-static": 5}
    assert not [note for note in artifact.engine["precision"]["notes"] if "golden" in note]
    files = list(artifact.engine["plans"])
    assert len(files) == 2
    for file, stage in zip(files, ("one", "two"), strict=True):
        held = held_ranges(artifact.path / file)
        assert held
        assert all(np.abs(widths(plan, stage) / width - 1).min() < 1e-3 for width in held)
