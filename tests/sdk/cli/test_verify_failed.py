"""A verification that fails is reported whole: a report is falsy then, and must not be taken for none."""

from __future__ import annotations

from portside.runtimes.fidelity import Fidelity
from portside.runtimes.report import Report, TargetReport
from portside.sdk.cli.verify import Outcome, _data, _details


def test_a_failed_report_keeps_its_figures_and_its_details() -> None:
    report = Report("cell", "sha256:" + "0" * 64, (TargetReport("wasm", Fidelity(fault="case 3: boom")),))
    outcome = Outcome("cell", 1.0, report)
    assert not report and _data(outcome)["targets"][0]["verdict"] == "failed"
    assert any("boom" in line for line in _details(outcome))
