"""A release put into a slot by hand: the first one answers, the next is on trial, the way back needs no network."""

from __future__ import annotations

import json

import pytest
from made_agents import ROW, made, settings

from portside.edge.agent import Agent
from portside.sdk.cli.main import main

SIGNED = '[updates]\nmirror = "https://releases.example/"\nroot = "1.root.json"\nname = "first"\nplatform = "onnx-cpu"\n'


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return made(tmp_path_factory.mktemp("artifacts"), ["first", "alike"])


@pytest.fixture
def edge(tmp_path, capsys):
    """A command of a device: exit code, and what it said as JSON."""
    path = settings(tmp_path, "slot = true")

    def run(action, *words):
        code = main(["edge", action, "--json", str(path), *map(str, words)])
        said = capsys.readouterr()
        return code, json.loads(said.out or said.err)

    run.path = path
    return run


def test_the_first_release_answers_and_the_next_is_on_trial(edge, artifacts):
    code, said = edge("install", artifacts["first"])
    assert code == 0 and said["phase"] == "active" and said["active"]["sequence"] == 1
    with Agent(edge.path, background=False) as agent:
        assert agent.predict(ROW).outputs["label"].tolist() == ["a"]
    code, said = edge("install", artifacts["alike"])
    assert code == 0 and said["phase"] == "trial" and said["under_way"]["sequence"] == 2
    assert said["active"]["sequence"] == 1, "what answered goes on"
    code, said = edge("rollback")
    assert code == 0 and said["under_way"] is None and said["active"]["sequence"] == 1


def test_a_damaged_release_is_not_installed(edge, artifacts, tmp_path):
    edge("install", artifacts["first"])
    bad = tmp_path / "bad"
    bad.mkdir()
    for file in artifacts["alike"].iterdir():
        if file.is_file():
            (bad / file.name).write_bytes(file.read_bytes()[:-1] + b"~")
    code, said = edge("install", bad)
    assert code != 0 and "error" in said
    with Agent(edge.path, background=False) as agent:
        assert agent.status()["release"]["active"]["sequence"] == 1 and agent.predict(ROW).outputs["label"].tolist() == ["a"]


def test_a_device_of_signed_releases_takes_by_hand_only_what_it_is_delivered_with(edge, artifacts):
    (edge.path.parent / "1.root.json").write_text("{}")
    edge.path.write_text(edge.path.read_text() + SIGNED)
    assert edge("install", artifacts["first"])[0] == 2, "which signed ones are newer is not known"
    code, said = edge("install", artifacts["first"], "--number", 4)
    assert code == 0 and said["active"]["sequence"] == 4
    code, said = edge("install", artifacts["alike"], "--number", 5)
    assert code == 2 and "sign publish" in said["fix"]


def test_nothing_is_installed_under_a_running_agent(edge, artifacts):
    edge("install", artifacts["first"])
    with Agent(edge.path, background=False):
        code, said = edge("install", artifacts["alike"])
    assert code != 0 and "Another agent" in said["what"]
    assert edge("rollback")[0] != 0, "there is nothing to go back to"


@pytest.mark.parametrize("number", [-1, 0, 1 << 53, 10**23])
def test_a_number_that_leaves_none_for_the_releases_to_come_is_refused(edge, artifacts, number):
    code, said = edge("install", artifacts["first"], "--number", number)
    assert code == 2 and said["field"] == "--number"
    assert edge("install", artifacts["first"], "--number", 4)[1]["active"]["sequence"] == 4
    code, said = edge("install", artifacts["alike"], "--number", 3)
    assert code == 2 and said["expected"].startswith("4 to")
