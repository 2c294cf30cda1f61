"""Sensitivity: the node that hurts is found, none is left out silently, and what an engine refuses hurts without end."""

from __future__ import annotations

import numpy as np
import pytest

from portside.compress import sensitivity as module
from portside.compress.quantize import Plans
from portside.compress.sensitivity import damage, sensitivity
from portside.compress.settings import Settings
from portside.sdk.core.errors import EngineError

NODES = {"main/Gemm_0", "main/Gemm_1", "main/Gemm_2"}


def measured(package, data, precision="int8-static", **options):
    plans = Plans(package)
    plan = plans.plan(Settings(precision), plans.calibrate(data) if precision == "int8-static" else None)
    return sensitivity(package, plan, data, **options)


@pytest.mark.parametrize("precision", ["int8-static", "int8-dynamic", "int4-weights"])
def test_every_node_of_the_plan_is_measured_largest_first(network, calibration, precision):
    found = measured(network, calibration, precision)
    assert set(found) == (NODES if precision == "int8-static" else NODES - {"main/Gemm_2"})
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(0 < held < 0.3 for held in found.values())


def test_the_node_that_hurts_comes_first(fragile, calibration):
    found = measured(fragile, calibration)
    worst, *others = found.items()
    assert worst[0] == "main/Gemm_2"
    assert worst[1] > 10 * max(held for _, held in others)


@pytest.mark.exact_sums
def test_fewer_bits_hurt_more(network, calibration):
    eight, four = measured(network, calibration, "int8-dynamic"), measured(network, calibration, "int4-weights")
    assert all(four[name] > 2 * eight[name] for name in eight)


def test_the_same_seed_is_the_same_measurement(network, calibration):
    one, again, other = (measured(network, calibration, seed=seed) for seed in (0, 0, 1))
    assert one == again
    assert one != other


def test_it_ends_when_it_is_late_with_what_was_measured(network, calibration):
    asked = iter([False, True])
    assert len(measured(network, calibration, late=lambda: next(asked))) == 1


def test_many_nodes_are_looked_at_on_few_rows_and_the_worst_on_all(network, calibration, monkeypatch):
    whole = measured(network, calibration)
    monkeypatch.setattr(module, "CLOSER", 1)
    asked: list[tuple[int, tuple[str, ...]]] = []
    of = module._Damages.of

    def seen(self, nodes, *held):
        asked.append((len(self.calls), tuple(nodes)))
        return of(self, nodes, *held)

    monkeypatch.setattr(module._Damages, "of", seen)
    found = measured(network, calibration)
    assert [(calls, len(nodes)) for calls, nodes in asked] == [(1, 3), (3, 1)]
    assert set(found) == NODES
    again = asked[1][1][0]
    assert found[again] == pytest.approx(whole[again])
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_progress_is_told(network, calibration):
    told = []
    measured(network, calibration, progress=lambda *held: told.append(held))
    assert next(held for held in told if "sensitivity" in held[2]) == (0, 3, "sensitivity of main/Gemm_0")


def test_what_the_engine_refuses_hurts_without_end(network, calibration, monkeypatch):
    lower = module.lower

    def refuse(model, plan, boundaries):
        if "Gemm_1" in plan.nodes:
            raise EngineError("the engine has no such kernel")
        return lower(model, plan, boundaries)

    monkeypatch.setattr(module, "lower", refuse)
    found = measured(network, calibration)
    assert next(iter(found.items())) == ("main/Gemm_1", np.inf)
    assert set(found) == NODES


def test_damage_is_the_error_relative_to_the_spread():
    truth = np.array([0.0, 2.0, 4.0, 6.0])
    assert damage([truth], [truth]) == 0
    assert damage([truth], [truth + 1]) == pytest.approx(1 / truth.std())
    assert damage([truth, truth * 100], [truth + 1, truth * 100 + 1]) == pytest.approx(1 / truth.std())


def test_damage_of_what_is_no_number():
    truth = np.array([1.0, 2.0, np.nan])
    assert damage([truth], [np.array([1.0, np.nan, 3.0])]) == np.inf
    assert damage([truth], [np.array([1.0, np.inf, 3.0])]) == np.inf
    assert damage([truth], [np.array([1.0, 2.0, 3.0])]) == 0
    assert damage([np.full(3, np.nan)], [np.zeros(3)]) == 0
    assert damage([], []) == 0
    assert np.isfinite(damage([np.ones(3)], [np.full(3, 1.5)]))
