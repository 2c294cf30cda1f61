"""verify, whole: artifacts and packages, golden and held-out rows, lossy artifacts, evidence, and what a report says."""

from __future__ import annotations

import errno
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from portside.runtimes import samples
from portside.runtimes.artifact import finish
from portside.runtimes.base import CompileOptions, runtime
from portside.runtimes.fidelity import Fidelity
from portside.runtimes.report import SIDE_BY_SIDE, TargetReport, side_by_side
from portside.runtimes.verify import verify
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.data import Data
from portside.sdk.core.errors import FormatError, IntegrityError, StoreError, UnsupportedError
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Content, Stage
from portside.sdk.core.package import Package, write
from portside.sdk.store import Store

WEIGHT = np.array([[1.0, -1.0, 0.5], [0.5, 1.0, -1.0], [-1.0, 0.5, 1.0], [0.2, 0.2, -0.4]], np.float32)


def data_of(sample: samples.Sample, rows: int) -> Data:
    inputs = sample.inputs(rows)
    labels = sample.truth(inputs)["label"] ^ (np.arange(rows) % 10 == 0)
    return Data(inputs, labels=labels, slices={"site": np.array(["a", "b", "b", "b"] * rows)[:rows], "odd": np.arange(rows) == 1})


@pytest.fixture
def artifact(mixed, tmp_path):
    """The package "mixed" on onnx-cpu."""
    return runtime("onnx-cpu").compile(mixed[1], CompileOptions(), tmp_path / "artifact")


def wrong(package: Package, out, lossy: bool = False):
    """An artifact of another model than the package says: its label is off by one for every 4th weight."""
    sample = samples.mixed()
    graph = sample.model.graph
    for node in graph.node:
        if node.op_type == "ArgMax":
            node.op_type = "ArgMin"
    model = sample.model.SerializeToString()
    stage = package.content.stages[0]
    files = {stage.file: model, CONTRACT: package.read(CONTRACT), CONTRACT_TENSORS: package.read(CONTRACT_TENSORS)}
    other = write(Content(package.signature, (stage,), {}), files, out.with_name("other"))
    made = runtime("onnx-cpu").compile(other, CompileOptions(), out)
    return finish(replace(made, package_digest=package.digest), lossy=lossy)


def test_a_package_passes_on_its_targets(mixed) -> None:
    sample, package = mixed
    report = verify(package, data_of(sample, 300), targets=["onnx-cpu", "reference"])
    assert report, str(report)
    assert [target.target for target in report.targets] == ["onnx-cpu", "reference"]
    assert all(target.held_out.rows == 300 for target in report.targets)


@pytest.mark.browser
@pytest.mark.long
def test_all_targets_pass_side_by_side(mixed) -> None:
    report = verify(mixed[1], measured=True)
    assert report, str(report)
    assert [target.target for target in report.targets] == ["onnx-cpu", "tflite", "wasm"]
    for target in report.targets:
        cells = dict(zip(SIDE_BY_SIDE, side_by_side(target), strict=True))
        assert all(cells.values()), cells


def test_an_artifact_is_verified_by_path_and_value(artifact) -> None:
    assert verify(artifact)
    assert verify(artifact.path)
    assert verify(str(artifact.path)).targets[0].artifact == artifact.digest


def test_an_altered_artifact_is_refused(artifact) -> None:
    file = next((artifact.path / "engine").iterdir())
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(IntegrityError):
        verify(artifact.path)


def test_a_wrong_artifact_fails_and_says_where(mixed, tmp_path) -> None:
    sample, package = mixed
    report = verify(wrong(package, tmp_path / "wrong"), data_of(sample, 200), package=package)
    assert report.verdict == "failed"
    assert not report
    label = next(check for check in report.targets[0].held_out.checks if check.output == "label")
    assert label.judgement.firm_flips > 100
    assert label.worst.reference != label.worst.got
    assert "firm rows are off (worst: case" in str(report)
    assert "held out" in str(report), "what failed is what a reader looks for"
    assert report.to_dict()["targets"][0]["held_out"]["verdict"] == "failed"


def test_data_without_the_package_gives_metrics_only(mixed, artifact) -> None:
    target = verify(artifact, data_of(mixed[0], 100)).targets[0]
    assert target.held_out is None
    assert target.quality.metrics["accuracy"].rows == 100
    assert any("need the package" in note for note in target.notes)


def test_quality_is_there_with_slices(mixed) -> None:
    sample, package = mixed
    quality = verify(package, data_of(sample, 300), targets="onnx-cpu").targets[0].quality
    assert quality.metrics["accuracy"].value == pytest.approx(0.9)
    assert quality.slices["odd=True"] is None
    assert quality.counts == {"site=a": 75, "site=b": 225, "odd=False": 299, "odd=True": 1}


def test_a_lossy_artifact_needs_rows(mixed, tmp_path) -> None:
    sample, package = mixed
    made = runtime("onnx-cpu").compile(package, CompileOptions(), tmp_path / "artifact")
    lossy = finish(made, lossy=True)
    assert verify(lossy, package=package).verdict == "not enough data"
    assert verify(lossy, data_of(sample, 200), package=package).verdict == "not enough data"
    assert verify(lossy, data_of(sample, 320), package=package).verdict == "passed"
    assert verify(wrong(package, tmp_path / "wrong", lossy=True), data_of(sample, 320), package=package).verdict == "failed"


def test_a_lossy_artifact_is_judged_on_its_packages_evidence(tmp_path) -> None:
    sample = samples.mixed()
    digest = Store().put_evidence(data_of(sample, 320))
    bare = sample.write(tmp_path / "bare")
    files = {name: bare.read(name) for name in bare.content.files}
    package = write(replace(bare.content, evidence=digest), files, tmp_path / "with")
    made = finish(runtime("onnx-cpu").compile(package, CompileOptions(), tmp_path / "artifact"), lossy=True)
    report = verify(made, package=package)
    assert (report.verdict, report.targets[0].held_out.rows) == ("passed", 320)
    lost = write(replace(bare.content, evidence="sha256:" + "0" * 64), files, tmp_path / "lost")
    other = finish(runtime("onnx-cpu").compile(lost, CompileOptions(), tmp_path / "other"), lossy=True)
    report = verify(other, package=lost)
    assert report.verdict == "not enough data"
    assert any("not in this store" in note for note in report.targets[0].notes)


def test_an_artifact_of_another_package_is_refused(mixed, artifact, tmp_path) -> None:
    with pytest.raises(FormatError, match="not compiled from this package"):
        verify(artifact, package=samples.scalar().write(tmp_path / "scalar"))


def test_unknown_targets_and_subjects_are_refused(mixed, tmp_path) -> None:
    with pytest.raises(UnsupportedError, match="no such target"):
        verify(mixed[1], targets=["abacus"])
    with pytest.raises(FormatError):
        verify(tmp_path)


def test_a_package_without_a_contract_is_refused(tmp_path) -> None:
    sample = samples.scalar()
    names = [tuple(value.name for value in side) for side in (sample.model.graph.input, sample.model.graph.output)]
    stage = Stage("graph", "main", "program/00-main.onnx", *names)
    package = write(Content(sample.signature, (stage,), {}), {stage.file: sample.model.SerializeToString()}, tmp_path / "p")
    with pytest.raises(FormatError, match="has no contract"):
        verify(package, targets="onnx-cpu")


def test_no_cases_is_not_enough_data(mixed, tmp_path) -> None:
    package = mixed[1]
    head, tensors = Contract((), {"label": Rule("decision")}).to_bytes()
    files = {name: package.read(name) for name in package.content.files} | {CONTRACT: head, CONTRACT_TENSORS: tensors}
    empty = write(package.content, files, tmp_path / "empty")
    assert verify(empty, targets="onnx-cpu").verdict == "not enough data"


@pytest.mark.parametrize(("golden", "held", "lossy", "verdict"), [
    ("passed", None, False, "passed"), ("passed", "failed", False, "failed"), ("failed", "passed", True, "failed"),
    ("not enough data", "passed", True, "passed"), ("not enough data", "passed", False, "not enough data"),
    ("passed", "not enough data", True, "not enough data"),
])  # fmt: skip
def test_verdicts_combine(golden, held, lossy, verdict) -> None:
    class Fixed(Fidelity):
        @property
        def verdict(self):
            return self.fault

    found = TargetReport("t", Fixed(fault=golden), Fixed(fault=held) if held else None, lossy=lossy)
    assert found.verdict == verdict


class Tags(HTMLParser):
    """Takes down every tag and attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.seen += [tag, *(f"{tag}.{name}" for name, _ in attrs)]


def test_the_page_stands_alone_and_escapes(mixed, tmp_path) -> None:
    sample, package = mixed
    report = replace(verify(package, data_of(sample, 64), targets="onnx-cpu"), name="<script>alert(1)</script>")
    text = report.to_html(tmp_path / "deep" / "report.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert not {"script", "link", "img", "iframe", "a.href"} & set(tags.seen)
    assert "http:" not in text and "https:" not in text
    assert "prefers-color-scheme:dark" in text
    assert {"svg", "table"} <= set(tags.seen)
    for word in ("label", "Worst examples", "difference", "two-sided", "one-sided", "Held-out rows", "site=b", "not enough data"):
        assert word in text
    assert text.count("<div") == text.count("</div>")
    assert not re.search(r"\bnan\b|\bNone\b", text)


def test_reports_are_json(mixed, tmp_path) -> None:
    sample, package = mixed
    report = verify(wrong(package, tmp_path / "wrong"), data_of(sample, 40), package=package)
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert (data["verdict"], data["targets"][0]["golden"]["outputs"][0]["output"]) == ("failed", "scores")


def test_sequences_are_verified_in_order(tmp_path) -> None:
    sample = samples.stateful()
    x = np.ones((1, 2), np.float32)
    outputs = [{"y": -x * (0.5 + step), "h_out": x * (0.5 + step)} for step in (1, 2, 3)]
    cases = tuple(Case({"x": x}, held, {}, ("sequence",), {}, "0") for held in outputs)
    head, tensors = Contract(cases, sample.rules).to_bytes()
    bare = sample.write(tmp_path / "bare")
    files = {name: bare.read(name) for name in bare.content.files} | {CONTRACT: head, CONTRACT_TENSORS: tensors}
    assert verify(write(bare.content, files, tmp_path / "p"), targets="onnx-cpu")


def test_a_full_disk_is_a_store_error(mixed, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("portside.runtimes.onnx_cpu.OnnxCpu.compile", full)
    with pytest.raises(StoreError, match="No space left"):
        verify(mixed[1], targets=["onnx-cpu"])
