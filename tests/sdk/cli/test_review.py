"""`portside review`: a queue worked off in a terminal, a dataset out of it, Label Studio there and back."""

from __future__ import annotations

import json

import pytest

from portside.cloud.records.database import Database
from portside.cloud.review.item import Candidate, Item
from portside.cloud.review.queue import enqueue, prepare
from portside.sdk.cli.main import main
from portside.sdk.dataset import dataset


@pytest.fixture
def file(tmp_path):
    """A database with three items."""
    path = tmp_path / "records.sqlite"
    two = (Candidate(1, "bad", 0.6), Candidate(0, "good", 0.4))
    with Database.open(path) as database:
        prepare(database)
        shown = [{"size": place, "photo": b"\0"} for place in range(3)]
        enqueue(database, [Item(f"i{place}", f"r{place}", 0, "cells", float(place), candidates=two, payload=held, model=1)
                           for place, held in enumerate(shown)])  # fmt: skip
    return path


def ask(capsys, *words):
    code = main(["review", *map(str, words)])
    return code, capsys.readouterr().out


def test_a_queue_is_worked_off_in_a_terminal(file, capsys):
    code, out = ask(capsys, "ls", file)
    assert code == 0 and "3 pending, 0 leased" in out and out.index("i2") < out.index("i0")
    code, out = ask(capsys, "next", file, "--as", "ana")
    assert code == 0 and "i2: what is label?" in out and "bad (60%), good (40%)" in out and "1 bytes" in out
    code, out = ask(capsys, "decide", file, "i2", "good", "--as", "ana", "--note", "clear", "--json")
    assert code == 0 and json.loads(out)["values"] == {"label": 0} and json.loads(out)["note"] == "clear"
    assert ask(capsys, "decide", file, "i2", "1", "--as", "ben")[0] == 2
    assert ask(capsys, "undo", file, "i2", "--as", "ana")[0] == 0
    assert ask(capsys, "decide", file, "i2", "1", "--as", "ana")[1].startswith("i2: label = 1")
    data = json.loads(ask(capsys, "ls", file, "--state", "decided", "--json")[1])
    assert data["counts"]["decided"] == 1 and data["items"][0]["answer"] == {"label": 1}
    assert ask(capsys, "next", file, "--as", "ana", "--deployment", "others") == (1, "nothing waits\n")


def test_what_was_drawn_at_random_is_asked_without_the_models_answer(tmp_path, capsys):
    path, said = tmp_path / "records.sqlite", tmp_path / "deployment.toml"
    said.write_text('name = "cells"\n[champion]\npackage = "x"\n[records]\npath = "records.sqlite"\n[review]\nblind = "never"\n')
    two = (Candidate(1, "bad", 0.6), Candidate(0, "good", 0.4))
    with Database.open(path) as database:
        prepare(database)
        enqueue(database, [Item(f"i{place}", f"r{place}", 0, "cells", 1.0, "check", 0.05, candidates=two, model=1) for place in range(3)])
    assert "answers: good, bad\n" in ask(capsys, "next", path, "--as", "ana")[1]
    told = json.loads(ask(capsys, "next", path, "--as", "ana", "--json")[1])
    assert told["model"] is None and told["reason"] == "" and not any(one["probability"] for one in told["candidates"])
    assert "answers: bad (60%), good (40%)" in ask(capsys, "next", said, "--as", "ana")[1], "the deployment file says otherwise"
    ask(capsys, "export", path, "--out", tmp_path / "tasks", "--state", "leased")
    assert not any("predictions" in task for task in json.loads((tmp_path / "tasks" / "tasks.json").read_text()))


def test_labels_leave_as_a_dataset(file, tmp_path, capsys):
    for place in range(3):
        ask(capsys, "decide", file, f"i{place}", place % 2, "--as", "ana")
    code, out = ask(capsys, "dataset", file, "--out", tmp_path / "cells", "--split", "time", "--fractions", "train=0.5,test=0.5")
    assert code == 0 and out.startswith("version 1, ")
    held = dataset(tmp_path / "cells")
    assert held.manifest["name"] == "cells" and len(held.rows) == 3
    assert ask(capsys, "dataset", file, "--out", tmp_path / "cells", "--fractions", "all")[0] == 2
    assert ask(capsys, "dataset", file, "--out", tmp_path / "cells", "--author", "nobody")[0] == 2


def test_label_studio_there_and_back(file, tmp_path, capsys):
    code, out = ask(capsys, "export", file, "--out", tmp_path / "tasks")
    assert code == 0 and out.startswith("3 tasks")
    tasks = json.loads((tmp_path / "tasks" / "tasks.json").read_text())
    result = [{"from_name": "label", "type": "choices", "value": {"choices": ["good"]}}]
    chosen = {"result": result, "completed_by": 1, "created_at": "2026-01-01T00:00:00Z"}
    (tmp_path / "export.json").write_text(json.dumps([{**task, "annotations": [chosen]} for task in tasks]))
    assert "3 decided" in ask(capsys, "import", file, tmp_path / "export.json")[1]
    assert "3 known already" in ask(capsys, "import", file, tmp_path / "export.json")[1]
    assert ask(capsys, "export", file, "--out", tmp_path / "tasks")[0] == 2
    (tmp_path / "export.json").write_text("{")
    assert ask(capsys, "import", file, tmp_path / "export.json")[0] == 3


def test_somewhere_without_records_is_said(tmp_path, capsys):
    assert ask(capsys, "ls", tmp_path / "nothing.sqlite")[0] != 0
