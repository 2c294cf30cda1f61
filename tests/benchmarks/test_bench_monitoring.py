"""What the study of streams makes of alarms, and that the streams it makes are what they say."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]
bench = import_module("bench_monitoring")
made = import_module("streams.made")
detectors = import_module("streams.detectors")
sources = import_module("streams.sources")
Alarm, Stream = detectors.Alarm, sources.Stream


def stream(changed: int | None = 1_000, rows: int = 2_000, early: int = 500, **rest: object) -> object:
    random = np.random.default_rng(0)
    values = random.normal(size=rows) + 3 * (np.arange(rows) >= (changed or rows))
    wrong = random.random(rows) < np.where(np.arange(rows) >= (changed or rows), 0.5, 0.1)
    return Stream("made", {"in.x": values}, wrong, early, changed, 100, **rest)


def test_alarms_are_scored_by_looks_before_and_rows_after() -> None:
    found = bench.scored(stream(), "inputs", [Alarm(400), Alarm(620), Alarm(630), Alarm(900), Alarm(1_050, "it"), Alarm(1_060)])
    assert (found["false"], found["looks"], found["delay"], found["found"], found["said"]) == (2, 10, 50, True, "it")
    assert found["f1"] == pytest.approx(2 / 4)
    late = bench.scored(stream(), "inputs", [Alarm(1_300)])
    assert (late["delay"], late["found"], late["f1"]) == (300, False, 0.0)
    silent = bench.scored(stream(), "inputs", [])
    assert (silent["false"], silent["delay"], silent["found"], silent["f1"]) == (0, None, False, 0.0)


def test_where_nothing_changes_every_alarm_is_false() -> None:
    calm = bench.scored(stream(None), "errors", [Alarm(700), Alarm(1_900)])
    assert (calm["false"], calm["found"], calm["f1"], calm["rows"]) == (2, None, None, 1_500)
    assert bench.scored(stream(errors_rise=False), "errors", [Alarm(1_500)])["false"] == 1


@pytest.mark.parametrize("on", ["inputs", "errors"])
def test_detectors_find_a_large_change_and_dummies_do_what_they_say(on: str) -> None:
    held = stream()
    table = detectors.INPUTS if on == "inputs" else detectors.ERRORS
    found = {name: bench.scored(held, on, one(held)) for name, one in table.items()}
    assert found["portside"] | {"said": ""} == found["portside"] | {"said": "", "false": 0, "found": True}
    assert found["always"]["false"] == found["always"]["looks"] == 10
    assert found["never"]["delay"] is None
    assert 0 <= found["random"]["false"] < 10
    assert found["river ADWIN"]["delay"] is not None


def test_made_rows_are_calm_and_changes_change() -> None:
    random = np.random.default_rng(0)
    columns = made.drawn(4_000, random)
    assert np.isnan(columns["gappy"]).mean() == pytest.approx(0.1, abs=0.03)
    assert (columns["site"] == "small").mean() == pytest.approx(0.2, abs=0.03)
    for name, change in made.CHANGES.items():
        changed = {key: held.copy() for key, held in columns.items()}
        change(changed, np.minimum(np.arange(4_000) / 2_000, 1.0), random)
        assert any(not np.array_equal(changed[key], columns[key], equal_nan=columns[key].dtype.kind == "f") for key in columns), name
    assert len(made.profiles(columns)) == 80
    assert made.profiles(columns, slices=True)[0].fields["normal @ site=small"].count < 30


def test_the_weather_breaks_at_row_12000_and_is_named() -> None:
    weather = sources.weather()
    found = bench.scored(weather, "inputs", detectors.portside_inputs(weather))
    assert found["delay"] <= 300
    assert found["said"].startswith("swapped columns")
    assert found["false"] <= 3


def test_aims_are_judged() -> None:
    rows = [{"part": "streams", "stream": "weather", "on": "inputs", "detector": "portside", "delay": 100, "found": True,
             "said": "swapped columns: a"},
            {"part": "streams", "stream": "census", "on": "errors", "detector": "portside", "false": 0, "rows": 1000},
            {"part": "calm", "detector": "portside", "months": 100, "alarmed": 6, "stated": 0.05}]  # fmt: skip
    assert [met for *_, met in bench.aims(rows)] == [True, True, False]


@pytest.mark.slow
def test_calm_months_keep_the_stated_rate(effort: int) -> None:
    for row in made.calm(20 * effort):
        if row["stated"]:
            assert row["alarmed"] / row["months"] <= 0.05 + 0.1 / effort**0.5, row
