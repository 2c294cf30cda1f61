"""Tables, sizes, colour."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.cli.console import coloured, fields, paint, short, size, table, wrapped
from portside.sdk.cli.refusal import describe
from portside.sdk.core.errors import InputError

CELLS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6))
def test_columns_are_aligned(rows: list[tuple[str, str, str]]) -> None:
    lines = table(rows, head=["one", "two", "three"]).split("\n")
    assert len(lines) == len(rows) + 1
    first = max(len(row[0]) for row in [*rows, ("one", "", "")])
    assert all(len(line) > first and line[first : first + 2] == "  " for line in lines)
    assert [line.split() for line in lines[1:]] == [list(row) for row in rows]


def test_numbers_stand_to_the_right_and_text_to_the_left() -> None:
    assert table([["a", "1.5"], ["bcd", "12.25"]], head=["name", "ms"]) == "name     ms\na       1.5\nbcd   12.25"


def test_an_empty_table_is_its_head() -> None:
    assert table([], head=["name", "ms"]) == "name  ms"
    assert table([]) == ""


def test_a_wide_table_is_wrapped_where_it_is_widest() -> None:
    rows = [["torch", "torch, onnxscript, onnx, onnxruntime", "pip install 'portside[torch]'"], ["image", "", ""]]
    head = ["extra", "lacks", "enable with"]
    lines = wrapped(rows, head, 64).split("\n")
    assert max(map(len, lines)) <= 64 and len(lines) == 4
    assert lines[1:3] == ["torch  torch, onnxscript, onnx,  pip install 'portside[torch]'", "       onnxruntime"]
    assert wrapped(rows, head) == wrapped(rows, head, 200) == table(rows, head)
    digest = "sha256:" + "0" * 64
    assert digest in wrapped([["digest", digest]], width=30), "what people copy stays whole"


def test_fields_leave_out_what_is_empty() -> None:
    assert fields({"name": "x", "parents": "", "size": 0}) == "name  x\nsize  0"


def test_colour_only_on_a_terminal_without_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured(Terminal())
    assert not coloured(io.StringIO())
    assert paint("failed", "31", Terminal()) == "\x1b[31mfailed\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("failed", "31", Terminal()) == "failed"


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (3 << 30, "3.0 GiB")])
def test_size(count: int, text: str) -> None:
    assert size(count) == text


def test_short() -> None:
    assert short("sha256:0123456789abcdef") == "0123456789ab"
    assert short(None) == ""


def test_text_of_others_cannot_rewrite_the_screen() -> None:
    assert fields({"package": "\x1b[2Jevil\nname\u202e"}) == "package  \\x1b[2Jevil\\nname\\u202e"
    told = describe(InputError("what\x1b[2J", got="\x1b]0;title\x07", fix="two\nlines"))
    assert "\x1b]0;" not in told and "\x07" not in told and "what\\x1b" in told and told.endswith("two\nlines")
