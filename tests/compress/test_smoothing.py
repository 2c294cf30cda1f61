"""Smoothing factors: found where a few channels are large, left out where nothing is gained, part of the plan and of the artifact."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import portside as ps
from portside.compress import kept_steps, smoothing
from portside.compress.base import PassContext
from portside.compress.derive import derive
from portside.compress.kept_steps import KeptSteps
from portside.compress.quantize import Plans, Quantize
from portside.compress.settings import Settings
from portside.compress.smoothing import Seen, choose, error, exponents
from portside.compress.trials import Workbench
from portside.runtimes.base import CompileOptions, Smooths
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.sdk.core.errors import InputError
from portside.sdk.core.plan import OCTAVE, plan_of


def seen(loud=1.0, calls=3):
    """Values of 32 channels, of which the third is large."""
    draw, held = np.random.default_rng(0), Seen()
    for _ in range(calls):
        held.add((draw.normal(size=(2, 40, 32)) * np.where(np.arange(32) == 2, loud, 1)).astype(np.float32), draw)
    return held


def weight(quiet=1.0):
    held = np.random.default_rng(1).normal(size=(32, 16)).astype(np.float32)
    held[2] /= quiet
    return held


def test_a_large_channel_is_divided_and_the_error_falls():
    steps, before, after = choose(seen(60.0), [weight(60.0)])
    assert after < before / 4
    assert steps[2] == max(steps)
    assert steps[2] - np.median(steps) > 2 * OCTAVE
    assert after == error(seen(60.0), [weight(60.0)], steps)


def test_the_error_is_that_of_int8():
    """Close to what rounding to 255 equal steps of activations and 254 of weights costs on average."""
    held = error(seen(), [weight()], (0,) * 32)
    assert 0.003 < held < 0.03


def test_all_products_that_read_a_value_have_a_say():
    """What one weight gains by a factor, another with a large row loses."""
    alone = choose(seen(60.0), [weight(60.0)])[0]
    together = choose(seen(60.0), [weight(60.0), weight(1 / 60)])[0]
    assert together[2] < alone[2]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_left_alone(bad):
    held, draw = seen(), np.random.default_rng(0)
    held.add(np.full((4, 32), bad, np.float32), draw)
    with np.errstate(invalid="ignore"):
        assert exponents(held, [weight()], 0.5, 0.5) == (0,) * 32
        assert choose(held, [weight()])[0] == (0,) * 32


def test_channels_that_are_never_used_do_not_break_it():
    held, draw = Seen(), np.random.default_rng(0)
    value = draw.normal(size=(50, 32)).astype(np.float32)
    value[:, :4] = 0
    held.add(value, draw)
    steps, before, after = choose(held, [weight()])
    assert after <= before
    assert max(map(abs, steps)) <= 127


def test_the_plan_has_the_factors_and_the_artifact_says_what_became_of_them(network, calibration, tmp_path):
    calibration = ps.Data({"x": np.asarray(calibration.inputs["x"]) * np.where(np.arange(16) == 2, 30, 1).astype(np.float32)})
    made = Quantize("int8-dynamic", smooth=True).run(network, calibration, PassContext(out=tmp_path / "made"))
    plan = plan_of(json.loads(json.dumps(made.content.plan)))
    assert plan.calibration["method"] == "smoothing"
    assert plan.calibration["rows"] == 128
    assert made.content.recipe[-1]["smooth"] is True
    found = Plans(network).smooth(calibration)
    assert dict(plan.smoothing) == dict(found.exponents)
    assert all(after <= before for before, after in found.errors.values())
    assert {name for name, (before, after) in found.errors.items() if after <= 0.9 * before} == set(found.exponents)
    assert "main/x" in plan.smoothing, "one of its channels is loud"
    artifact = OnnxCpu().compile(made, CompileOptions(), tmp_path / "artifact")
    assert sum(artifact.engine["precision"].get("smoothed", {}).values()) == len(plan.smoothing)


@pytest.mark.parametrize("stop", [1, 3])
def test_killed_while_it_looks_it_draws_the_same_rows(network, calibration, tmp_path, monkeypatch, stop):
    monkeypatch.setattr(kept_steps, "EVERY_S", 0.0)
    monkeypatch.setattr(smoothing, "KEPT_ROWS", 8)  # fewer than a call has: which ones is by chance
    whole, calls, real = Plans(network).smooth(calibration, 5), [], smoothing.Probe.run

    def stops(probe, wire):
        calls.append(len(wire["x"]))
        if len(calls) == stop + 1:
            raise KeyboardInterrupt
        return real(probe, wire)

    monkeypatch.setattr(smoothing.Probe, "run", stops)
    with pytest.raises(KeyboardInterrupt):
        Plans(network).smooth(calibration, 5, steps=KeptSteps(tmp_path))
    found = Plans(network).smooth(calibration, 5, steps=KeptSteps(tmp_path))
    assert (found.exponents, found.errors) == (whole.exponents, whole.errors)
    assert calls == [32] * 5  # four, and the one that was stopped


@pytest.mark.long
@pytest.mark.slow
def test_a_target_without_smoothing_goes_without_and_says_so(network, tmp_path):
    from portside.runtimes.tflite.compiling import NOT_SMOOTHED
    from portside.runtimes.tflite_edge import TfliteEdge

    assert not isinstance(TfliteEdge(), Smooths)
    plain = Plans(network).plan(Settings("int8-dynamic"))
    for smooth in (True, False):
        plan = replace(plain, smoothing={"main/x": (8,) * 16}) if smooth else plain
        package = derive(network, {"kind": "quantize"}, tmp_path / f"package-{smooth}", plan=plan.to_dict())
        artifact = TfliteEdge().compile(package, CompileOptions(verify=False), tmp_path / f"artifact-{smooth}")
        assert (NOT_SMOOTHED in artifact.engine["precision"]["notes"]) is smooth
        assert artifact.engine["precision"]["achieved"] == {"int8-dynamic": 2}


def test_a_workbench_smooths_where_the_target_can(network, rows, calibration):
    with Workbench(network, "onnx-cpu", rows, calibration) as bench:
        assert bench.smooths
        assert bench.smoothing is bench.smoothing
        trial = bench.attempt(Settings("int8-dynamic", smooth=True))
        assert trial.fault is None
        assert trial.settings.smoothed


def test_a_recipe_can_ask_for_it(tmp_path):
    (tmp_path / "recipe.toml").write_text('[[pass]]\nkind = "quantize"\nprecision = "int8-dynamic"\nsmooth = true\n')
    from portside.compress.recipe import recipe_of

    (step,) = recipe_of(tmp_path / "recipe.toml").passes
    assert step.settings == Settings("int8-dynamic", smooth=True)


def test_no_rows(network, calibration):
    with pytest.raises(InputError, match="no rows"):
        Plans(network).smooth(calibration.take(np.array([], int)))
