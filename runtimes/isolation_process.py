"""Process isolation: a Session whose engine lives in a worker process that may wedge or die without harm to the caller.

The worker is a fresh interpreter (nothing is forked, the user's main module is not imported again). A supervisor thread
starts it, waits until it is ready, and starts another one when it is gone; attempts back off up to `Restart.most_s`. While
there is none, calls fail at once with reason "crashed", so that a backup can answer within the same budget.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from ..sdk.core.errors import EngineError, InputError
from ..sdk.core.signature import Array
from .base import Cancel, SessionInfo
from .shared_tensors import Region, Tensors

ARTIFACT_OPENER = "portside.runtimes.isolation_worker:open_artifact_session"
_TICK_S = 0.02


@dataclass(frozen=True)
class Restart:
    """How workers are replaced, in seconds.

    Attributes:
        first_s: pause before the second attempt in a row, doubled at each one after; the first is immediate.
        most_s: longest pause.
        ready_s: a worker that is not ready by then is killed.
        kill_after_s: a call that was cancelled and does not return within this time costs the worker its life.
    """

    first_s: float = 0.1
    most_s: float = 5.0
    ready_s: float = 60.0
    kill_after_s: float = 1.0


@dataclass(frozen=True)
class Opening:
    """How a worker opens its session: "module:function" and JSON-ready keyword arguments."""

    opener: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Worker:
    """One child process and the channels to it."""

    def __init__(self, opening: Opening) -> None:
        self._in, self._out, self._open = Region(), Region(), threading.Lock()
        ours, theirs = socket.socketpair()
        control, self._control = os.pipe()
        self._talk = Connection(ours.detach())
        handles = [theirs.fileno(), control, self._in.handle, self._out.handle]
        told = {"opener": opening.opener, "arguments": dict(opening.arguments), "handles": handles}
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from portside.runtimes.isolation_worker import main; main()", json.dumps(told)],
            pass_fds=handles, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        os.close(control)

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    def wait_ready(self, seconds: float) -> str | None:
        """None when the session is open, otherwise what went wrong."""
        try:
            if not self._talk.poll(seconds):
                return f"it was not ready after {seconds:g} s"
            said = json.loads(self._talk.recv_bytes())
        except (EOFError, OSError):
            return f"it ended while opening, exit status {self._process.wait(5)}"
        return None if said["ready"] else said["what"]

    def alive(self) -> bool:
        """The process has not ended."""
        return self._process.poll() is None

    def send(self, number: int, inputs: Tensors) -> None:
        """Begin call `number`. Raises OSError when the worker is gone."""
        self._talk.send_bytes(json.dumps({"call": number, **self._in.write(inputs)}).encode())

    def receive(self, seconds: float | None) -> dict[str, Any] | None:
        """The answer's head, or None when there is none after `seconds` (None: wait). EOFError, OSError: the worker is gone."""
        return json.loads(self._talk.recv_bytes()) if self._talk.poll(seconds) else None

    def tensors(self, head: Mapping[str, Any]) -> dict[str, Any]:
        """The tensors of an answer, copied."""
        return self._out.read(head, copy=True)

    def cancel(self, number: int) -> None:
        """Ask the worker to stop call `number`."""
        with self._open, contextlib.suppress(OSError):
            if self._control >= 0:
                os.write(self._control, b"%d\n" % number)

    def kill(self) -> None:
        """End the process; a call under way sees the connection end."""
        self._process.kill()
        self._process.wait()

    def release(self) -> None:
        """Close the channels. Nobody may be using them: the caller holds the session's turn."""
        with self._open:
            control, self._control = self._control, -1
        os.close(control)
        self._talk.close()
        self._in.close()
        self._out.close()


class ProcessSession:
    """A Session over a supervised worker process. One call at a time: callers of `run` take turns.

    Args:
        opening: how the worker opens its session.
        info: of that session (known from the artifact without opening it).
        restart: times of the supervisor.

    Attributes:
        restarts: workers started after the first.
        fault: why the last worker was lost.
    """

    def __init__(self, opening: Opening, info: SessionInfo, restart: Restart | None = None) -> None:
        self.info, self.restarts, self.fault = info, -1, ""
        self._opening, self._times = opening, restart or Restart()
        self._turn, self._state = threading.Lock(), threading.Condition()
        self._worker: Worker | None = None
        self._closed, self._number, self._answered = False, 0, False
        self._supervisor = threading.Thread(target=self._supervise, name="portside-supervisor", daemon=True)
        self._supervisor.start()

    @property
    def ready(self) -> bool:
        """A worker is up and has opened its session."""
        return self._worker is not None

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None while there is none."""
        worker = self._worker
        return worker.pid if worker else None

    def wait_ready(self, seconds: float) -> None:
        """Block until a worker is ready. Raises EngineError with the last fault after `seconds`."""
        with self._state:
            if not self._state.wait_for(lambda: self._worker is not None or self._closed, seconds) or self._closed:
                raise EngineError("The worker process is not ready", reason="crashed", got=self.fault or "still starting")

    def run(self, inputs: Mapping[str, Array], cancel: Cancel | None = None) -> dict[str, Array]:
        """As `Session.run`, in the worker. Cancelled calls that do not return are ended with their worker.

        Raises:
            InputError: as the worker's session raised it.
            EngineError: reason "crashed" (the worker died, or none is up), "deadline" (it had to be killed), or the session's own.
        """
        with self._turn:
            worker = self._up()
            self._number += 1
            number = self._number
            if cancel is not None:
                cancel.on_cancel(lambda: worker.cancel(number))
            try:
                worker.send(number, inputs)
                head = self._await(worker, cancel)
            except (EOFError, OSError) as error:
                self._lost(worker, "the worker process died during a call")
                raise EngineError("The worker process died during the call", reason="crashed") from error
            return self._result(worker, head)

    def __repr__(self) -> str:
        """One line: target, package, inputs and outputs."""
        return str(self.info)

    def predict(self, inputs: Any = None, cancel: Cancel | None = None) -> dict[str, Array]:
        """Not offered across processes: encode with the codec, then `run`."""
        raise EngineError("A session in another process takes typed tensors only", fix="Use run(), or isolation='thread'.")

    def close(self) -> None:
        """End the worker and the supervisor."""
        with self._state:
            self._closed, worker, self._worker = True, self._worker, None
            self._state.notify_all()
        if worker is not None:
            worker.kill()
            with self._turn:
                worker.release()
        if self._supervisor is not threading.current_thread():
            self._supervisor.join(timeout=10)

    def _up(self) -> Worker:
        worker = self._worker
        if self._closed:
            raise EngineError("The session is closed", reason="closed")
        if worker is None:
            raise EngineError("The worker process is restarting", reason="crashed", got=self.fault or None)
        return worker

    def _await(self, worker: Worker, cancel: Cancel | None) -> dict[str, Any]:
        if cancel is None:
            return worker.receive(None) or {}
        kill_at: float | None = None
        while (head := worker.receive(_TICK_S)) is None:
            if cancel.cancelled and kill_at is None:
                kill_at = time.monotonic() + self._times.kill_after_s
            if kill_at is not None and time.monotonic() >= kill_at:
                self._lost(worker, f"it did not return within {self._times.kill_after_s:g} s of being cancelled")
                raise EngineError("The call did not stop when cancelled, so its worker was killed", reason="deadline")
        return head

    def _result(self, worker: Worker, head: dict[str, Any]) -> dict[str, Array]:
        self._answered = True
        if head["ok"]:
            return worker.tensors(head)
        if head["kind"] == "input":
            raise InputError(head["what"], field=head["field"], row=head["row"])
        raise EngineError(head["what"], reason=head["reason"])

    def _lost(self, worker: Worker, why: str) -> None:
        """Forget this worker; the supervisor starts another. The caller holds the turn."""
        with self._state:
            mine = self._worker is worker
            if mine:
                self._worker, self.fault = None, why
                self._state.notify_all()
        if mine:
            worker.kill()
            worker.release()

    def _supervise(self) -> None:
        failures = 0
        while not self._closed:
            if failures:
                self._pause(min(self._times.first_s * 2.0 ** min(failures - 1, 30), self._times.most_s))
            if self._closed:
                return
            failures = 0 if self._start_and_watch() else failures + 1

    def _start_and_watch(self) -> bool:
        """One life of a worker; True when it was of use."""
        self._answered = False
        worker = Worker(self._opening)
        self.restarts += 1
        fault = worker.wait_ready(self._times.ready_s)
        with self._state:
            if fault is None and not self._closed:
                self._worker = worker
                self._state.notify_all()
        if fault is not None or self._closed:
            self.fault = f"the worker did not open: {fault}"
            worker.kill()
            worker.release()
            return False
        while self._worker is worker and not self._closed:
            self._bury(worker)
            self._pause(0.05, while_worker=worker)
        return self._answered

    def _bury(self, worker: Worker) -> None:
        """Notice a worker that died between calls; during a call, the call notices."""
        if not worker.alive() and self._turn.acquire(blocking=False):
            try:
                self._lost(worker, "the worker process ended")
            finally:
                self._turn.release()

    def _pause(self, seconds: float, while_worker: Worker | None = None) -> None:
        with self._state:
            self._state.wait_for(lambda: self._closed or self._worker is not while_worker, seconds)
