"""Intervals as a figure: states by the limit, nothing outside the frame, labels that are cut and kept whole in the title."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.runtimes.interval_plot import WIDTHS, Interval, plot, plots

ROW = st.tuples(*[st.floats(-1e6, 1e6, allow_subnormal=False)] * 3).map(sorted)


@pytest.mark.parametrize(
    ("limit", "state"), [(None, "bar"), (0.03, "good"), (0.02, "good"), (0.015, "wait"), (0.01, "wait"), (0.005, "bad")]
)
def test_an_interval_is_judged_by_both_ends(limit: float | None, state: str) -> None:
    assert Interval("a", 0.015, 0.01, 0.02, limit).state == state


@given(st.lists(ROW, min_size=1, max_size=9), st.none() | st.floats(0, 1e6, allow_subnormal=False), st.sampled_from(WIDTHS))
def test_nothing_stands_outside_the_frame(rows: list[list[float]], limit: float | None, width: int) -> None:
    drawn = plot("t", [Interval(f"slice={n}", value, low, high, limit) for n, (low, value, high) in enumerate(rows)], width)
    places = [float(held) for held in re.findall(r"(?:cx='?|[MH]|<text x='?)(-?[\d.]+)", drawn)]
    assert places
    assert all(0 <= held <= width for held in places)
    assert "nan" not in drawn
    assert drawn.count("<circle") == len(rows)


def test_long_and_hostile_labels_are_cut_and_escaped() -> None:
    name = "<script>" + "x" * 200
    drawn = plots("<b>", [Interval(name, 0.1, 0.0, 0.2)])
    assert "<script>" not in drawn
    assert "<b>" not in drawn
    assert "…" in drawn
    assert f"<title>&lt;script&gt;{'x' * 200}</title>" in drawn


def test_without_rows_there_is_no_figure() -> None:
    assert plots("nothing", []) == ""
