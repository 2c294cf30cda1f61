"""Figures of the benchmarks of compression: drawn from the rows that were recorded, whole and readable, intervals in their places."""

from __future__ import annotations

import json
import re
import runpy
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
sys.path[:0] = [str(ROOT / "benchmarks")]
intervals = import_module("intervals")
runner = SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "run.py")))  # examples have a run.py, too


def texts(svg):
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own text, and it has to be whole
    return [found.text for found in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_mean_over_seeds_has_the_interval_of_student_and_one_seed_has_none():
    middle, low, high = intervals.over_seeds([1.0, 2.0, 3.0])
    assert middle == 2.0 and high - 2.0 == pytest.approx(2.0 - low) == pytest.approx(4.303 / np.sqrt(3), abs=1e-3)
    assert intervals.over_seeds([1.5])[0] == 1.5 and np.isnan(intervals.over_seeds(iter([1.5]))[1:]).all()


def test_a_figure_shows_rows_their_ends_and_the_limit():
    rows = [intervals.Row("one <way>", 0.5, -1.0, 2.0), intervals.Row("one seed", 1.0, float("nan"), float("nan"))]
    svg = intervals.figure("points & more", rows, limit=4.0)
    assert "one <way>" in texts(svg) and "4" in texts(svg) and "points & more" in texts(svg)
    spans = re.findall(r"d='M([\d.]+) [\d.]+H([\d.]+)'", svg)
    dots = [float(found) for found in re.findall(r"cx='([\d.]+)'", svg)]
    (start, end), (middle, other) = map(float, spans[0]), dots
    assert len(spans) == 1 and start < middle < end and middle == pytest.approx((start + end) / 2, abs=0.2) and middle < other < end


@pytest.mark.parametrize(("name", "file", "label"), [
    ("distil", "2026-11-29-distil.json", "few, distilled, less few, labels"), ("prune", "2026-11-30-prune.json", "macs 0.4, taught"),
    ("forests", "2026-11-30-forests.json", "boosting, ratio 0.19, wasm"), ("student", "2026-11-30-student.json", "taught: people, words"),
    ("structures", "2026-11-30-structures.json", "search: front"),
])  # fmt: skip
def test_what_was_recorded_is_drawn_beside_it(name, file, label, tmp_path):
    rows = json.loads((RESULTS / file).read_text())["results"][name]
    drawn = runner.draw(name, rows, tmp_path / "2026-11-30.json")
    assert drawn == tmp_path / f"2026-11-30-{name}.svg" and label in texts(drawn.read_text())


def test_qat_is_drawn_from_its_rows():
    bench = import_module("bench_qat")
    rows = [{"network": "residual", "way": way, "seed": seed, "accuracy": 0.9 + 0.01 * place + 0.001 * seed, "log_loss": 0.1}
            for place, way in enumerate(bench.WAYS) for seed in range(3)]  # fmt: skip
    said = [words for words in texts(bench.plot(rows)) if words.startswith("residual")]
    assert said == [f"residual, less {way}" for way in bench.AGAINST]


def test_a_benchmark_whose_plot_takes_other_things_draws_none(tmp_path):
    assert runner.draw("rollout", [], tmp_path / "a.json") is None and not list(tmp_path.iterdir())
