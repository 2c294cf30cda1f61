"""The child of process isolation: opens one session and answers one call at a time until its parent is gone.

Three inherited descriptors: a connection for heads, and two shared regions (tensors in, tensors out). A fourth carries
"cancel call N" lines; when it closes, the parent is gone and so is this process, even in the middle of a call.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..sdk.core.errors import EngineError, InputError, PortsideError
from .artifact import open_artifact
from .base import Cancel, LoadOptions, Session
from .shared_tensors import Region
from .tapped import open_by_runtime


def open_artifact_session(path: str, threads: int = 1, spinning: bool = False, trust: bool = False,
                          cache: bool = False, door: bool = True, taps: Sequence[str] = ()) -> Session:  # fmt: skip
    """Audit and open an artifact folder: what a worker does unless it is told otherwise."""
    options = LoadOptions(threads=threads, spinning=spinning, trust=trust, cache=cache, door=door, taps=tuple(taps))
    return open_by_runtime(open_artifact(Path(path)).target, Path(path), options)


class Calls:
    """The call under way, for the thread that listens to the parent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number, self._cancel = -1, Cancel()
        self._early = -1

    def begin(self, number: int) -> Cancel:
        """A fresh flag for this call, raised already if its cancellation came first."""
        with self._lock:
            self._number, self._cancel = number, Cancel()
            cancel, early = self._cancel, self._early >= number
        if early:
            cancel.cancel()
        return cancel

    def cancel(self, number: int) -> None:
        """Cancel call `number` if it is under way or still to come."""
        with self._lock:
            self._early = max(self._early, number)
            cancel = self._cancel if self._number == number else None
        if cancel is not None:
            cancel.cancel()


def listen(handle: int, calls: Calls) -> None:
    """Obey the parent's lines; end the process when there will be no more."""
    with os.fdopen(handle, "rb", buffering=0) as lines:
        while line := lines.readline():
            calls.cancel(int(line))
    os._exit(0)


def answer(session: Session, calls: Calls, head: dict[str, Any], inward: Region, outward: Region) -> dict[str, Any]:
    """One call: tensors from `inward`, tensors or an error out."""
    try:
        inputs: Any = inward.read(head, copy=False)
        outputs = session.run(inputs, calls.begin(head["call"]))
        return {"ok": True, **outward.write(outputs)}
    except InputError as error:
        return {"ok": False, "kind": "input", "what": error.what, "field": error.field, "row": error.row}
    except EngineError as error:
        return {"ok": False, "kind": "engine", "what": error.what, "reason": error.reason}
    except Exception as error:  # whatever a model throws goes back to the caller, by name
        return {"ok": False, "kind": "engine", "what": f"{type(error).__name__}: {error}", "reason": "failed"}


def serve(opener: Callable[..., Session], arguments: dict[str, Any], handles: list[int]) -> None:
    """Open, say ready (or why not), then answer until the connection ends."""
    talk, control, inward, outward = Connection(handles[0]), handles[1], Region(handles[2]), Region(handles[3])
    calls = Calls()
    threading.Thread(target=listen, args=(control, calls), daemon=True).start()
    try:
        session = opener(**arguments)
    except PortsideError as error:
        talk.send_bytes(json.dumps({"ready": False, "what": str(error)}).encode())
        return
    except Exception as error:  # as above: the parent reports it
        talk.send_bytes(json.dumps({"ready": False, "what": f"{type(error).__name__}: {error}"}).encode())
        return
    talk.send_bytes(json.dumps({"ready": True}).encode())
    while True:
        try:
            head = json.loads(talk.recv_bytes())
        except (EOFError, OSError):
            return
        talk.send_bytes(json.dumps(answer(session, calls, head, inward, outward)).encode())


def main() -> None:
    """Arguments: one JSON object with `opener` ("module:function"), `arguments` and `handles`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the whole group; the parent decides
    told = json.loads(sys.argv[1])
    module, _, function = told["opener"].partition(":")
    serve(getattr(importlib.import_module(module), function), told["arguments"], told["handles"])


if __name__ == "__main__":
    main()
