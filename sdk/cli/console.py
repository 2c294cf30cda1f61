"""What the command line prints: tables in plain text, colour where a person looks, progress on stderr."""

from __future__ import annotations

import os
import re
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TextIO

COLOURS = {
    "passed": "32", "yes": "32", "within": "32", "beyond": "31", "failed": "31", "no": "31", "error": "31",
    "not enough data": "33", "refused": "33", "not asked": "33", "runs, cannot compile": "33",
}  # fmt: skip

_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?( ?(%|x|ms|us|s|B|[KMG]iB))?")


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    DONE = 0
    NO = 1
    USAGE = 2
    FAULT = 3
    NOT_ENOUGH_DATA = 4
    INTERRUPTED = 130


@dataclass(frozen=True)
class Result:
    """What a command answers.

    Attributes:
        data: JSON-ready, printed with `--json`.
        text: for people, printed otherwise.
        code: the process's exit code.
    """

    data: Any
    text: str
    code: Exit = Exit.DONE


def progress(text: str) -> None:
    """One line for people who wait, on stderr so that stdout holds only the answer."""
    print(text, file=sys.stderr, flush=True)


def coloured(stream: TextIO) -> bool:
    """Colour only on a terminal, and never where NO_COLOR is set (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def paint(text: str, colour: str | None, stream: TextIO | None = None) -> str:
    """`text` in an ANSI colour where the stream shows colours."""
    return f"\x1b[{colour}m{text}\x1b[0m" if colour and coloured(stream or sys.stdout) else text


def shown(text: str) -> str:
    """Text of others as a terminal may see it: control characters, which could rewrite the screen, as escapes."""
    odd = [char for char in set(text) if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    return text.translate({ord(char): char.encode("unicode_escape").decode() for char in odd}) if odd else text


def table(rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    """Rows aligned in columns: numbers to the right, text to the left, verdicts in colour.

    >>> print(table([["mlp", 1.5], ["forest", 12.25]], head=["model", "ms"]))
    model      ms
    mlp       1.5
    forest  12.25
    """
    body = [["" if cell is None else shown(str(cell)) for cell in row] for row in rows]
    lines = [list(head), *body] if head else body
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(_is_number(text) for text in column[bool(head) :] if text) for column in columns]
    return "\n".join("  ".join(map(_cell, line, widths, right)).rstrip() for line in lines)


def wrapped(rows: Iterable[Sequence[object]], head: Sequence[str] = (), width: int | None = None) -> str:
    """A table whose widest column is wrapped so that a line has at most `width` characters; None: as wide as it is.

    >>> print(wrapped([["torch", "torch, onnxscript, onnx", "pip"]], width=28))
    torch  torch, onnxscript,  pip
           onnx
    """
    body = [["" if cell is None else shown(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*body, *([head] if head else []), strict=True)]
    over = sum(widths) + 2 * (len(widths) - 1) - width if width is not None and body else 0
    if over <= 0:
        return table(body, head)
    widest = widths.index(max(widths))
    room = max(widths[widest] - over, 20)
    lines: list[list[str]] = []
    for row in body:
        parts = textwrap.wrap(row[widest], room, break_long_words=False, break_on_hyphens=False) or [""]
        lines.append([*row[:widest], parts[0], *row[widest + 1 :]])
        lines += [["" if place != widest else part for place in range(len(row))] for part in parts[1:]]
    return table(lines, head)


def terminal_width() -> int | None:
    """Characters per line of the terminal that the answer goes to; None where it goes to a file or pipe."""
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return None


def fields(values: Mapping[str, object]) -> str:
    """Names and values in two columns; empty values are left out."""
    return table([[name, value] for name, value in values.items() if value not in (None, "", (), [])])


def short(digest: str | None) -> str:
    """A digest as people compare it: twelve hex digits."""
    return (digest or "").removeprefix("sha256:")[:12]


def size(count: float) -> str:
    """Bytes in a unit that fits: `size(1536) == "1.5 KiB"`."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _cell(text: str, width: int, right: bool) -> str:
    padding = " " * (width - len(text))
    painted = paint(text, COLOURS.get(text))
    return padding + painted if right else painted + padding


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None
