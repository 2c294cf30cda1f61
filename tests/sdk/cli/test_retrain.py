"""`portside retrain`: what asks, what was made, what stopped it, as text, JSON and exit codes."""

import json
import sys
from pathlib import Path

import pytest

CLOUD = Path(__file__).parents[2] / "cloud"
sys.path[:0] = [str(CLOUD / "retraining"), str(CLOUD / "releasing")]

from released import MINUTE, NOW, served  # noqa: E402  found beside those tests
from trained import retraining  # noqa: E402

from portside.cloud.releasing import benching  # noqa: E402
from portside.runtimes import costs  # noqa: E402
from portside.sdk.cli.main import main  # noqa: E402


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Latency is measured, but not for long."""
    monkeypatch.setattr(benching, "SECONDS", 0.005)
    monkeypatch.setattr(costs, "SECONDS", 0.001)


@pytest.fixture
def asked(capsys, tmp_path):
    """Run `portside retrain` on the deployment; (exit code, what it said)."""

    def ask(*words):
        code = main(["retrain", str(tmp_path / "deployment.toml"), *words])
        said = capsys.readouterr().out
        return code, json.loads(said) if "--json" in words else said

    return ask


@pytest.mark.slow
def test_from_a_check_to_a_candidate(tmp_path, asked):
    served(tmp_path, 400, at_ms=NOW)
    retraining(tmp_path, "on_labels = 5000")
    code, said = asked("--check")
    assert code == 1 and said.startswith("not due: nothing asks for it: none of the alerts drift fires; 400 of 5000 labels")
    assert asked()[0] == 0 and asked("--runs") == (0, "nothing was trained yet\n")
    retraining(tmp_path, "on_labels = 300")
    assert asked("--check") == (0, "due: 400 labels came since, 300 ask for it\n")
    code, said = asked()
    assert code == 0 and "main:2" in said and "400 labels came since" in said and "accuracy" in said
    assert "is main:candidate now" in said and "portside rollout start" in said
    code, runs = asked("--runs", "--json")
    assert code == 0 and [(run["stage"], run["verdict"], run["ref"]) for run in runs] == [("done", "passed", "main:2")]


@pytest.mark.slow
@pytest.mark.long
def test_the_exit_code_says_that_it_did_not_pass_or_that_too_little_is_labelled(tmp_path, asked):
    served(tmp_path, 300)
    (tmp_path / "fault").write_text("worse")
    retraining(tmp_path)
    code, said = asked("--now", "--as", "ana", "--json")
    assert code == 1 and said["run"]["verdict"] == "failed" and said["gates"]["stopping"][0] == "static"
    assert said["run"]["triggers"][0]["why"] == "ana asked for it"
    retraining(tmp_path, "min_labels = 1000\ncooldown_hours = 0")
    code, said = asked("--now", "--as", "ana")
    assert (code, said) == (4, "not enough data: 300 labelled rows, and 1000 are needed\nasks: ana asked for it\n")


@pytest.mark.slow
@pytest.mark.long
def test_a_command_that_fails_is_a_fault_with_its_last_words(tmp_path, asked):
    served(tmp_path, 300)
    (tmp_path / "fault").write_text("code")
    retraining(tmp_path)
    code, said = asked("--json")
    assert code == 3 and "no such column: brightness" in said["got"] and said["error"] == "EngineError"


def test_words_that_do_not_go_together_are_refused(tmp_path, asked):
    served(tmp_path, 10)
    retraining(tmp_path)
    assert asked("--check", "--now", "--json")[0] == 2
    assert asked("--freshness", "--windows", "1", "--json")[0] == 2
    code, said = asked("--freshness", "--json")
    assert code == 2 and "too few labelled rows" in said["what"]
    code, said = asked("--give-up", "--json")
    assert code == 2 and "No run was left" in said["what"]


@pytest.mark.slow
@pytest.mark.long
def test_the_experiment_as_a_table_and_a_figure(tmp_path, asked):
    served(tmp_path, 400, at_ms=NOW + MINUTE)
    retraining(tmp_path)
    code, said = asked("--freshness", "--windows", "2", "--plot", str(tmp_path / "freshness.svg"))
    assert code == 0 and "days old" in said and "accuracy on today" in said and "age does not show" in said
    assert (tmp_path / "freshness.svg").read_text().startswith("<svg")
