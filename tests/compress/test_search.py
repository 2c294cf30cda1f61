"""search: the front, resuming, being killed, and verdicts where the data or the budget are no good."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import portside as ps
from portside.compress import calibration, distil, kept_steps, rungs, trials
from portside.compress.searching import Searching
from portside.compress.trials import Workbench
from portside.runtimes import samples
from portside.runtimes.subjects import contract_of
from portside.sdk.core.errors import ContractError, InputError, MissingExtraError, StoreError
from portside.sdk.core.plan import plan_of

sys.path.append(str(Path(__file__).parent))
import killed as script

SCRIPT = Path(__file__).with_name("searched.py")


@pytest.fixture(autouse=True)
def quick(brief_latency: None) -> None:
    """In place of the folder's: what is slower than float matters here."""


@pytest.fixture
def package(tmp_path: Path) -> ps.Package:
    return samples.mixed().write(tmp_path / "mixed")


def rows(count: int, seed: int = 3) -> ps.Data:
    sample, made = samples.mixed(), np.random.default_rng(seed)
    inputs = {"x": made.normal(size=(count, 4)).astype(np.float32), "ids": made.integers(0, 100, count), "on": made.random(count) < 0.5}
    return ps.Data(inputs=inputs, labels=sample.truth(inputs)["label"], slices={"on": inputs["on"]})


@pytest.mark.exact_sums
def test_everything_is_tried_and_the_best_compiles(package, tmp_path) -> None:
    said: list[str] = []
    found = ps.search(package, budget=ps.Budget(p95_ms=500), data=rows(1200), calibration=rows(200, 4), minutes=1,
                      progress=lambda done, of, what: said.append(what))  # fmt: skip
    assert found.ended == "everything tried" and found.verdict == "within the budget"
    assert found.trials[0].settings.precision == "float32" and found.rungs
    assert len({trial.settings.key for trial in found.trials}) == len(found.trials) > 8
    assert found.best_trial.passed and found.best_trial.figures["p95_ms"] <= 500
    assert ps.compile(found.best, "onnx-cpu", tmp_path / "artifact", data=rows(1200)).package_digest == found.best.digest
    lossy = next(trial for trial in found.trials if trial.passed and trial.settings.precision == "int8-static")
    derived = found.package_of(lossy, tmp_path / "derived")
    assert derived.content.parents == (package.digest,) and derived.content.plan is not None
    assert any(text.startswith("trial 2:") and "s left; best so far: float32" in text for text in said)


@pytest.mark.exact_sums
def test_packages_of_a_search_keep_its_gates_and_a_compile_asks_them(package, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Searching, "_late", lambda self: len(self.store.trials) >= 3)  # the float package, its first class, a rung
    found = ps.search(package, budget=ps.Budget(max_flips=0.3, size_mb=500), data=rows(1200), calibration=rows(200, 4), minutes=10)
    lossy = next(trial for trial in found.trials if trial.settings.precision == "int8-static")
    made = found.package_of(lossy, tmp_path / "made")
    assert made.content.recipe[-1] == {"kind": "gates", "max_flips": 0.3}, "a compile cannot judge a size"
    assert made.content.parents == (package.digest,) and made.content.plan is not None
    assert contract_of(made).rules["label"].limits["max_flips"] == 0.3
    audit = ps.compile(made, "onnx-cpu", tmp_path / "artifact", data=rows(1200)).verified["audit"]
    assert audit["ancestor"] == package.digest and [gate["name"] for gate in audit["gates"]] == ["max_flips"]
    with pytest.raises(ContractError, match="no rows to judge"):
        ps.compile(made, "onnx-cpu", tmp_path / "none", allow_unproven=True)
    assert not (tmp_path / "none").exists()
    held = found.to_dict()["trials"][found.to_dict()["best"]]["gates"]
    assert [(gate["name"], gate["verdict"]) for gate in held] == [("max_flips", "passed")] and held[0]["measured"] <= 0.3
    assert "max_flips  0.3" in str(found)


def test_the_call_that_makes_it_again_names_the_rows_that_were_given(package) -> None:
    held, learned = rows(100), rows(100, 4)
    given = {"data=data": {}, "calibration=calibration": {"calibration": learned}, "train=train": {"train": learned}}
    for words, rows_of in given.items():
        said = ps.search(package, data=held, minutes=1e-4, prices=2, **rows_of).command
        assert words in said and "data=data" in said and "prices=2" in said
        assert not any(other in said for other in given if other not in ("data=data", words))


def test_what_is_smaller_and_slower_is_not_said_to_be_neither(network, calibration, monkeypatch) -> None:
    monkeypatch.setattr(Searching, "_late", lambda self: len(self.store.trials) >= 2)
    monkeypatch.setattr(rungs, "SLOWER", 0.0)  # whatever is lower than float is slower, by this
    found = ps.search(network, budget=ps.Budget(max_flips=0.2), data=calibration, calibration=calibration, minutes=10)
    assert found.best_trial.settings.as_it_was and found.trials[1].passed and found.trials[1].figures["size_ratio"] < 1
    (said,) = [remark for remark in found.remarks if "nothing below float32" in remark]
    assert "smaller or faster without costing more of the other" in said


def test_a_search_asks_what_a_compile_of_its_best_asks(network, expecting, calibration, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Searching, "_late", lambda self: len(self.store.trials) >= 2)
    budget, held = ps.Budget(max_flips=0.3), {"data": calibration, "calibration": calibration}
    found = ps.search(expecting(network, tmp_path / "no", ps.Invariance("x", scale=-1)), budget=budget, minutes=10, **held)
    assert found.best is None and found.outcome == "nothing within the budget"
    assert "invariance: scale -1 in x" in found.verdict and "invariance: scale -1 in x  0.01" in str(found)
    assert found.binding.limit == "invariance: scale -1 in x" and found.binding.measured > 0.5
    page = found.report(tmp_path / "front.html").read_text()
    assert "<h3>Expectations</h3>" in page and "in the ancestor" in page
    package = expecting(network, tmp_path / "yes", ps.Invariance("x", scale=1.0001, at_most=0.1))
    found = ps.search(package, budget=budget, minutes=10, **held)
    lossy = found.trials[1]
    assert lossy.passed and [gate.name for gate in lossy.asked] == ["max_flips", "invariance: scale 1.0001 in x"]
    made = ps.compile(found.package_of(lossy, tmp_path / "made"), "onnx-cpu", tmp_path / "artifact", data=calibration)
    (asked,) = made.verified["audit"]["expectations"]
    assert asked["verdict"] == "passed" and asked["measured"] == lossy.asked[1].measured


def test_what_calibration_warns_of_is_said_once_and_kept_by_what_is_made(network, calibration, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Searching, "_late", lambda self: len(self.store.trials) >= 2)
    found = ps.search(network, data=calibration, calibration=calibration.take(range(40)), minutes=10)
    assert str(found).count("calibrated on 40 rows") == 1
    assert found.report(tmp_path / "front.html").read_text().count("calibrated on 40 rows") == 1
    (kept,) = plan_of(found.package_of(found.trials[1], tmp_path / "made").content.plan).warnings
    assert kept.startswith("calibrated on 40 rows")


def test_finished_trials_are_not_made_again(package, tmp_path, monkeypatch) -> None:
    first = ps.search(package, data=rows(400), minutes=0.02, resume=tmp_path / "kept")
    monkeypatch.setattr(Workbench, "attempt", lambda *_: pytest.fail("tried again"))
    monkeypatch.setattr(Searching, "_late", lambda self: len(self.store.trials) >= len(first.trials))
    again = ps.search(package, data=rows(400), minutes=0.02, resume=tmp_path / "kept")
    assert again.trials == first.trials and len(list((tmp_path / "kept" / "trials").iterdir())) == len(first.trials)


def test_other_rows_are_other_trials(package, tmp_path) -> None:
    for data in (rows(100), rows(100, 9), rows(100)):
        found = ps.search(package, data=data, minutes=1e-4, resume=tmp_path)
        assert [trial.settings.precision for trial in found.trials] == ["float32"]
    assert len(list((tmp_path / "trials").iterdir())) == 2


def test_a_broken_file_is_tried_again_and_said(package, tmp_path) -> None:
    ps.search(package, data=rows(100), minutes=1e-4, resume=tmp_path)
    (file,) = (tmp_path / "trials").iterdir()
    file.write_text("{")
    found = ps.search(package, data=rows(100), minutes=1e-4, resume=tmp_path)
    assert json.loads(file.read_text())["trial"]["verdict"] == "passed" and "tried again" in found.remarks[0]


def test_a_trial_of_which_a_figure_was_changed_is_tried_again_and_said(package, tmp_path) -> None:
    first = ps.search(package, data=rows(100), minutes=1e-4, resume=tmp_path)
    (file,) = (tmp_path / "trials").iterdir()
    held = json.loads(file.read_text())
    held["trial"]["figures"]["size_mb"] /= 2
    file.write_text(json.dumps(held))
    found = ps.search(package, data=rows(100), minutes=1e-4, resume=tmp_path)
    assert "not as it was written" in found.remarks[0] and "tried again" in found.remarks[0]
    assert found.trials[0].figures["size_mb"] == first.trials[0].figures["size_mb"]


def test_a_trial_that_knows_its_gates_as_words_alone_is_tried_again_and_said(package, tmp_path) -> None:
    budget = ps.Budget(max_flips=0.05)
    ps.search(package, budget=budget, data=rows(100), minutes=1e-4, resume=tmp_path)
    (file,) = (tmp_path / "trials").iterdir()
    held = json.loads(file.read_text())
    del held["trial"]["gates"], held["trial"]["broken"]
    file.write_text(json.dumps({**held, "format": 1}))
    found = ps.search(package, budget=budget, data=rows(100), minutes=1e-4, resume=tmp_path)
    assert "another format" in found.remarks[0] and "tried again" in found.remarks[0]
    assert [gate.name for gate in found.trials[0].gates] == ["max_flips"]
    assert json.loads(file.read_text())["trial"]["gates"]
    again = ps.search(package, budget=budget, data=rows(100), minutes=1e-4, resume=tmp_path)
    assert again.trials == found.trials and "format" not in str(again.remarks)
    ps.search(package, data=rows(100), minutes=1e-4, resume=tmp_path)
    other = next(path for path in (tmp_path / "trials").iterdir() if path != file)
    other.write_text(json.dumps({**json.loads(other.read_text()), "format": 1}))
    assert "format" not in str(ps.search(package, budget=budget, data=rows(100), minutes=1e-4, resume=tmp_path).remarks), "of other gates"


def test_two_searches_in_one_folder(package, tmp_path) -> None:
    def second(done: int, of: int, what: str) -> None:
        if what.startswith("trial 1:"):
            with pytest.raises(StoreError, match="Another search runs"):
                ps.search(package, data=rows(50), minutes=1e-4, resume=tmp_path)

    ps.search(package, data=rows(50), minutes=1e-4, resume=tmp_path, progress=second)


def test_an_interrupt_keeps_what_there_is(package) -> None:
    def stop(done: int, of: int, what: str) -> None:
        if what.startswith("trial 3:"):
            raise KeyboardInterrupt

    found = ps.search(package, data=rows(400), minutes=1, progress=stop)
    assert found.ended == "interrupted" and len(found.trials) == 2


def test_what_trials_share_is_kept_with_them(package, tmp_path, monkeypatch) -> None:
    made: list[str] = []
    for owner, name in ((kept_steps.Series, "step"), (Workbench, "attempt"), (calibration.Seen, "add"), (distil, "fitted")):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # put back afterwards
    monkeypatch.setattr(kept_steps, "EVERY_S", 0.0)
    script.counted(made.append)

    def stop(done: int, of: int, what: str) -> None:
        if "calibration" in made and what.startswith("trial "):
            raise KeyboardInterrupt

    first = ps.search(package, data=rows(200), minutes=1, resume=tmp_path, progress=stop)
    assert first.ended == "interrupted" and {"answers", "calibration"} <= set(made)
    made.clear()
    again = ps.search(package, data=rows(200), minutes=1e-3, resume=tmp_path)
    assert len(again.trials) >= len(first.trials) and not {"answers", "calibration"} & set(made)
    made.clear()
    ps.search(package, data=rows(201), minutes=1e-4, resume=tmp_path)
    assert "answers" in made


def test_trials_that_raise_are_recorded(package, monkeypatch) -> None:
    real = Workbench.attempt

    def attempt(self, settings):
        if settings.precision == "int8-static":
            raise RuntimeError("the engine is gone")
        return real(self, settings)

    monkeypatch.setattr(Workbench, "attempt", attempt)
    monkeypatch.setattr(Searching, "_late", lambda self: len(self.store.trials) >= 3)
    found = ps.search(package, data=rows(400), minutes=10)
    (failed,) = [trial for trial in found.trials if trial.fault]
    assert failed.fault == "RuntimeError: the engine is gone" and found.best_trial.passed


def test_answers_that_are_no_numbers_do_not_pass(package, monkeypatch) -> None:
    real = trials.answered

    def answered(session, *rest):
        found = real(session, *rest)
        if session.info.target != "reference":
            for batch in found.batches:
                batch["scores"][:] = np.nan
        return found

    monkeypatch.setattr(trials, "answered", answered)
    found = ps.search(package, budget=ps.Budget(max_drop=0.01), data=rows(400), minutes=0.03)
    assert found.best_trial is None and found.best is None and found.outcome == "nothing within the budget"
    json.dumps(found.to_dict())
    assert "nothing within the budget" in str(found)


@pytest.mark.parametrize(("limits", "data", "outcome", "said"), [
    ({"size_mb": 1e-6}, rows(400), "nothing within the budget", "size_mb"),
    ({"max_flips": 0.001}, rows(30), "not enough data", "max_flips"),
    ({"max_drop": 0.01}, ps.Data(rows(400).inputs), "not enough data", "labels are needed"),
    ({"max_slice_drop": 0.01}, ps.Data(rows(3).inputs, rows(3).labels, {"site": ["a"] * 3}), "not enough data", "site=a (3 rows)"),
])  # fmt: skip
def test_verdicts_are_clear(package, tmp_path, limits, data, outcome, said) -> None:
    found = ps.search(package, budget=ps.Budget(**limits), data=data, minutes=0.01)
    assert found.outcome == outcome and said in found.verdict and found.best is None
    assert said in found.report(tmp_path / "page.html").read_text()


def test_a_price_is_one_more_axis(package) -> None:
    found = ps.search(package, budget=ps.Budget(cost_per_1k=1e-12), data=rows(100), minutes=1e-4, prices={"onnx-cpu": 3.6})
    assert found.trials[0].figures["cost_per_1k"] == pytest.approx(found.trials[0].figures["p50_ms"] / 1000)
    assert found.binding.limit == "cost_per_1k"
    with pytest.raises(InputError, match="price of an hour"):
        ps.search(package, budget=ps.Budget(cost_per_1k=1), data=rows(100))


def test_what_is_missing_is_said(package, monkeypatch) -> None:
    with pytest.raises(InputError, match="no evidence set"):
        ps.search(package)
    with pytest.raises(InputError, match="needs time"):
        ps.search(package, data=rows(10), minutes=0)
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "portside.compress.proposals", raising=False)
    with pytest.raises(MissingExtraError, match=r"portside\[compress\]"):
        ps.search(package, data=rows(10))


def killed(package: Path, folder: Path, trial: int, after: float) -> int:
    """Run the script until it logs this trial, wait a moment, kill it; trials that were begun by then."""
    process = subprocess.Popen([sys.executable, SCRIPT, package, "300", folder, "1"], stdout=subprocess.PIPE, text=True)
    begun = 0
    assert process.stdout is not None
    for line in process.stdout:
        begun = int(line.removeprefix("trial ").partition(":")[0]) if line.startswith("trial ") else begun
        if begun >= trial:
            break
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    begun = max([begun, *(int(line[6:].partition(":")[0]) for line in process.stdout if line.startswith("trial "))])
    process.wait()
    process.stdout.close()
    return begun


def kill_at(package: ps.Package, folder: Path, points: int, seed: int) -> None:
    random_ = random.Random(seed)
    for point in range(points):
        before = len(list(folder.glob("trials/*.json")))
        begun = killed(package.path, folder, before + random_.randint(1, 3), random_.random() * 0.2)
        kept = list(folder.glob("trials/*.json"))
        assert len(kept) >= begun - 1, f"point {point}: {begun} begun, {len(kept)} kept"
        assert all(json.loads(file.read_text())["trial"]["verdict"] for file in kept)


def test_killed_at_any_moment_it_loses_at_most_the_trial_in_flight(package, tmp_path) -> None:
    kill_at(package, tmp_path / "kept", points=2, seed=1)


@pytest.mark.chaos
@pytest.mark.slow
def test_killed_at_twenty_moments(package, tmp_path) -> None:
    kill_at(package, tmp_path / "kept", points=20, seed=2)
