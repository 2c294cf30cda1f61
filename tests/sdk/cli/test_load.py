"""`portside load`: its words, its exit codes, its page; against a server that does as it is told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "cloud" / "load"))
from answering_server import Answering

from portside.cloud.load.knee import Aim, Found
from portside.cloud.load.report import Report
from portside.cloud.load.tally import Step
from portside.sdk.cli.load import code, header, rates, share
from portside.sdk.core.errors import InputError

Run = Callable[..., Any]
HOW = ("--rate", "300", "--seconds", "1.5", "--deadline", "3000")


def test_a_rate_is_answered(portside: Run, tmp_path: Path) -> None:
    with Answering() as server:
        said = portside("load", server.url, *HOW, "--slo", "90%", "--html", tmp_path / "load.html")
    assert said.code == 0, said.err
    assert "90% within 3000 ms up to 300 requests/s here" in said.out and "made from its OpenAPI document" in said.out
    assert (tmp_path / "load.html").read_text().startswith("<!doctype html>")


def test_a_rate_is_missed(portside: Run) -> None:
    with Answering(lambda number, body: 503 if number % 2 else 200) as server:
        missed, told = portside("load", server.url, *HOW, "--slo", "90%"), portside("load", server.url, *HOW, "--json")
    assert missed.code == 1 and "status 503" in missed.out
    assert told.code == 0 and told.json["verdict"] == "missed" and told.json["steps"][0]["errors"]["status 503"] > 100


def test_few_requests_are_not_enough_data(portside: Run) -> None:
    with Answering() as server:
        assert portside("load", server.url, "--rate", "20", "--seconds", "0.5").code == 4
        said = portside("load", server.url, "--rate", "20,400", "--seconds", "0.5", "--slo", "99%")
    assert "0.5 s at 20 requests/s are too few" in said.err and "--seconds 25" in said.err


def test_a_server_that_is_not_there(portside: Run) -> None:
    said = portside("load", "http://127.0.0.1:9", "--rate", "20")
    assert said.code == 3 and "cannot be asked" in said.err


@pytest.mark.parametrize("words", [["--rate", "0"], ["--rate", "x"], ["--slo", "101%"], ["--slo", "x"], ["--rate", "1", "--find-knee"]])
def test_wrong_words_are_usage(words: list[str], portside: Run) -> None:
    assert portside("load", "http://127.0.0.1:9", *words).code == 2


def test_limits_of_the_words(portside: Run) -> None:
    assert portside("load", "http://127.0.0.1:9", "--connections", "5000").code == 2


def test_words_are_read() -> None:
    assert rates("100,200.5") == [100.0, 200.5] and share("99.9%") == share("0.999") == 0.999
    assert header("X-Key:  a:b ") == ("x-key", "a:b")
    with pytest.raises(InputError):
        header("nothing")


def report(*verdicts: str, knee: float | None, missed: float | None) -> Report:
    within = {"held": 2000, "missed": 1000, "too few to tell": 1985}
    steps = [Step(100.0 * place, 10.0, 2000, 2000, within[name], within[name], 100.0) for place, name in enumerate(verdicts, 1)]
    state = "held" if missed is None else "missed"
    return Report("", "", Aim(), tuple(steps), Found(knee, missed, state if knee or missed else "not enough data", ""), {}, 10.0, "poisson")


def test_codes() -> None:
    some = report("held", "missed", knee=100, missed=200)
    assert code(some, asked=False, searched=False) == code(some, asked=True, searched=True) == 0
    assert code(some, asked=True, searched=False) == 1
    none = report("missed", knee=None, missed=100)
    assert code(none, asked=True, searched=True) == 1 and code(none, asked=False, searched=True) == 0
    unsure = report("held", "too few to tell", knee=100, missed=None)
    assert code(unsure, asked=True, searched=False) == 4 and code(unsure, asked=True, searched=True) == 0
    assert code(report(knee=None, missed=None), asked=False, searched=True) == 4
