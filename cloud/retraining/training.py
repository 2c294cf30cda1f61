"""The user's training command: a process of its own, told by its environment what to do, ended when it takes too long.

| variable | says |
|---|---|
| PORTSIDE_DATASET | folder of the dataset: `ps.dataset(os.environ["PORTSIDE_DATASET"])` |
| PORTSIDE_OUT | where it leaves a package: `ps.pack(..., out=os.environ["PORTSIDE_OUT"])`; nothing is there yet |
| PORTSIDE_CHAMPION | folder of the package that answers now |
| PORTSIDE_WEIGHTS | "new" or "champion": what it begins with |
| PORTSIDE_CHECKPOINTS | a folder of its own, which is there again when a killed run is taken up |
| PORTSIDE_RUN | id of the run |
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...sdk.core.errors import EngineError, FormatError

TAIL_LINES, END_S, POLL_S = 20, 10.0, 0.05


@dataclass(frozen=True)
class Work:
    """One attempt.

    Attributes:
        words: the command.
        folder: where it runs.
        out: where it leaves a package; not there yet.
        log: what it prints is added here.
        timeout_s: how long it may take.
        told: variables that it is told besides PORTSIDE_OUT.
    """

    words: Sequence[str]
    folder: Path
    out: Path
    log: Path
    timeout_s: float
    told: Mapping[str, str]


def run(work: Work, started: Callable[[int, int], None]) -> None:
    """Run the command to its end.

    Args:
        work: what to run.
        started: told the process's id and `ticks_of` it, before anything is waited for.

    Raises:
        FormatError: there is no such command, or it left no package.
        EngineError: it failed ("failed"), or took too long ("deadline"); the message ends with what it printed last.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, **work.told, "PORTSIDE_OUT": str(work.out), "PATH": path}
    with work.log.open("ab") as log:
        try:
            process = subprocess.Popen(list(work.words), cwd=work.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
        except OSError as error:
            raise FormatError(f"The training command cannot be started: {error.strerror or error}", got=" ".join(work.words),
                              expected="a program, and files below the folder of the deployment",
                              fix="Set [retrain] command.") from error  # fmt: skip
        try:
            started(process.pid, ticks_of(process.pid))
            code = process.wait(work.timeout_s)
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"The training command took longer than {work.timeout_s / 60:.3g} minutes and was ended; nothing was changed",
                              reason="deadline", got=tail(work.log),
                              fix=f"All that it printed: {work.log}. [retrain] timeout_minutes says how long.") from error  # fmt: skip
        finally:
            end(process.pid, lambda: process.poll() is not None)
            process.wait()
    if code:
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        raise EngineError(f"The training command ended {how}; nothing was changed", got=tail(work.log),
                          fix=f"All that it printed: {work.log}")  # fmt: skip
    if not (work.out / "manifest.json").is_file():
        raise FormatError("The training command ended well and left no package", got=str(work.out), expected="a package folder",
                          fix='End it with ps.pack(..., out=os.environ["PORTSIDE_OUT"]).')  # fmt: skip


def end(group: int, gone: Callable[[], bool]) -> None:
    """End a command with all that it started: asked first, then made to. `gone`: the command itself is over."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGTERM)
        ends = time.monotonic() + END_S
        while not gone() and time.monotonic() < ends:
            time.sleep(POLL_S)
        os.killpg(group, signal.SIGKILL)


def end_left(pid: int, ticks: int) -> bool:
    """End the command of a run whose own process was killed; False where it is over, or the id is somebody else's by now."""
    if not pid or not ticks or ticks_of(pid) != ticks:
        return False
    end(pid, lambda: ticks_of(pid) != ticks)
    return True


def ticks_of(pid: int) -> int:
    """When the system started a process, in its own ticks: with the id it names one process for ever. 0: it is not there, or not told."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def tail(log: Path) -> str:
    """The last lines of a log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join(["its last words:", *lines]) if lines else "it said nothing"

