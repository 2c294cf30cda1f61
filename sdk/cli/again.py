"""The command line that was given, in words that make the same answer again: what pages and reports end with."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Collection

from .tables import LABEL

_HOW = ("json", "html")
"""Options that do not change the answer."""


def command_line(command: str, args: argparse.Namespace, positional: Collection[str]) -> str:
    """`portside COMMAND ...`: the positional arguments by name, then every option that was given."""
    words = ["portside", command, *(str(getattr(args, name)) for name in positional)]
    for name, held in vars(args).items():
        if name in positional or name in _HOW or not _given(held) or (name, held) == ("label", LABEL):
            continue
        flag = f"--{name.replace('_', '-')}"
        for one in held if isinstance(held, list) else [held]:
            words += [flag] if one is True else [flag, f"{one:g}" if isinstance(one, float) else str(one)]
    return shlex.join(words)


def _given(held: object) -> bool:
    """Not an option that was left out; 0 is a limit like any other."""
    return held is not None and held is not False and held != []
