"""Lower segments to `.tflite` files in a process of its own: torch, jax and the converter stay out of the caller's.

The child's output goes to a file; its last lines are shown when it dies. It ends with its process group when the caller
is interrupted, runs out of time, or dies. $PORTSIDE_TFLITE_PYTHON names the interpreter of another environment, so that
the gigabyte of the converter may be kept apart.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from ...sdk.core.errors import EngineError, FormatError, IntegrityError, MissingExtraError, PortsideError, TraceError, UnsupportedError
from ...sdk.core.staging import staging
from .request import LOG, Answer, Request

PYTHON = "PORTSIDE_TFLITE_PYTHON"
EXTRA = "tflite-compile"
TIMEOUT_S = 3600.0
_CHILD = "portside.runtimes.tflite.lower_process"
_SHOWN = 12
_KINDS: Mapping[str, type[PortsideError]] = {
    "UnsupportedError": UnsupportedError, "EngineError": EngineError, "FormatError": FormatError, "TraceError": TraceError,
    "IntegrityError": IntegrityError,
}  # fmt: skip


def compiler() -> str:
    """The Python that lowers: this one, or the one that $PORTSIDE_TFLITE_PYTHON names. Raises MissingExtraError."""
    named = os.environ.get(PYTHON)
    if named:
        if (found := shutil.which(named)) is None:
            raise FormatError(f"${PYTHON} names no program", got=named,
                              expected="the Python of an environment with portside[tflite-compile]")  # fmt: skip
        return found
    if absent := [name for name in ("litert_torch", "torch") if find_spec(name) is None]:
        raise MissingExtraError(f"Compiling for tflite needs what is not installed here (or name another environment's Python "
                                f"in ${PYTHON})", got=absent[0], extra=EXTRA)  # fmt: skip
    return sys.executable


@contextmanager
def workplace() -> Generator[Path]:
    """A temporary folder for a request and its answer; what a killed compile left of its own, weights and all, is removed first."""
    with staging(Path(tempfile.gettempdir()) / "tflite") as folder:
        yield folder


def lower(request: Request, folder: Path, timeout_s: float = TIMEOUT_S) -> Answer:
    """Run the child on a folder that holds the segments' ONNX files.

    Returns:
        The answer; the `.tflite` files lie in `folder`.

    Raises:
        MissingExtraError: the converter is not installed.
        UnsupportedError: what cannot be lowered, by name.
        EngineError: the child died or ran out of time; the last lines of its output are in the message.
    """
    python = compiler()
    request.write(folder)
    with (folder / LOG).open("wb") as log:
        child = subprocess.Popen(
            [python, "-P", "-m", _CHILD, str(folder), str(os.getpid())], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True, env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    try:
        status = child.wait(timeout_s)
    except subprocess.TimeoutExpired as error:
        shown = last_lines(folder / LOG)
        raise EngineError(f"Lowering to TFLite took longer than {timeout_s:g} s", reason="deadline", got=shown) from error
    finally:
        end(child)
    return _answered(folder, status)


def end(child: subprocess.Popen[bytes]) -> None:
    """Kill the child and everything it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def last_lines(log: Path) -> str:
    """The end of what the child printed."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return "\n".join(lines[-_SHOWN:])


def _answered(folder: Path, status: int) -> Answer:
    try:
        answer = Answer.read(folder)
    except FileNotFoundError:
        raise _died(folder, status) from None
    if answer.refusal is not None:
        said = dict(answer.refusal)
        raise _KINDS.get(said.pop("kind"), EngineError)(said.pop("what"), **said)
    return answer


def _died(folder: Path, status: int) -> PortsideError:
    shown = last_lines(folder / LOG)
    if "No module named" in shown:
        return MissingExtraError("The Python that compiles for tflite lacks a module", got=shown.splitlines()[-1], extra=EXTRA)
    return EngineError(f"The process that lowers to TFLite ended with status {status}", got=shown)
