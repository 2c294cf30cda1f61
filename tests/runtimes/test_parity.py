"""One row per target: firm and fragile flips apart, the output nearest to its limit, dtypes of the weights; tables and pages of them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.runtimes import samples
from portside.runtimes.bench import Timings
from portside.runtimes.fidelity import Fidelity, OutputCheck
from portside.runtimes.held_out import HeldOut, held_out
from portside.runtimes.parity import Flips, Parity, figure, weights_text, whole_percents
from portside.runtimes.report import SIDE_BY_SIDE, Report, TargetReport, side_by_side, write_page
from portside.runtimes.timing import Samples
from portside.runtimes.verify import verify
from portside.sdk.core.contract import Rule
from portside.sdk.core.data import Data
from portside.sdk.core.decisions import judge


def checked(output, rule, reference, got, firm=None):
    return OutputCheck(output, judge(rule, np.asarray(reference), np.asarray(got), None if firm is None else np.asarray(firm)))


def run(*checks):
    return Fidelity(tuple(checks), rows=4)


def test_firm_and_fragile_flips_are_counted_apart():
    check = checked("label", Rule("decision"), [0, 1, 2, 3], [0, 1, 0, 0], [True, True, True, False])
    found = Parity.of(run(check), None)
    assert (found.firm.count, found.firm.rate.rows) == (1, 3)
    assert (found.fragile.count, found.fragile.rate.rows) == (1, 1)
    assert found.difference is None and found.rows == 4


def test_golden_and_held_out_rows_are_one_row_of_the_table():
    one = checked("label", Rule("decision"), [0, 1], [0, 1])
    two = checked("label", Rule("decision"), [0, 1], [1, 1])
    found = Parity.of(run(one), run(two))
    assert (found.firm.count, found.firm.rate.rows, found.rows) == (1, 4, 8)
    assert found.firm.rate.high > 0.25 > found.firm.rate.low


def test_the_output_nearest_to_its_limit_is_shown_over_all_rows():
    near = checked("score", Rule("score"), np.zeros(4, np.float32), np.full(4, 5e-5, np.float32))
    calm = checked("score", Rule("score"), np.zeros(4, np.float32), np.zeros(4, np.float32))
    far = checked("value", Rule("value", scale=1e6), np.array([0.0, 1e6, 2e6, 3e6], np.float32), np.array([0.5, 1e6, 2e6, 3e6], np.float32))
    found = Parity.of(run(near, far), run(calm)).difference
    assert (found.output, found.largest) == ("score", pytest.approx(5e-5))
    assert found.mean == pytest.approx(2.5e-5)


def test_no_rows_have_no_rate():
    assert str(Flips.of(0, 0)) == "no rows"
    assert str(Flips.of(0, 299)).startswith("0/299 [0, 1.2]")


def test_weights_by_share():
    assert weights_text({"float": 980, "int64": 19, "int32": 1}) == "float 98%, int64 2%"
    assert weights_text({"float": 985, "int64": 8, "int32": 7}) == "float 98%, int64 1%, int32 1%"
    assert weights_text({}) == "none"


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**12), min_size=1))
def test_whole_percents_sum_to_a_hundred(parts):
    percents = whole_percents(parts)
    assert sum(percents.values()) == (100 if sum(parts.values()) else 0)
    assert all(abs(percents[name] - 100 * held / sum(parts.values())) < 1 for name, held in parts.items() if percents)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    package = samples.mixed().write(tmp_path_factory.mktemp("parity") / "mixed")
    return verify(package, targets=["onnx-cpu", "reference"], measured=True)


@pytest.mark.slow
def test_a_measured_report_fills_every_cell(report):
    for target in report.targets:
        cells = dict(zip(SIDE_BY_SIDE, side_by_side(target), strict=True))
        assert all(cells.values()), cells
        numbers = {name: float(cells[name].replace(",", "")) for name in ("p50 ms", "p95 ms", "cold ms", "memory MB")}
        assert numbers["p50 ms"] <= numbers["p95 ms"] and numbers["cold ms"] > 0 and numbers["memory MB"] > 0
    assert all(name in str(report) for name in SIDE_BY_SIDE)


def test_the_page_holds_a_row_and_a_bar_per_target_and_no_script(report, tmp_path):
    text = write_page([report], tmp_path / "page.html").read_text()
    assert "<script" not in text and not re.search("https?:", text.replace("http://www.w3.org", ""))
    for title in ("Latency of one row", "Cold start", "Peak memory", "Size"):
        figure = re.search(rf"<figcaption>{title}.*?</svg>", text, re.DOTALL)
        assert figure and all(target.target in figure[0] for target in report.targets), title


def test_figures_of_a_slow_target_are_whole_and_inside_their_plots(report, tmp_path):
    took = Timings("mixed", "wasm", 1, {1: Samples(((1.06, 1.18, 1.24),))}, memory_mb=1234.6, cold_start_ms=98765.4)
    slow = replace(report.targets[1], timings=took, size_bytes=1_475_000_000)
    text = write_page([replace(report, targets=(report.targets[0], slow))], tmp_path / "page.html").read_text()
    assert "1,180 / 1,234 ms" in text and "98,765 ms" in text and "1,235 MB" in text and "1,475 MB" in text
    assert not re.search(r"\de\+\d", text)
    ends = [float(x) + 6.5 * len(label) for x, label in re.findall(r"<text x=([\d.]+) y=\S+ class=soft>([^<]*)</text>", text)]
    assert ends and max(ends) <= 420


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1.5e-7, "1.5e-07"), (99.94, "99.9"), (99.96, "100"), (999.7, "1,000"), (-1060.4, "-1,060")]
)
def test_figures_have_no_exponent_above_one(value, text):
    assert figure(value) == text


def test_several_packages_share_a_page(report, tmp_path):
    text = write_page([report, report], tmp_path / "page.html").read_text()
    assert "2 of 2 packages passed" in text and text.count("<details><summary>mixed") == 2


def refused():
    return TargetReport("paper", Fidelity(), refused="paper cannot hold Conv")


def test_a_target_that_refuses_fails_where_it_was_named_and_only_there(report, tmp_path):
    passed = report.targets[0]
    assert Report("p", "d", (passed, refused()), required=True).verdict == "failed"
    asked_all = Report("p", "d", (passed, refused()), required=False)
    assert asked_all.verdict == "passed" and "paper cannot hold Conv" in str(asked_all)
    assert "paper cannot hold Conv" in write_page([asked_all], tmp_path / "page.html").read_text()
    assert Report("p", "d", (refused(),), required=False).verdict == "failed", "nothing was proven"


def test_all_targets_says_who_was_not_asked(mixed, monkeypatch, tmp_path):
    from portside.runtimes import verify as module
    from portside.runtimes.onnx_cpu import OnnxCpu

    class Paper(OnnxCpu):
        name = "paper"

        def missing(self):
            return "a printer"

    monkeypatch.setattr(module, "installed", lambda: {"onnx-cpu": OnnxCpu, "paper": Paper})
    found = verify(mixed[1])
    assert [target.target for target in found.targets] == ["onnx-cpu"]
    assert "a printer" in found.absent["paper"] and "not asked: paper" in str(found)
    monkeypatch.setattr(module, "installed", lambda: {"paper": Paper})
    nothing = verify(mixed[1])
    assert not nothing and nothing.verdict == "failed" and "pip install 'portside[onnx]'" in nothing.absent["paper"]
    assert "a printer" in nothing.to_html(tmp_path / "page.html").read_text()


def test_held_out_cases_are_made_once_and_are_the_same(mixed, monkeypatch):
    sample, package = mixed
    from portside.runtimes.subjects import contract_of

    rules = contract_of(package).rules
    made = HeldOut(package, Data(sample.inputs(40)), rules)
    first, second = list(made.cases()), list(made.cases())
    assert [case is again for case, again in zip(first, second, strict=True)] == [True] * len(first)
    fresh = list(held_out(package, Data(sample.inputs(40)), rules))
    assert all(np.array_equal(a.outputs["label"], b.outputs["label"]) for a, b in zip(first, fresh, strict=True))
    monkeypatch.setattr("portside.runtimes.held_out.KEPT_BYTES", 10)
    large = HeldOut(package, Data(sample.inputs(40)), rules)
    assert sum(case.rows for case in large.cases()) == sum(case.rows for case in large.cases()) == 40
    assert large._kept is None
