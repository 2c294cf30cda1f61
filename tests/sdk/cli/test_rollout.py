"""`portside rollout`: begun behind its gates, looked at, explained, approved, taken back, its log read, in a terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from portside.cloud.records.database import Database
from portside.sdk.cli.main import main

sys.path[:0] = [str(Path(__file__).parents[2] / "cloud"), str(Path(__file__).parents[2] / "cloud" / "dashboard")]

import packages  # noqa: E402  found in the folder above
import tried  # noqa: E402

FILE = """name = "tester"
[champion]
package = "{folder}/old"
trust = true
isolation = "inline"
[records]
path = "records.sqlite"
[gates]
card = {card}
unproven = ["static", "recent"]
[rollout]
challenger = {{ package = "{folder}/new", trust = true, isolation = "inline" }}
approve = ["canary"]
shadow_first = false
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two packages."""
    made = tmp_path_factory.mktemp("packages")
    packages.host_package(made / "old", name="net")
    packages.host_package(made / "new", packages.MAIN.replace("score > 0.5", "score > 0.5000001"), name="net")
    return made


@pytest.fixture
def file(tmp_path, folder):
    """A deployment with a challenger; nothing was served."""
    path = tmp_path / "deployment.toml"
    path.write_text(FILE.format(folder=folder, card="[]"))
    return path


@pytest.fixture
def rollout(file, capsys):
    """Runs a sub-command: (exit code, its answer)."""

    def ask(action, *words, text=False, path=file):
        code = main(["rollout", action, str(path), *words, *([] if text else ["--json"])])
        out = capsys.readouterr().out
        return code, out if text else json.loads(out)

    return ask


def test_a_rollout_is_led_from_a_terminal(rollout):
    code, begun = rollout("start", "--no-reload", "--by", "ana")
    assert code == 0 and begun["phase"] == "waiting" and begun["mode"] == "canary"
    (gates,) = begun["gates"].values()
    assert gates["verdict"] == "passed" and {gate["name"]: gate["outcome"] for gate in gates["gates"]}["fidelity"] == "passed"
    code, status = rollout("status")
    assert code == 0 and status["asks"] == "canary" and status["place"] == "waiting" and status["needs"] is None
    assert [stop["state"] for stop in status["track"]] == ["now", *["next"] * 6]
    code, said = rollout("explain")
    assert code == 0 and "has waited for a person" in said["why"] and 'a yes to "canary"' in said["why"]
    code, error = rollout("start")
    assert code == 2 and "goes on" in error["what"] and "number 1, waiting" in error["got"]
    code, after = rollout("approve", "--by", "ben", "--why", "looked at it")
    assert code == 0 and after["phase"] == "canary"
    assert "has been given to 1% of those who ask, step 1 of 4" in rollout("status", text=True)[1]
    assert rollout("status", "--wait", "0.01")[0] == 4, "it goes on by itself"
    code, back = rollout("rollback", "--by", "ben", "--why", "complaints from line 3")
    assert code == 0 and back["phase"] == "rolled back"
    code, status = rollout("status", "--wait", "60")
    assert code == 1 and status["track"][-1]["name"] == "rolled back", "what has ended is not waited for"
    assert "ben did that: complaints from line 3." in rollout("explain")[1]["why"]
    code, log = rollout("log")
    assert code == 0 and log["broken"] is None and log["head"] == log["entries"][-1]["digest"]
    kinds = [(entry["kind"], entry["author"]) for entry in log["entries"] if entry["kind"] != "paged"]
    assert kinds[0] == ("started", "ana") and ("approved", "ben") in kinds and kinds[-1] == ("rolled back by hand", "ben")


def test_a_gate_that_fails_ends_it_before_any_traffic(rollout, file, folder):
    file.write_text(FILE.format(folder=folder, card='["licence"]'))
    code, begun = rollout("start")
    assert code == 1 and begun["phase"] == "rolled back"
    (gates,) = begun["gates"].values()
    assert gates["stopping"] == ["card"]
    (back,) = [entry for entry in rollout("log")[1]["entries"] if entry["kind"] == "roll back"]
    assert "card" in json.dumps(back["evidence"]["gates"]) and back["before"] == "gates"
    file.write_text(FILE.format(folder=folder, card="[]").replace('"static", ', ""))
    code, begun = rollout("start")
    assert code == 4 and next(iter(begun["gates"].values()))["verdict"] == "not enough data"
    code, begun = rollout("start", "--without-gates", "--no-reload")
    assert code == 0 and begun["phase"] == "waiting" and "Begun without gates." in rollout("log", text=True)[1]


def test_nothing_is_begun_where_no_server_takes_it_up(rollout, capsys):
    code, error = rollout("start")
    assert code == 2 and "No running server" in error["what"]
    assert rollout("status")[0] in (3, 4), "nothing was written"


def test_where_nothing_was_rolled_out(rollout, file):
    with Database.open(file.parent / "records.sqlite"):
        pass
    assert rollout("status") == (4, None) and rollout("explain") == (4, None) and rollout("log") == (4, None)
    code, error = rollout("status", "--id", "r9")
    assert code == 2 and error["got"] == "r9"
    assert rollout("approve")[0] == 2 and rollout("rollback")[0] == 2


def test_the_figures_of_a_rollout_in_text_and_as_data(rollout, file):
    held = tried.tried(file, 1_800_000_000_000, broken="fog", looks=40)
    assert held.state.phase == "rolled back"
    code, status = rollout("status")
    assert code == 1 and any(one["told"] == "beyond" and one["slice"] == "sky=fog" for one in status["verdicts"])
    shown = rollout("status", text=True)[1]
    words = " ".join(shown.split())
    assert "errors sky=fog beyond" in words and "> rolled back" in words and "- promoted" in words
    told = rollout("explain")[1]["why"]
    assert "errors in sky=fog: at least" in told and "Slices that stand out: errors in sky=fog" in told


def test_a_changed_log_is_found_out(rollout, file):
    tried.tried(file, 1_800_000_000_000, looks=6)
    with Database.open(file.parent / "records.sqlite") as database, database.write() as connection:
        connection.execute(text("DROP TRIGGER rollout_log_no_update"))
        connection.execute(text("UPDATE rollout_log SET author = 'nobody' WHERE number = 2"))
    code, log = rollout("log")
    assert code == 1 and "entry 2" in log["broken"]
    assert "NOT AS IT WAS WRITTEN" in rollout("log", text=True)[1] and "NOT AS IT WAS WRITTEN" in rollout("status", text=True)[1]
