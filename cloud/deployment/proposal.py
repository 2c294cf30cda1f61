"""A proposal: the generation that `portside reload` asks for, which nobody serves and nobody begins with until every worker can.

Each worker loads and warms it beside what it serves, and says that it is ready. Whoever sees that all of them are makes it the newest
generation, which all then take up; whoever cannot load it refuses it for all, and for workers that come later. So a reload that is
refused leaves exactly what was: no worker has served it, and one that is replaced does not begin with it.

    $PORTSIDE_HOME/deployments/NAME-HASH/proposed.json        as generation.json
    $PORTSIDE_HOME/deployments/NAME-HASH/refused/NUMBER.json    {"why"}
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...sdk.core.errors import FormatError
from .generation import NEWEST, Generation, WorkerState, read_generation, replace_file, write_generation

PROPOSED, REFUSED = "proposed.json", "refused"


def propose(folder: Path, intent: Mapping[str, Any], digest: str) -> Generation:
    """Ask the workers for the next generation; its number is larger than of any that was asked for before."""
    made = Generation(1 + max(_number(folder, name) for name in (NEWEST, PROPOSED)), time.time(), intent, digest)
    write_generation(folder, made, PROPOSED)
    for old in (folder / REFUSED).glob("*.json"):
        if old.stem.isdigit() and int(old.stem) < made.number:
            old.unlink(missing_ok=True)
    return made


def proposed(folder: Path, than: int = 0) -> Generation | None:
    """What is asked for: newer than `than` and the newest generation, and not refused. Raises FormatError."""
    asked = read_generation(folder, PROPOSED)
    if asked is None or asked.number <= than or refusal(folder, asked.number) is not None:
        return None
    newest = read_generation(folder)
    return None if newest is not None and newest.number >= asked.number else asked


def agreed(number: int, workers: Iterable[WorkerState]) -> bool:
    """Every worker holds this generation ready."""
    said = list(workers)
    return bool(said) and all(state.state == "ready" and state.seen == number for state in said)


def refuse(folder: Path, number: int, why: str) -> None:
    """Nobody takes this proposal up any more."""
    replace_file(folder / REFUSED / f"{number}.json", {"why": why})


def refusal(folder: Path, number: int) -> str | None:
    """Why a proposal was refused; None: it was not."""
    path = folder / REFUSED / f"{number}.json"
    try:
        return str(json.loads(path.read_bytes())["why"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return "a worker refused it"


def _number(folder: Path, name: str) -> int:
    """Of the generation in this file; what cannot be read is older than the time."""
    try:
        held = read_generation(folder, name)
    except FormatError:
        return int(time.time())
    return 0 if held is None else held.number
