"""The frame of the command line: finding commands, exit codes, JSON, errors without tracebacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from portside.sdk.cli import doctor
from portside.sdk.cli.main import COMMANDS, main
from portside.sdk.cli.refusal import refuse

Run = Callable[..., Any]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_by_example(name: str, portside: Run) -> None:
    said = portside(name, "--help")
    assert said.code == 0
    assert f"portside {name}" in said.out.split("example:")[1]
    assert "Exit codes: 0 done" in said.out
    assert import_module(f"portside.sdk.cli.{name}").__doc__


def test_without_words_it_lists_the_commands(portside: Run) -> None:
    said = portside()
    assert said.code == 2
    assert all(name in said.out for name in COMMANDS)


def test_help_and_version(portside: Run) -> None:
    assert portside("--help").code == 0
    assert portside("--version").out.startswith("portside 0.")


def test_an_unknown_command_is_usage(portside: Run) -> None:
    said = portside("insp")
    assert said.code == 2
    assert "did you mean 'inspect'" in said.err
    assert said.out == ""


@pytest.mark.parametrize("words", [["store"], ["store", "fly"], ["inspect"], ["doctor", "--nope"], ["completion", "csh"]])
def test_wrong_words_are_usage(words: list[str], portside: Run) -> None:
    assert portside(*words).code == 2


def test_a_typed_error_says_what_got_and_fix(portside: Run, tmp_path: Path) -> None:
    said = portside("store", "push", tmp_path)
    assert said.code == 3
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert f"got:      {tmp_path}" in said.err
    assert "Traceback" not in said.err


def test_an_error_as_json_is_the_answer(portside: Run, tmp_path: Path) -> None:
    said = portside("store", "push", tmp_path, "--json")
    assert said.code == 3
    assert said.json["error"] == "FormatError"
    assert said.json["got"] == str(tmp_path)


def test_an_unforeseen_error_has_no_traceback_unless_asked(portside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "machine", lambda: {}["absent"])
    assert "Traceback" not in portside("doctor").err
    monkeypatch.setenv("PORTSIDE_DEBUG", "1")
    said = portside("doctor")
    assert said.code == 3
    assert "Traceback" in said.err


def test_interrupted_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "machine", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_python_dash_m(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "portside", "doctor", "--json"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert json.loads(done.stdout)["machine"]["cores"] >= 1


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    line = f"'{sys.executable}' -m portside completion fish | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0"
    assert done.stderr == ""


@pytest.mark.parametrize("words", ["inspect", "nope", "store push", "store nope", "inspect x --odd", "serve x --port y"])
def test_wrong_words_are_json_where_json_was_asked_for(words: str, portside: Run) -> None:
    done = portside(*words.split(), "--json")
    told = json.loads(done.out)
    assert done.code == 2 and told["error"] == "InputError" and told["what"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("words", [["--help"], ["store", "ls"]])
def test_an_answer_that_cannot_be_written_is_a_fault_without_a_traceback(words: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "portside", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
                              env={**os.environ, "PORTSIDE_HOME": str(tmp_path)})  # fmt: skip
    assert done.returncode == 3
    assert "cannot be written" in done.stderr and "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_a_module_that_is_not_installed_is_named_with_its_extra() -> None:
    said = refuse(ModuleNotFoundError("No module named 'sqlalchemy.exc'", name="sqlalchemy.exc"))
    assert said.code == 3 and "no sqlalchemy.exc" in said.text and "pip install 'portside[cloud]'" in said.text
    assert "PORTSIDE_DEBUG" in refuse(ModuleNotFoundError("No module named 'nothing'", name="nothing")).text


@pytest.mark.parametrize(("encoding", "words"), [("utf-8:strict", []), ("utf-8:strict", ["--json"]), ("ascii:strict", ["--json"])])
def test_names_that_the_terminal_has_no_characters_for_are_escaped(encoding: str, words: list[str], tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff-\xc3\xa9.toml")
    ended = subprocess.run([sys.executable, "-m", "portside", "rollout", "status", odd, *words], cwd=tmp_path, check=False,
                           capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding})  # fmt: skip
    assert ended.returncode == 3 and b"Traceback" not in ended.stderr
    if words:
        assert json.loads(ended.stdout)["got"].endswith(odd)
