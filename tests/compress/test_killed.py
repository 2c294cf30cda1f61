"""Passes that are killed go on where they were: the same package, and no step that was kept is made again."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import pytest
from sklearn.ensemble import RandomForestClassifier

import portside as ps
from portside.compress import calibration, distil, kept_steps, trials
from portside.compress.base import PassContext
from portside.compress.kept_steps import Series

sys.path.append(str(Path(__file__).parent))
import killed as script

STEPS = {
    "forest": {"forest-rows", "forest-made", "forest-ends", "forest-apart", "forest-order", "forest-option", "forest-costs", "forest-alpha",
               "forest-sweep"},
    "estimator": {"teacher", "fit"},
    "quantize": {"calibration"},
    "smoothed": {"smoothing"},
    "ladder": {"answers", "calibration", "sensitivity", "rung"},
}  # fmt: skip


class Stopped(BaseException):
    """As sudden as a kill, for what asks no questions."""


@pytest.fixture(scope="module")
def forest(cancer, tmp_path_factory):
    x, y = cancer
    model = RandomForestClassifier(12, max_depth=6, random_state=0).fit(x[:350], y[:350])
    return ps.pack(model, name="forest", examples={"x": x[:64]}, out=tmp_path_factory.mktemp("forest") / "forest")


@pytest.fixture
def subject(forest, fragile):
    return lambda what: forest if what in ("forest", "estimator") else fragile


@pytest.fixture
def steps(monkeypatch):
    """Every step that is made from here on, by kind; `stop_at` ends the run before the step of that number is made."""
    made, limit = [], [10**9]

    def tell(kind):
        if len(made) >= limit[0]:
            raise Stopped
        made.append(kind)

    for owner, name in ((Series, "step"), (trials.Workbench, "attempt"), (calibration.Seen, "add"), (distil, "fitted")):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # put back afterwards
    monkeypatch.setattr(kept_steps, "EVERY_S", 0.0)
    monkeypatch.setattr(trials, "_latency", script.as_fast)
    script.counted(tell)
    return made, limit


@pytest.mark.parametrize("what", [*STEPS])
def test_stopped_before_any_step_it_goes_on_from_there(what, subject, steps, tmp_path):
    """Nothing that was made is made again: outer steps that were under way begin again with what is within them."""
    made, limit = steps
    package, kept = subject(what), tmp_path / "kept"
    whole = script.made(package, what, None, tmp_path / "whole")
    once, stops = Counter(made), random.Random(4).sample(range(len(made)), 3)
    assert set(once) == STEPS[what]
    made.clear()
    for stop in sorted(stops):
        limit[0] = len(made) + max(1, stop // 3)
        with pytest.raises(Stopped):
            script.made(package, what, kept, tmp_path / "never")
    limit[0] = 10**9
    assert script.made(package, what, kept, tmp_path / "made").digest == whole.digest
    assert sum((Counter(made) - once).values()) <= len(stops)  # the outer step that was under way


def test_other_rows_settings_and_packages_find_nothing(forest, subject, steps, tmp_path):
    made, _ = steps
    kept = tmp_path / "kept"
    few, more = (script.rows(forest, count, 3) for count in (200, 260))
    calls = (  # (pass, rows, seed), each of which differs from the first in one thing
        (ps.Forest(0.3, trees=4), few, 0), (ps.Forest(0.2, trees=4), few, 0), (ps.Forest(0.3, trees=4), more, 0),
        (ps.Forest(0.3, trees=4), few, 1),
    )  # fmt: skip
    for number, (plan, rows, seed) in enumerate(calls):
        made.clear()
        plan.run(forest, rows, PassContext(tmp_path / f"{number}", seed, checkpoints=kept))
        assert set(made) >= STEPS["forest"] - {"forest-rows"}
        assert ("forest-rows" in made) == (rows is more or number == 0)  # what the program says of rows does not depend on the pass
    made.clear()
    script.made(subject("ladder"), "quantize", kept, tmp_path / "two")
    assert Counter(made) == {"calibration": 5}
    made.clear()
    ps.compress(subject("ladder"), ps.Quantize("int8-static", rows=96), script.rows(subject("ladder"), 200, 3), out=tmp_path / "three",
                resume=kept)  # fmt: skip
    assert Counter(made) == {"calibration": 3}


@pytest.mark.parametrize("what", ["forest", "estimator", "quantize", "ladder"])
def test_what_is_damaged_is_dropped_named_and_made_again(what, subject, steps, tmp_path):
    made, _ = steps
    package, kept, random_ = subject(what), tmp_path / "kept", random.Random(7)
    whole = script.made(package, what, kept, tmp_path / "whole")
    for folder in kept.glob(f"{whole.content.recipe[0]['kind']}-*"):  # the finished pass, which would be taken as it is
        shutil.rmtree(folder)
    files = sorted((kept / "training").glob("*.step"))
    hit = random_.sample(files, min(3, len(files)))
    for file in hit:
        data = bytearray(file.read_bytes())
        data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
        file.write_bytes(data)
    made.clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        again = script.made(package, what, kept, tmp_path / "again")
    assert again.digest == whole.digest
    named = {str(held.message).split(" ")[0] for held in said if "damaged" in str(held.message)}
    assert named <= {file.name for file in hit}
    assert named, "one of them is needed"


def killed(package: ps.Package, what: str, kept: Path, out: Path, after: int, wait_s: float) -> list[str]:
    """The lines of a run that is killed a moment after it said that many; of a whole run where it came to its end first."""
    command = [sys.executable, "-W", "error::RuntimeWarning:portside", script.__file__, package.path, what, kept, out]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = list[str]()
    for line in process.stdout:
        said.append(line.strip())
        if len(said) > after:
            time.sleep(wait_s)
            process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert process.returncode in (0, -signal.SIGKILL)
    return said


def kill_at(package: ps.Package, what: str, folder: Path, points: int, seed: int) -> None:
    """Killed at so many moments, then left alone: the digest of a run that nobody killed, and of each kind of steps so many and no more."""
    whole = killed(package, what, folder / "other", folder / "whole", 10**9, 0)
    once, random_, made = Counter(whole[:-1]), random.Random(seed), list[str]()
    rounds, runs = 0, 0
    while rounds < points:
        kept, finished, kills, made = folder / f"kept{runs}", "", 0, []
        while not finished:
            last, runs = rounds >= points, runs + 1
            said = killed(package, what, kept, folder / f"made{runs}", 10**9 if last else random_.randrange(len(whole)),
                          random_.random() * 0.03)  # fmt: skip
            finished = said.pop() if said and said[-1].startswith("finished") else ""
            made += said
            kills, rounds = kills + (not finished), rounds + (not finished)
        assert finished == whole[-1]
        for kind, count in (Counter(made) - once).items():
            assert count <= kills, f"{kind} was made {count} times more than {once[kind]}, in {kills} kills"


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.parametrize(
    "what", [pytest.param("forest", marks=pytest.mark.long), pytest.param("estimator", marks=pytest.mark.long), "ladder"]
)
def test_killed_at_some_moments(what, subject, tmp_path):
    kill_at(subject(what), what, tmp_path, points=2, seed=1)


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("what", [*STEPS])
def test_killed_at_many_moments(what, subject, tmp_path, effort):
    kill_at(subject(what), what, tmp_path, points=3 * effort, seed=2)
