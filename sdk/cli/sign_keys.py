"""Keys of a command line that signs: which files, and what opens them."""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
import argparse
import getpass
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from ..core.errors import InputError
from ..signing.keys import read_key
from ..signing.roles import ROLES

ASKED = "PORTSIDE_PASSPHRASE_FILE"


def passphrase_options(parser: argparse.ArgumentParser) -> None:
    """Where a passphrase comes from; never from the command line, which others can read."""
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help=f"its first line opens all keys (default: ${ASKED}, or typed)")


def signers_of(args: argparse.Namespace) -> list[CryptoSigner]:
    """The keys of `--key`. Raises InputError for none, FormatError, TrustError."""
    if not args.key:
        raise InputError("Nothing signs here", field="key", expected="--key NAME.pem, as often as needed")
    opens = passphrase_of(args)
    return [read_key(file, opens).signer for file in args.key]


def passphrase_of(args: argparse.Namespace, new: bool = False) -> Callable[[str], str]:
    """From the name of a key to its passphrase: a file's first line, or what is typed (twice for a new key). Raises InputError."""
    file = args.passphrase_file or (Path(os.environ[ASKED]) if os.environ.get(ASKED) else None)
    if file is not None:
        return lambda name: _first_line(file)
    return lambda name: _typed(name, new)


def by_role(words: Sequence[str]) -> dict[str, list[str]]:
    """`ROLE=WORD` by role. Raises InputError."""
    held: dict[str, list[str]] = {}
    for word in words:
        role, _, rest = word.partition("=")
        if role not in ROLES or not rest:
            raise InputError("This says nothing about a role", field="role", got=word, expected=f"ROLE=..., of {', '.join(ROLES)}")
        held.setdefault(role, []).append(rest)
    return held


def _first_line(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("The passphrase cannot be read", field="passphrase-file", got=str(file)) from error
    if not lines or not lines[0]:
        raise InputError("The first line of this file is empty", field="passphrase-file", got=str(file))
    return lines[0]


def _typed(name: str, new: bool) -> str:
    if not sys.stdin.isatty():
        raise InputError("Nobody is here to type a passphrase", field="passphrase-file", got=name, expected="--passphrase-file FILE",
                         fix="For a new key without one: --unsealed.")  # fmt: skip
    said = getpass.getpass(f"Passphrase of {name}: ", stream=sys.stderr)
    if new and getpass.getpass("Once more: ", stream=sys.stderr) != said:
        raise InputError("These were two different passphrases", field="passphrase", got=name)
    return said
