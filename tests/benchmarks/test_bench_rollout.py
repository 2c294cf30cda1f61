"""What the simulation of rollouts makes of its worlds: that truths are what they say, and that aims can be missed."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]
bench = import_module("bench_rollout")
counting = import_module("rollout_worlds.counting")
limits = import_module("rollout_worlds.limits")
runs = import_module("rollout_worlds.runs")
drawing = import_module("rollout_worlds.plot")


@pytest.fixture(autouse=True)
def judged_by_the_engine(monkeypatch):
    """A run sets how the engine judges, in a process that does nothing else; here it is put back."""
    monkeypatch.setattr(runs.rollout, "judge", runs.judge)


@pytest.mark.parametrize("world", limits.WORLDS, ids=lambda one: one.name)
def test_units_are_drawn_at_the_rates_of_their_world(world):
    treated, bad = limits.drawn(world, 40, np.random.default_rng(0))
    assert treated.mean() == pytest.approx(0.5, abs=0.01)
    gap = bad[treated].mean() - bad[~treated].mean()
    assert gap == pytest.approx(world.worse, abs=0.003)


def test_a_horizon_gives_the_z_test_its_power():
    world = limits.WORLDS[2]
    first = limits.once(world, *limits.drawn(world, 400, np.random.default_rng(1)))
    assert np.isfinite(first).mean() == pytest.approx(0.8, abs=0.08)


def test_first_looks_are_summed_up():
    world = limits.World("w", 0.1, 0.02, 0.0, 1000)
    held = limits.summed(world, np.array([100.0, 300.0, np.inf, 500.0]))
    assert (held["median"], held["four_fifths"], held["proven"]["value"], held["runs"]) == (300.0, None, 0.75, 4)
    assert held["curve"][-1] == 0.75 and held["curve"] == sorted(held["curve"])


@pytest.mark.parametrize("way", ["portside", "z-test at each look"])
def test_a_broken_challenger_is_stopped_either_way(way):
    ended = runs.run(runs.WORLDS[-1], way, 0)
    assert (ended.promoted, ended.back) == (False, True) and "errors" in ended.named and ended.given < 1000


def test_a_run_is_the_same_again_and_a_broken_slice_is_named():
    broken = runs.WORLDS[-2]
    first, again = runs.run(broken, "portside", 3), runs.run(broken, "portside", 3)
    assert first == again
    assert first.back and "errors in line=d" in first.named


def test_aims_are_missed_where_a_whole_interval_says_so():
    def row(value, low, high, **more):
        held = {"value": value, "low": low, "high": high, "rows": 100}
        same = {"part": "runs", "way": "portside", "runs": 100, "units": 1.0, "given": 1.0, "named": {}}
        return {**same, "promoted": held, "back": held, **more}

    good = bench.aims([row(0.06, 0.02, 0.1, world="one limit is just reached")])
    bad = bench.aims([row(0.2, 0.12, 0.3, world="one limit is just reached"), row(0.9, 0.8, 0.97, world="in a slice of 5%")])
    assert [met for *_, met in good] == [True, True]
    assert [met for *_, met in bad] == [False, False, True, False]  # promoted, rolled back, stopped often enough, never named


def test_the_plot_shows_each_way_in_both_panels():
    rows = [{"part": "limits", "way": way, "world": name, "units": 100, "curve": [0.0, 0.1]}
            for way in drawing.COLOURS for name in ("wrong, at the limit", "wrong, the same")]  # fmt: skip
    drawn = drawing.plot(rows)
    assert drawn.count("<polyline") == 2 * len(drawing.COLOURS) and drawn.count("class='limit'") == 1


def test_a_controller_counts_every_answer_and_every_label():
    alone, nobody, shadow = counting.counting(40)
    assert (alone["units"], nobody["units"]) == (44, 44), "an answer each, and a label of every tenth"
    assert shadow["units"] == 3 * 40 + 4, "errors, lateness and agreement of each pair"
    assert all(row["cpu_s"] > 0 for row in (alone, nobody, shadow)) and bench.aims([alone, nobody, shadow]) == []
    assert "44" in bench.show([alone])


@pytest.mark.parametrize("seed", range(6))
def test_the_quick_way_tells_what_the_engine_tells(seed):
    world, dice = runs.WORLDS[seed % len(runs.WORLDS)], np.random.default_rng(seed)
    state, counts = runs.rollout.State("r", "canary", 0, 0, (runs.NEW,), step=2, slices=tuple(runs.SLICES)), {}
    for _ in range(20):
        runs._look(world, runs.POLICY, state, dice, counts, {})
        seen = runs.Observed(0, counts)
        quick, whole = (judge(runs.POLICY, "canary", state.slices, runs.NEW, seen) for judge in (runs.quick, runs.judge))
        assert [(one.told, one.asked, one.suspect) for one in quick] == [(one.told, one.asked, one.suspect) for one in whole]
