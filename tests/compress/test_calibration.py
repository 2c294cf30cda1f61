"""Calibration: the ranges of inner values on the user's rows, in memory that does not grow with them, and what is wrong with the rows."""

from __future__ import annotations

import tracemalloc
import weakref

import numpy as np
import pytest

import portside as ps
from portside.compress import calibration as module
from portside.compress.calibration import AT_ONCE, Probe, calibrate
from portside.compress.histogram import BINS
from portside.compress.quantize import Plans
from portside.compress.sensitivity import sensitivity
from portside.compress.settings import Settings
from portside.runtimes.samples import Sample, graph_model, node
from portside.sdk.core.contract import Rule
from portside.sdk.core.errors import InputError
from portside.sdk.core.signature import Signature, TensorSpec

VALUES = {"main": ["x", "r0", "logits"]}


def rows(count, seed=0, width=16):
    return ps.Data({"x": np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)})


def test_ranges_are_those_of_the_rows(network):
    data = rows(300)
    found = calibrate(network, data, VALUES)
    assert found.rows == 300
    assert found.warnings == ()
    ranges = found.ranges()
    assert set(ranges) == {"main/x", "main/r0", "main/logits"}
    assert ranges["main/x"] == (data.inputs["x"].min(), data.inputs["x"].max())
    assert ranges["main/r0"][0] == 0
    probe = Probe(network, VALUES)
    outputs, inner = probe.run(data.inputs)
    probe.close()
    assert ranges["main/logits"] == (pytest.approx(inner["main/logits"].min()), pytest.approx(inner["main/logits"].max()))
    np.testing.assert_array_equal(outputs["label"], inner["main/logits"].argmax(axis=1))


def test_percentiles_lie_inside_and_are_described(network):
    found = calibrate(network, rows(300), VALUES)
    wide, narrow = found.ranges(), found.ranges("percentile", 90)
    assert all(wide[name][0] <= narrow[name][0] <= narrow[name][1] <= wide[name][1] for name in wide)
    assert narrow["main/x"][1] < wide["main/x"][1]
    assert found.describe("percentile", 90) == {"method": "percentile", "rows": 300, "data": found.digest, "percentile": 90}
    assert "percentile" not in found.describe("min-max", 90)


def test_rows_in_a_file_are_not_read_whole(network, tmp_path):
    file = np.memmap(tmp_path / "rows", np.float32, "w+", shape=(1 << 20, 16))
    file[::1000] = np.random.default_rng(0).normal(size=file[::1000].shape)
    data = ps.Data({"x": file})
    assert data.inputs["x"] is file
    few = data.take([5, 1000])
    assert few.inputs["x"].base is not file.base, "the rows that were asked for, and no others"
    assert few.inputs["x"].nbytes == 2 * 16 * 4
    tracemalloc.start()
    made = ps.compress(network, ps.Recipe([ps.Quantize("int8-static", rows=256)]), data, out=tmp_path / "made", resume=tmp_path / "kept")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.content.plan["calibration"]["rows"] == 256
    assert peak < file.nbytes / 3


def test_memory_does_not_grow_with_the_rows(network, monkeypatch):
    """One call's inner values are held at a time, and a histogram is as large at the end as after the first call."""
    run, alive, most = Probe.run, weakref.WeakSet(), []

    class Held(np.ndarray):
        """An array that can be watched."""

    def watched(self, wire):
        assert len(wire["x"]) <= AT_ONCE
        outputs, inner = run(self, wire)
        views = {name: value.copy().view(Held) for name, value in inner.items()}
        for value in views.values():
            alive.add(Watch(value))
        most.append(len(alive))
        return outputs, views

    class Watch:
        def __init__(self, value):
            value.watch = self

    monkeypatch.setattr(Probe, "run", watched)
    found = calibrate(network, rows(2000), VALUES, rows=2000)
    assert len(most) == -(-2000 // AT_ONCE)
    assert max(most) <= 2 * len(VALUES["main"])
    assert all(held._counts.shape == (BINS,) for held in found.histograms.values())


def test_the_sample_is_drawn_by_its_seed_and_has_a_digest(network):
    data = rows(400)
    one, again, other = (calibrate(network, data, VALUES, rows=100, seed=seed) for seed in (0, 0, 1))
    assert one.rows == 100
    assert one.digest == again.digest != other.digest
    assert one.ranges() == again.ranges() != other.ranges()



def test_progress_is_told(network):
    told = []
    calibrate(network, rows(100), VALUES, progress=lambda done, of, what: told.append((done, of, what)))
    assert told[0] == (0, 100, "calibration")
    assert [done for done, _, _ in told] == sorted({done for done, _, _ in told})


def test_few_rows_are_warned_of(network):
    assert any("calibrated on 99 rows" in text for text in calibrate(network, rows(99), VALUES).warnings)


def test_a_class_and_a_slice_that_were_never_seen_are_warned_of(network, monkeypatch):
    data = rows(200)
    data = ps.Data(data.inputs, labels=[7] + [0, 1] * 99 + [1], slices={"site": ["rare"] + ["usual"] * 199})
    monkeypatch.setattr(module, "_sample", lambda data, count, seed: np.arange(1, 150))
    warnings = calibrate(network, data, VALUES).warnings
    assert any("classes 7" in text for text in warnings)
    assert any("slices site=rare" in text for text in warnings)


def test_a_regressions_labels_are_no_classes(network):
    data = rows(600)
    data = ps.Data(data.inputs, labels=np.random.default_rng(0).normal(size=600))
    assert calibrate(network, data, VALUES, rows=100).warnings == ()


def test_values_that_never_vary_are_warned_of(network):
    data = ps.Data({"x": np.zeros((128, 16), np.float32)})
    found = calibrate(network, data, VALUES)
    assert any("never varied, first main/x" in text for text in found.warnings)
    assert found.ranges("entropy")["main/x"] == (0, 0)


def test_nan_rows_are_left_out_and_warned_of(network, monkeypatch):
    run = Probe.run

    def spoiled(self, wire):
        outputs, inner = run(self, wire)
        return outputs, {name: np.where(np.arange(len(value))[:, None] == 3, np.nan, value) for name, value in inner.items()}

    monkeypatch.setattr(Probe, "run", spoiled)
    found = calibrate(network, rows(128), VALUES)
    assert any("3 values were NaN or infinite" in text for text in found.warnings)
    assert all(np.isfinite(held).all() for held in found.ranges().values())


def test_a_value_that_was_never_finite_has_no_range(network, monkeypatch):
    monkeypatch.setattr(Probe, "run", lambda self, wire: ({}, {"main/x": np.full((4, 4), np.nan)}))
    assert calibrate(network, rows(128), {"main": ["x"]}).ranges() == {}


@pytest.mark.parametrize("inputs", [{}, {"x": np.zeros((0, 16), np.float32)}])
def test_without_rows_nothing_is_calibrated(network, inputs):
    with pytest.raises(InputError, match="no rows"):
        calibrate(network, ps.Data(inputs), VALUES)


@pytest.mark.parametrize(("size", "taken"), [(1, 130), (4, 128), (64, 128)])
def test_a_program_that_takes_a_fixed_number_of_rows_is_given_just_these(size, taken, tmp_path):
    signature = Signature((TensorSpec("x", "f32", (size, 40)),), (TensorSpec("y", "f32", (size, 40), kind="value"),))
    weight = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    model = graph_model(signature, [node("MatMul", ["x", "weight"], "m"), node("MatMul", ["m", "weight"], "y")], {"weight": weight})
    rule = {"y": Rule("value")}
    sample = Sample("fixed", signature, model, lambda held: {"y": held["x"] @ weight @ weight},
                    lambda count: {"x": np.ones((size, 40), np.float32)}, rule)  # fmt: skip
    package = sample.write(tmp_path / "package")
    assert calibrate(package, rows(130, width=40), {"main": ["m"]}).rows == taken
    plans = Plans(package)
    found = sensitivity(package, plans.plan(Settings("int8-dynamic")), rows(130, width=40), rows=70)
    assert set(found) == {"main/m", "main/y"}
    if size > 1:
        with pytest.raises(InputError, match="more rows at once"):
            calibrate(package, rows(size - 1, width=40), {"main": ["m"]})
