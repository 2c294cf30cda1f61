"""`portside automation`: from answers in the shadow to a threshold that a server takes up, and what is said on the way."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "cloud"))
import dialled_up

from portside.cloud.answering.answers import Question
from portside.cloud.records.database import Database
from portside.cloud.records.labelling import label
from portside.cloud.records.reading import records
from portside.sdk.core.labels import Label
from portside.sdk.core.records import new_id
from portside.sdk.core.selection import selection_of

Run = Callable[..., Any]
SHADOW = 'level = "shadow"\ntarget_error = 0.05\n'
PARTIAL = 'level = "partial"\ntarget_error = 0.05\n'


def answered(file: Path, rows: int, seed: int = 0) -> None:
    """Serve rows of which a person's label is the model's, more surely so the surer the model is, and label what was to be reviewed."""
    engine, dice = dialled_up.engine(file), np.random.default_rng(seed)
    engine._clerk._draw = np.random.default_rng(seed + 100).random  # which rows are checked is no matter of luck here
    x = dice.normal(0, 2, (rows, 3)).round(3).tolist()
    for start in range(0, rows, 200):
        asyncio.run(engine.answer(Question({"x": x[start : start + 200]}, time.monotonic())))
    engine.close()
    with Database.open(file.parent / "records.sqlite") as database:
        known = list(records(database.place))
        labels = [_label(record, row, dice) for record in known for row in range(len(record.outputs["label"]))
                  if selection_of(record, row).decided_by != "model" or selection_of(record, row).reason == "check"]  # fmt: skip
        label(database, labels)


def _label(record: Any, row: int, dice: np.random.Generator) -> Label:
    score = abs(record.outputs["score"][row] - 0.5) * 2
    right = dice.random() < (0.995 if score > 0.8 else 0.7)
    answer = record.outputs["label"][row]
    source = "check" if selection_of(record, row).reason == "check" else "person"
    return Label(new_id(), record.id, row, {"label": answer if right else 1 - answer}, "ana", time.time_ns() // 10**6, source)


def test_from_the_shadow_to_partial(portside: Run, tmp_path: Path) -> None:
    file = dialled_up.written(tmp_path, SHADOW)
    answered(file, 1000)
    dry = portside("automation", "fit", file, "--dry-run", "--plot", tmp_path / "curve.svg")
    assert dry.code == 0 and "nothing was written" in dry.out and "<- fitted" in dry.out
    assert (tmp_path / "curve.svg").read_text().startswith("<svg") and not (tmp_path / "automation.json").exists()
    fitted = portside("automation", "fit", file, "--json").json
    threshold = fitted["slices"][""]["value"]
    assert 0.7 < threshold < 0.95 and fitted["slices"][""]["rows"] == 1000 and fitted["waiting"] == 0
    assert fitted["prices"][""][0]["person_rows"] > 0

    dialled_up.written(tmp_path, PARTIAL + "check_share = 0.5\n")
    answered(file, 800, seed=1)
    shown = portside("automation", "show", file, "--json").json["slices"][""]
    assert shown["level"] == "partial" and shown["threshold"] == threshold
    assert shown["since"]["verdict"] == "holds" and 150 < shown["since"]["checks"] < 330
    assert "partial" in portside("automation", "show", file).out

    again = portside("automation", "fit", file, "--json")  # with rows that were drawn and rows that were not
    assert again.code == 0 and again.json["slices"][""]["rows"] > 1100
    record = list(records(tmp_path / "records.sqlite"))[-1].id
    told = portside("automation", "explain", file, record, "--json").json["rows"]
    assert {row["decided by"] for row in told} == {"model", "both"}
    assert {row["why"] for row in told if row["decided by"] == "both"} == {"its score was below the threshold"}
    assert "reached the threshold" in portside("automation", "explain", file, record).out


def test_too_few_labels_are_not_enough_and_too_many_errors_out_of_reach(portside: Run, tmp_path: Path) -> None:
    file = dialled_up.written(tmp_path, SHADOW)
    answered(file, 30)
    few = portside("automation", "fit", file)
    assert few.code == 4 and "not enough data" in few.out and "30 labelled rows" in few.out
    answered(file, 800)
    assert portside("automation", "fit", file, "--target-error", 0.45, "--dry-run").code == 0
    with Database.open(tmp_path / "records.sqlite") as database:
        known = list(records(database.place))
        wrong = [Label(new_id(), one.id, row, {"label": 1 - answer}, "ben", time.time_ns() // 10**6, "person")
                 for one in known for row, answer in enumerate(one.outputs["label"]) if row % 2]  # fmt: skip
        label(database, wrong)
    worse = portside("automation", "fit", file)
    assert worse.code == 1 and "out of reach" in worse.out


def test_a_breach_is_an_exit_code(portside: Run, tmp_path: Path) -> None:
    file = dialled_up.written(tmp_path, SHADOW)
    answered(file, 800)
    assert portside("automation", "fit", file).code == 0
    time.sleep(0.01)
    dialled_up.written(tmp_path, PARTIAL + "check_share = 0.5\n")
    answered(file, 400, seed=1)
    with Database.open(tmp_path / "records.sqlite") as database:
        known = list(records(database.place))[-2:]
        label(database, [Label(new_id(), one.id, row, {"label": 1 - answer}, "ben", time.time_ns() // 10**6, "check") for one in known
                         for row, answer in enumerate(one.outputs["label"]) if selection_of(one, row).reason == "check"])  # fmt: skip
    shown = portside("automation", "show", file)
    assert shown.code == 1 and "breached" in shown.out


@pytest.mark.parametrize(
    ("words", "what"),
    [(("explain",), "explain is of one record"), (("show", "r1"), "explain is of one record"), (("explain", "nope"), "no such record")],
)
def test_what_is_not_asked_rightly(portside: Run, tmp_path: Path, words: tuple[str, ...], what: str) -> None:
    file = dialled_up.written(tmp_path, SHADOW)
    answered(file, 2)
    said = portside("automation", words[0], file, *words[1:])
    assert said.code == 2 and what in said.err


def test_a_deployment_without_a_dial_says_what_to_begin_with(portside: Run, tmp_path: Path) -> None:
    plain = dialled_up.TEXT.replace('[automation]\nscore = "either(score)"\n', "")
    said = portside("automation", "show", dialled_up.written(tmp_path, "", text=plain))
    assert said.code == 3 and "docs/automation.md" in said.err
