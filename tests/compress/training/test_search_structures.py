"""A search over structures and precision: short trainings first, resumed after a kill, packages that compile, refusals before any work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import portside as ps
from portside.compress import structured, trials
from portside.compress.front import Front
from portside.compress.searching import Searching
from portside.compress.shelf import Shelf
from portside.sdk.core.errors import InputError, TrustError, UnsupportedError

SCRIPT = Path(__file__).with_name("structures_searched.py")
BUDGET = ps.Budget(max_drop=0.5)


def pruned(ratio: float, epochs: float = 3) -> list:
    return [ps.Prune(ratio, steps=1, epochs=0), ps.Distil(epochs=epochs)]


TWO = [pruned(0.5), pruned(0.2)]


def four(run: Searching) -> bool:
    return sum(held.settings.structure == run.structure for held in run.store.trials.values()) > 3


def brief(patch: pytest.MonkeyPatch) -> None:
    """Latency is measured briefly, and precision is searched for four trials a structure, however fast the machine is."""
    patch.setattr(trials, "REPEATS", 1)
    patch.setattr(trials, "SECONDS", 0.002)
    patch.setattr(structured, "SHARES", (1 / 9, 1.0))
    patch.setattr(Searching, "_late", four)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    brief(monkeypatch)


@pytest.fixture(scope="module")
def searched(trainable, parts, tmp_path_factory):
    """(front, folder) of a small search."""
    train, held = parts
    folder = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        brief(patch)
        front = ps.search(trainable, "onnx-cpu", BUDGET, held, 30, structures=TWO, train=train, resume=folder)
    return front, folder


@pytest.mark.slow
@pytest.mark.long
def test_the_front_has_structures_and_the_package_as_it_was(searched) -> None:
    front, _ = searched
    changed = [trial for trial in front.trials if trial.settings.structure]
    plain = [trial for trial in front.trials if not trial.settings.structure]
    assert plain[0].settings.as_it_was and {"int8-static", "float32"} <= {trial.settings.precision for trial in plain}
    floats = [trial.settings.structure for trial in changed if trial.settings.precision == "float32"]
    assert sorted(round(held.share, 3) for held in floats) == [0.111, 0.111, 1, 1]
    assert any(trial.settings.precision == "int8-static" and trial.settings.structure.share == 1 for trial in changed)
    smallest = min(front.points, key=lambda trial: trial.figures["size_mb"])
    assert smallest.settings.structure and smallest.figures["size_ratio"] < 0.3
    assert all(trial.figures["trained_s"] > 0 for trial in changed if trial.settings.precision == "float32")
    assert "1/9 of its training" in str(front)


@pytest.mark.slow
@pytest.mark.long
def test_longer_trainings_come_nearer_to_the_source(searched) -> None:
    front, _ = searched
    held = {(str(trial.settings.structure.at(1)), trial.settings.structure.share): trial.loss for trial in front.trials
            if trial.settings.structure and trial.settings.precision == "float32"}  # fmt: skip
    for name in {name for name, _ in held}:
        assert held[name, 1.0] < held[name, 1 / 9]


@pytest.mark.slow
@pytest.mark.long
def test_packages_come_of_their_recipe_and_compile(searched, trainable, parts, tmp_path) -> None:
    front, _ = searched
    lower = next(trial for trial in front.trials if trial.settings.precision == "int8-static" and trial.settings.structure)
    made = front.package_of(lower, tmp_path / "lower")
    assert [step["kind"] for step in made.content.recipe] == ["prune", "distil", "quantize", "gates"]
    assert made.content.parents == (trainable.digest,) and made.content.plan is not None
    trial = min((trial for trial in front.points if trial.settings.structure), key=lambda trial: trial.figures["size_mb"])
    assert [step["kind"] for step in front.package_of(trial, tmp_path / "made").content.recipe][:2] == ["prune", "distil"]
    again = ps.open(tmp_path / "made", trust=True)
    artifact = ps.compile(again, "onnx-cpu", tmp_path / "artifact", data=parts[1], ancestor=trainable)
    assert artifact.size_bytes / 1e6 == pytest.approx(trial.figures["size_mb"], rel=0.02)
    assert artifact.verified["audit"]["gates"][0]["name"] == "max_drop"
    assert front.best is not None and front.best_trial.passed


@pytest.mark.long
@pytest.mark.slow
def test_structures_left_behind_are_trained_where_the_package_as_it_was_costs_too_much(trainable, parts, searched) -> None:
    train, held = parts
    front, _ = searched
    assert not any("left behind" in why for _, why in front.rungs), "no limit of cost: the package as it was is worth its time"
    least = min(trial.figures["size_mb"] for trial in front.trials if trial.figures and not trial.settings.structure)
    asked = [pruned(ratio, 1) for ratio in (0.5, 0.35, 0.2)]
    found = ps.search(trainable, "onnx-cpu", ps.Budget(size_mb=least * 0.9, max_drop=0.5), held, 30, structures=asked, train=train)
    lowered = {trial.settings.structure for trial in found.trials if trial.settings.precision != "float32"}
    assert sum(bool(held) and held.share == 1 for held in lowered) == 3
    assert any("left behind" in why for _, why in found.rungs)


@pytest.mark.slow
@pytest.mark.long
def test_a_front_with_structures_survives_a_file(searched, tmp_path) -> None:
    front, _ = searched
    data = json.loads(json.dumps(front.to_dict()))
    back = Front.from_dict(data)
    assert [trial.settings for trial in back.trials] == [trial.settings for trial in front.trials]
    assert back.to_dict()["points"] == data["points"] and back.to_dict()["best"] == data["best"]
    assert "prune 0.5, distil" in front.report(tmp_path / "page.html").read_text()


@pytest.mark.slow
@pytest.mark.long
def test_the_same_folder_trains_nothing_again(searched, trainable, parts, monkeypatch) -> None:
    front, folder = searched
    train, held = parts
    monkeypatch.setattr(Shelf, "_run", lambda *_: pytest.fail("trained again"))
    again = ps.search(trainable, "onnx-cpu", BUDGET, held, 30, structures=TWO, train=train, resume=folder)
    assert again.trials == front.trials
    plain = ps.search(trainable, "onnx-cpu", BUDGET, held, 1e-4, calibration=train, resume=folder)
    assert plain.trials and not any(trial.settings.structure for trial in plain.trials)


@pytest.mark.slow
@pytest.mark.long
def test_an_interrupt_in_a_training_keeps_what_there_is(trainable, parts) -> None:
    def stop(done: int, of: int, what: str) -> None:
        if "distilling" in what:
            raise KeyboardInterrupt

    train, held = parts
    found = ps.search(trainable, "onnx-cpu", BUDGET, held, 30, structures=TWO, train=train, progress=stop)
    assert found.ended == "interrupted" and len(found.trials) >= 2


@pytest.mark.slow
@pytest.mark.long
def test_a_training_that_does_not_end_in_time_is_no_trial(trainable, parts) -> None:
    train, held = parts
    found = ps.search(trainable, "onnx-cpu", BUDGET, held, 0.05, structures=[pruned(0.5, 500)], train=train)
    assert not any(trial.settings.structure for trial in found.trials)
    assert any("time" in remark and "prune 0.5" in remark for remark in found.remarks)


@pytest.mark.slow
@pytest.mark.long
def test_a_structure_that_cannot_be_is_a_trial_that_failed(trainable, parts) -> None:
    train, held = parts
    found = ps.search(trainable, "onnx-cpu", BUDGET, held, 30, structures=[[ps.Prune(0.001, steps=1, epochs=0)]], train=train)
    (failed,) = [trial for trial in found.trials if trial.settings.structure]
    assert failed.verdict == "failed" and "cannot be kept" in failed.fault


@pytest.mark.parametrize(("options", "data", "error", "said"), [
    ({"structures": "auto"}, None, InputError, "learn from rows"),
    ({"structures": "every", "train": 1}, None, InputError, "or 'auto'"),
    ({"structures": [], "train": 1}, None, InputError, "no structures"),
    ({"structures": TWO, "train": 1, "budget": ps.Budget(size_mb=1)}, None, InputError, "contract cannot judge"),
    ({"structures": TWO, "train": 1}, "unlabelled", InputError, "Without labels"),
    ({"structures": [ps.Quantize("float16")], "train": 1}, None, InputError, "ends in float"),
    ({"structures": [{"pass": [{"kind": "shrink"}]}], "train": 1}, None, InputError, "no such pass"),
    ({"structures": [3], "train": 1}, None, InputError, "made by passes"),
    ({"structures": [ps.Recipe([ps.Prune()], ps.Budget(max_drop=0.1))], "train": 1}, None, InputError, "in its budget"),
    ({"structures": TWO, "train": 1, "trust": False}, None, TrustError, "Python of its own"),
    ({"structures": "auto", "train": 1, "trust": False}, None, TrustError, "Python of its own"),
])  # fmt: skip
def test_what_means_nothing_is_refused_before_any_work(trainable, parts, tmp_path, options, data, error, said) -> None:
    train, held = parts
    options = dict(options) | ({"train": train} if "train" in options else {})
    package = ps.open(trainable.path) if options.pop("trust", True) is False else trainable
    rows = ps.Data(held.inputs) if data else held
    with pytest.raises(error, match=said):
        ps.search(package, data=rows, minutes=1, resume=tmp_path / "kept", progress=lambda *_: pytest.fail("began"),
                  **{"budget": BUDGET, **options})  # fmt: skip
    assert not (tmp_path / "kept").exists()


def test_what_a_package_can_take(trainable, parts) -> None:
    from portside.compress.structuring import structures_of

    train, held = parts
    found = structures_of("auto", trainable, held, train, BUDGET)
    assert [str(held) for held in found] == [
        "prune 0.3, distil", "prune 0.15, distil", "prune 0.3, low-rank 0.5, distil", "prune 0.5, distil", "prune 0.08, distil",
        "low-rank 0.5, distil", "low-rank 0.25, distil",
    ]  # fmt: skip
    assert all(held.steps[-1]["epochs"] == 2 and held.trains for held in found), "the whole schedule of the package"
    own = structures_of([ps.Prune(0.5), ps.Distil("other", teacher="one")], trainable, held, train, BUDGET)
    assert [held.steps[0].get("epochs") for held in own] == [0.4, None]


def test_a_package_that_takes_nothing(parts) -> None:
    from sklearn.linear_model import LogisticRegression

    train, held = parts
    model = LogisticRegression(max_iter=500).fit(train.inputs["image"][:200], train.labels[:200])
    package = ps.pack(model, name="line", examples={"image": train.inputs["image"][:32]}, labels=train.labels[:32])
    with pytest.raises(UnsupportedError, match="no structure"):
        ps.search(package, data=held, budget=BUDGET, structures="auto", train=train)


@pytest.mark.slow
@pytest.mark.long
def test_a_forest_is_thinned_without_training_code(parts) -> None:
    from sklearn.ensemble import RandomForestClassifier

    train, held = parts
    model = RandomForestClassifier(12, max_depth=6, random_state=0).fit(train.inputs["image"], train.labels)
    package = ps.pack(model, name="forest", examples={"image": train.inputs["image"][:64]}, labels=train.labels[:64])
    found = ps.search(package, "onnx-cpu", BUDGET, held, 30, structures=[ps.Forest(0.3)], train=train)
    (thinned,) = [trial for trial in found.trials if str(trial.settings) == "forest 0.3; float32"]
    assert thinned.figures["size_ratio"] < 0.5 and thinned.passed


def killed_in(word: str, package: Path, folder: Path, calls: int) -> list[str]:
    """Run the script until a line with the word has come so often, kill it, and give its lines."""
    process = subprocess.Popen([sys.executable, SCRIPT, package, folder], stdout=subprocess.PIPE, text=True, cwd=SCRIPT.parent)
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.strip())
        if sum(word in held for held in lines) >= calls:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return lines


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.chaos
def test_killed_in_a_training_it_repeats_none_that_was_finished(trainable, tmp_path) -> None:
    folder = tmp_path / "kept"
    first = killed_in("ran distil", trainable.path, folder, 2)
    (folder / "structures" / ".making-of-a-kill").mkdir()
    second = killed_in("finished", trainable.path, folder, 1)
    ran = [line for line in first if line.startswith("ran ")]
    again = [line for line in second if line.startswith("ran ")]
    assert len(ran) >= 3 and not set(ran) & set(again), "a pass that was finished ran again"
    assert second[-1].startswith("finished") and not list((folder / "structures").glob(".making-*"))
    kept = [json.loads(file.read_text())["trial"]["settings"] for file in (folder / "trials").glob("*.json")]
    assert len({json.dumps(held, sort_keys=True) for held in kept}) == len(kept)
