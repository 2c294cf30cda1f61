"""The command line that a page ends with: every option that was given, and no other."""

from __future__ import annotations

import argparse

import pytest

from portside.sdk.cli.again import command_line
from portside.sdk.cli.audit import arguments as audit_arguments
from portside.sdk.cli.search import arguments as search_arguments


def again(command: str, words: list[str]) -> list[str]:
    parser = argparse.ArgumentParser()
    {"audit": audit_arguments, "search": search_arguments}[command](parser)
    positional = ("subject", "ancestor") if command == "audit" else ("package",)
    return command_line(command, parser.parse_args(words), positional).split()


@pytest.mark.parametrize("limit", ["--max-drop", "--max-slice-drop", "--max-flips"])
def test_a_limit_of_zero_is_a_limit(limit) -> None:
    said = again("audit", ["small", "large", "--data", "rows.npz", limit, "0"])
    assert said == ["portside", "audit", "small", "large", "--data", "rows.npz", limit, "0"]


def test_what_was_left_out_stays_left_out_and_flags_have_no_value() -> None:
    said = again("search", ["small", "--size-mb", "0", "--slice", "a", "--slice", "b", "--trust", "--html", "front.html"])
    assert said.count("--slice") == 2 and said.count("--trust") == 1 and said[said.index("--size-mb") + 1] == "0"
    assert not {"--html", "--p95-ms", "--label", "--structures", "--calibration", "False", "None", "[]"} & set(said)
