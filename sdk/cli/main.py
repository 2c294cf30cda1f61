"""The command line: finds the command, parses its arguments, prints its answer.

A command is a module beside this one with `EXAMPLE` (shown by --help), `arguments(parser)` and `run(args) -> Result`.
It is imported only when chosen, so that `portside --help` starts at once and an install without an extra works.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import import_module
from importlib.metadata import version
from typing import NoReturn, Protocol, cast

from ..core.errors import InputError
from .console import Exit, Result, table
from .refusal import refuse

COMMANDS = {
    "pack": "make a package from a file of yours",
    "inspect": "show what a package or an artifact holds",
    "card": "print the model card of a package",
    "predict": "ask a package or an artifact one question; answers with a receipt",
    "evaluate": "metrics with intervals on labelled data, per slice",
    "audit": "what a derived model lost against its ancestor: slices, flipped rows, gates",
    "diff": "what is different between two packages or artifacts",
    "compress": "lower the precision of a package, measured, with what stayed float and why",
    "search": "find the package that fits a budget on a target: front, best, or the limit that binds",
    "compile": "compile a package for a target, verified or not at all",
    "verify": "compare artifacts with the reference answers of their packages",
    "release": "put compiled artifacts of one package into the store, for devices and pages",
    "sign": "signed releases for devices: keys, a repository that any web server hands out, rotation",
    "edge": "a device: run its agent, ask it, see how it stands",
    "bench": "measure latency, throughput, memory, size and cold start",
    "preview": "open a browser bundle in your browser, served from this machine",
    "serve": "serve a deployment over HTTP, with its fallbacks",
    "reload": "let a running server take up what its deployment file says now",
    "precompute": "answer known rows in advance, into a file that a deployment can answer from",
    "load": "how many requests per second a server answers in time, and what goes wrong beyond",
    "bento": "ship a deployment with everything it needs: a bento, a Dockerfile, a compose file",
    "monitor": "watch a deployment: drift, quality, budgets, alerts; replay records, export for Grafana and Prometheus",
    "keys": "make, list and revoke the API keys of a server",
    "graph": "a graph of packages: its steps, its golden answers, whether it answers so",
    "store": "push, pull, ls, tag, lineage, gc, fsck",
    "records": "list what was served, newest last; write it to a file, delete it",
    "label": "say what a record should have been answered; one row, or a file of them",
    "review": "what waits for a person: answer it, take it back; datasets and Label Studio",
    "automation": "fit the dial's thresholds to labelled records, show whether they hold, explain one answer",
    "rollout": "try a challenger beside the champion: gates, shadow, a growing share, and back by itself when a limit is broken",
    "retrain": "train a candidate where drift, labels, time or a new upstream package ask for it; gates; hand over",
    "fleet": "devices: enrol them, say which release they are to run, see how they stand, go back",
    "dashboard": "look at deployments: up, right, changed, who answered; reviews, records and labels; no models needed",
    "doctor": "which targets and extras work here, and how to enable the others",
    "completion": "print a completion script for bash, zsh or fish",
}
CODES = "Exit codes: 0 done, 1 the answer is no, 2 usage, 3 a fault, 4 not enough data, 130 interrupted."


class Command(Protocol):
    """What a command module provides."""

    EXAMPLE: str

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own arguments."""
        ...

    def run(self, args: argparse.Namespace) -> Result:
        """Do it. Raises PortsideError."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        return _print(Result(None, overview(), Exit.DONE if words else Exit.USAGE), False, sys.stdout)
    if words[0] in ("-V", "--version"):
        print(f"portside {version('portside')}")
        return Exit.DONE
    if words[0] not in COMMANDS and "--json" in words:
        return _print(refuse(InputError("There is no such command", got=repr(words[0]), expected=", ".join(COMMANDS))), True, sys.stdout)
    if words[0] not in COMMANDS:
        print(f"error: There is no command {words[0]!r}{_guess(words[0])}\n\n{overview()}", file=sys.stderr)
        return Exit.USAGE
    return _execute(words[0], words[1:])


def overview() -> str:
    """All commands with a line each."""
    lines = table([[f"  {name}", summary] for name, summary in COMMANDS.items()])
    return (
        "Portside: pack a model once, prove it on every target, serve it with a fallback.\n\n"
        f"usage: portside COMMAND [--json] ...\n\n{lines}\n\n"
        f"portside COMMAND --help shows an example of each. Start with: portside doctor\n{CODES}"
    )


class JsonParser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others, for callers who asked for JSON. Sub-commands inherit it."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError instead of printing and exiting."""
        raise InputError(f"The command line does not fit: {message}", expected=" ".join(self.format_usage().split()),
                         fix=f"Run: {self.prog} --help")  # fmt: skip


def parser_of(name: str, command: Command, kind: type[argparse.ArgumentParser] = argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser of one command, with the options that every command has."""
    parser = kind(
        prog=f"portside {name}", description=f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}.",
        epilog=f"example:\n{command.EXAMPLE.strip(chr(10))}\n\n{CODES}", formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )  # fmt: skip
    command.arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    return parser


def _execute(name: str, words: list[str]) -> int:
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]  # so that it may also stand after a sub-command
    try:
        command = cast("Command", import_module(f".{name}", __package__))
        args = parser_of(name, command, JsonParser if as_json else argparse.ArgumentParser).parse_args(words)
        with redirect_stdout(sys.stderr):  # what a user's file or an engine prints must not mix with the answer
            result = command.run(args)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else Exit.USAGE
    except KeyboardInterrupt as stop:  # a command may have said what is left, and how to go on
        print(": ".join(["interrupted", *map(str, stop.args)]), file=sys.stderr)
        return Exit.INTERRUPTED
    except Exception as error:  # nothing leaves as a traceback: every error is shown, with a code
        result = refuse(error)
        return _print(result, as_json, sys.stdout if as_json else sys.stderr)
    return _print(result, as_json, sys.stdout)


def _print(result: Result, as_json: bool, stream: object) -> int:
    try:
        print(_text(result, as_json, getattr(stream, "encoding", None) or "utf-8"), file=cast("None", stream), flush=True)
    except BrokenPipeError:  # the reader (head, less) has gone: not an error
        _silence()
    except OSError as error:  # a full disk behind the redirection
        _silence()
        print(f"error: The answer cannot be written: {error.strerror or error}", file=sys.stderr)
        return Exit.FAULT
    return int(result.code)


def _text(result: Result, as_json: bool, encoding: str) -> str:
    """The answer in characters that the stream has: those of a file name that is no UTF-8, or of another alphabet, as escapes."""
    text = json.dumps(result.data, indent=2, ensure_ascii=False, default=str) if as_json else result.text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(result.data, indent=2, default=str) if as_json else text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def _silence() -> None:
    """Nothing more can go to stdout, and the interpreter flushes it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _guess(word: str) -> str:
    close = [name for name in COMMANDS if name.startswith(word[:3])]
    return f"; did you mean {close[0]!r}?" if close else ""
