"""The child that lowers: `python -P -m portside.runtimes.tflite.lower_process FOLDER PARENT`. See `request.py`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from ...sdk.core.errors import PortsideError
from .request import Answer, Request

_WATCH_S = 1.0


def main(arguments: list[str]) -> int:
    """Lower what the folder's request names, and write the answer there."""
    folder, parent = Path(arguments[0]), int(arguments[1])
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    request = Request.read(folder)
    try:
        from ..importers.tflite_lowering import lower_all  # torch, jax and the converter: seconds

        answer = lower_all(request, folder)
    except PortsideError as error:
        answer = Answer(refusal={"kind": type(error).__name__, "what": error.what, **_plain(error)})
    answer.write(folder)
    return 0


def _plain(error: PortsideError) -> dict[str, str]:
    told = {"got": error.got, "expected": error.expected, "fix": error.fix}
    return {key: str(value) for key, value in told.items() if value is not None}


def _end_with(parent: int) -> None:
    """End this process group when the parent is gone, however it went."""
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
