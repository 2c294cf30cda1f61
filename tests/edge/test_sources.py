"""Sources: every file once, also over a restart; lines; a camera that is not installed; and the command that runs them."""

from __future__ import annotations

import json
import os
import sys
import threading

import numpy as np
import pytest
from made_agents import ROW, install, made, settings

from portside.edge.agent import Agent
from portside.edge.sources import Folder, Lines, source_of
from portside.sdk.cli.main import main
from portside.sdk.core.errors import InputError, MissingExtraError


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return made(tmp_path_factory.mktemp("artifacts"), only=("first",))


@pytest.fixture
def agent(artifacts, tmp_path):
    with Agent(settings(tmp_path, f"artifact = '{artifacts['first']}'"), background=False) as made_agent:
        yield made_agent


def taken(source, count):
    """So many items, each done; their names."""
    found = []
    for item in source.items(lambda: len(found) >= count):
        found.append(item)
        item.done()
    return [item.name for item in found]


def test_a_folder_gives_each_file_once_also_over_a_restart(agent, tmp_path):
    shots, state = tmp_path / "shots", tmp_path / "sources"
    shots.mkdir()
    for name in ("1.json", "2.json", "3.txt", ".4.json"):
        (shots / name).write_text(json.dumps(ROW))
    assert taken(Folder(shots, agent, state, 0.01), 2) == ["1.json", "2.json"]
    (shots / "5.json").write_text(json.dumps(ROW))
    (shots / "1.json").write_text(json.dumps({"x": [[1, 2, 3, 4.5]]}))
    assert sorted(taken(Folder(shots, agent, state, 0.01), 2)) == ["1.json", "5.json"]


def test_a_file_that_grows_is_left_until_it_is_whole(agent, tmp_path):
    shots = tmp_path / "shots"
    shots.mkdir()
    looks, source = [], Folder(shots, agent, tmp_path / "sources", 0.01)

    def stop():
        looks.append(1)
        if len(looks) < 20:
            (shots / "1.json").write_text(" " * len(looks))
        return len(looks) > 22

    (item,) = [item.name for item in source.items(stop)][:1]
    assert (item, len(looks) >= 20) == ("1.json", True)


def test_a_file_that_was_not_answered_comes_again(agent, tmp_path):
    shots = tmp_path / "shots"
    shots.mkdir()
    (shots / "1.json").write_text("{}")
    found = []
    for item in Folder(shots, agent, tmp_path / "sources", 0.01).items(lambda: len(found) == 2):
        found.append(item.name)
    assert found == ["1.json", "1.json"]


def test_lines_in_every_form(agent):
    reader, writer = os.pipe()
    one = {"x": ROW["x"][0]}
    lines = [json.dumps({"row": one, "entity": "p"}), json.dumps({"rows": [one] * 2}), json.dumps(ROW), "{", '{"y": 1}']
    os.write(writer, "\n".join(lines).encode())
    os.close(writer)
    items = list(Lines(agent, reader).items(lambda: False))
    os.close(reader)
    assert items[0].entity == "p"
    assert [np.shape(item.inputs["x"]) for item in items[:3]] == [(1, 4), (2, 4), (1, 4)]
    assert all(isinstance(item.inputs, InputError) for item in items[3:])


def test_lines_end_when_they_are_told_to(agent):
    reader, writer = os.pipe()
    stop = threading.Event()
    thread = threading.Thread(target=lambda: list(Lines(agent, reader).items(stop.is_set)))
    thread.start()
    stop.set()
    thread.join(5)
    os.close(reader)
    os.close(writer)
    assert not thread.is_alive()


def test_a_source_that_there_is_not(agent, tmp_path):
    for text in ("radio:1", "folder:nowhere", "files:nowhere.jpg"):
        with pytest.raises(InputError):
            source_of(text, agent, tmp_path)


def test_a_camera_names_its_extra(agent, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.delitem(sys.modules, "portside.edge.camera", raising=False)
    with pytest.raises(MissingExtraError, match=r"portside\[camera\]"):
        source_of("camera:0", agent, tmp_path)


def test_the_command_line_runs_asks_and_looks(artifacts, tmp_path, capsys):
    install(tmp_path / "state", artifacts["first"])
    path = str(settings(tmp_path, "slot = true"))
    assert main(["edge", "predict", path, "x=[4, 0, 0, 0]", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outputs"]["label"] == ["a"]
    assert main(["edge", "status", path]) == 1
    assert "does not run" in capsys.readouterr().out
    (tmp_path / "q.json").write_text(json.dumps(ROW))
    assert main(["edge", "run", path, "--source", f"files:{tmp_path / 'q.json'}"]) == 0
    assert main(["edge", "status", path, "--json"]) == 1
    status = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert (status["counts"], status["release"]["active"]["sequence"]) == ({"answered": 1, "uncertain": 0}, 1)
