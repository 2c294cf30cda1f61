"""The process of one hook: reads calls as lines of JSON, makes them, answers. What it does to itself it does to nobody else.

    python -m portside.cloud.monitoring.hook_child module:object FOLDER

A call is {"do": "records" | "labels" | "window", ...}, its answer {"done", "failed", "fault", "findings"}. What the hook prints goes to
stderr, the monitor's log.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ...sdk.core.errors import PortsideError
from ...sdk.core.labels import Label
from ...sdk.core.profile import Profile
from ...sdk.core.records import Record
from ...sdk.core.window import Window
from ..monitor import findings_of
from .hooks import load

PR_SET_PDEATHSIG = 1


def main(use: str, folder: Path, calls: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more calls."""
    try:
        hook = load(use, folder)
    except Exception as error:  # whatever a module does when it is imported
        _say(answers, {"fault": _fault(error)})
        return
    _say(answers, {"ready": list(hook)})
    for line in calls:
        call = json.loads(line)
        _say(answers, _DO[call["do"]](hook, call, use.partition(":")[2]))


def _records(hook: Mapping[str, Callable[..., Any]], call: Mapping[str, Any], _: str) -> dict[str, Any]:
    return _each(((hook["record"], (Record.from_dict(item),)) for item in call["items"]), call["budget_s"])


def _labels(hook: Mapping[str, Callable[..., Any]], call: Mapping[str, Any], _: str) -> dict[str, Any]:
    pairs = ((Label.from_dict(label), None if record is None else Record.from_dict(record)) for label, record in call["items"])
    return _each(((hook["label"], pair) for pair in pairs), call["budget_s"])


def _window(hook: Mapping[str, Callable[..., Any]], call: Mapping[str, Any], name: str) -> dict[str, Any]:
    kind, reference = call["reference"] or ("", {})
    held = Window.from_dict(reference) if kind == "window" else Profile.from_dict(reference) if kind else None
    try:
        found = findings_of(hook["window"](Window.from_dict(call["window"]), held), name)
    except Exception as error:  # the hook's: counted and told
        return {"done": 0, "failed": 1, "fault": _fault(error)}
    return {"done": 1, "failed": 0, "findings": [finding.to_dict() for finding in found]}


_DO = {"records": _records, "labels": _labels, "window": _window}


def _each(calls: Iterable[tuple[Callable[..., Any], tuple[Any, ...]]], budget_s: float) -> dict[str, Any]:
    """Make calls while there is time; one that fails does not stop the others."""
    ends, done, failed, fault = time.monotonic() + budget_s, 0, 0, ""
    for function, given in calls:
        if time.monotonic() > ends:
            break
        try:
            function(*given)
            done += 1
        except Exception as error:  # the hook's: counted and told
            failed, fault = failed + 1, _fault(error)
    return {"done": done, "failed": failed, "fault": fault}


def _fault(error: Exception) -> str:
    if isinstance(error, PortsideError):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({Path(last[0].filename).name}:{last[0].lineno})" if last else ""
    return f"{type(error).__name__}: {error}{where}"[:500]


def _say(answers: BinaryIO, data: Mapping[str, Any]) -> None:
    answers.write(json.dumps(data, default=str).encode() + b"\n")
    answers.flush()


def leave_with_caller() -> None:
    """Linux: this process is killed when the thread that started it ends, whatever the hook is doing then."""
    parent = os.getppid()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    leave_with_caller()
    private = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a hook prints is no answer
    main(sys.argv[1], Path(sys.argv[2]), sys.stdin.buffer, private)
