"""Isolation: where a model's calls run, so that one that is slow, wedged or crashing harms nobody else.

- `inline`: in the caller's thread. Nothing can stop a call, so a deadline is only noticed afterwards; for models whose own
  p99 is far below the deadline.
- `thread`: a small pool of the model's own. At the deadline the caller goes on and the call is cancelled; until it
  really ends it is *abandoned*: counted, replaced by a fresh thread, and bounded. At the bound, calls are refused ("busy").
- `process`: a worker process (runtimes/isolation_process.py). A call that ignores its cancellation costs the worker its life.

Time in the queue counts: `until` is a point in time, and a call whose time has passed is never begun.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from ..sdk.core.errors import EngineError, PortsideError
from ..sdk.core.signature import Array
from .artifact import open_artifact
from .base import Cancel, Isolation, LoadOptions, Session, SessionInfo
from .call import Call, Inputs, WaitedCall, attempt
from .isolation_process import ARTIFACT_OPENER, Opening, ProcessSession, Restart
from .tapped import open_by_runtime

MAX_QUEUE = 1024
MAX_ABANDONED = 4


class Runs(Protocol):
    """The part of a Session that a lane needs."""

    info: SessionInfo

    def run(self, inputs: Mapping[str, Array], cancel: Cancel | None = None) -> dict[str, Array]:
        """As `Session.run`."""
        ...

    def close(self) -> None:
        """As `Session.close`."""
        ...


class Lane:
    """The queue in front of one model, and the threads that carry its calls. `threads=0` runs them inline.

    Args:
        session: what answers.
        threads: calls at once; 1 where the session is not thread-safe.
        replace: start a fresh thread for an abandoned call (thread isolation of a thread-safe session).
        max_abandoned: abandoned calls at once before calls are refused; only with `replace`.
        max_queue: waiting calls before calls are refused.

    Attributes:
        abandoned: calls given up by their callers and still running.
        abandoned_total: as many as there ever were.
    """

    def __init__(self, session: Runs, threads: int = 1, *, replace: bool = False,
                 max_abandoned: int = MAX_ABANDONED, max_queue: int = MAX_QUEUE) -> None:  # fmt: skip
        self.session, self.abandoned, self.abandoned_total = session, 0, 0
        self._replace, self._max_abandoned, self._max_queue = replace, max_abandoned, max_queue
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._lock, self._closed, self._width = threading.Lock(), False, threads
        self._supervised = hasattr(session, "ready")
        self._threads: set[threading.Thread] = set()
        for _ in range(threads):
            self._add_thread()

    @property
    def info(self) -> SessionInfo:
        """Of the session."""
        return self.session.info

    @property
    def inline(self) -> bool:
        """Calls run in the caller's thread."""
        return self._width == 0

    @property
    def ready(self) -> bool:
        """A call could begin now: the worker is up, and there are not too many abandoned ones."""
        if self._closed or (self._replace and self.abandoned >= self._max_abandoned):
            return False
        return not self._supervised or bool(getattr(self.session, "ready", True))

    @property
    def capacity(self) -> int:
        """Calls that could run at once now: abandoned ones hold their thread unless it was replaced."""
        if not self._replace:
            return self._width - self.abandoned
        return self._width if self.abandoned < self._max_abandoned else 0

    def submit(self, inputs: Inputs, until: float | None = None, then: Callable[[Call], None] | None = None,
               freed: Callable[[], None] | None = None) -> Call:  # fmt: skip
        """Queue a call (or run it now, inline). Everything that goes wrong is its outcome.

        Args:
            inputs: typed tensors, or a function that makes them in the thread of the call.
            until: monotonic seconds.
            then: told once when there is an outcome, in whatever thread that happens.
            freed: told when a call that was given up has really ended.
        """
        return self._enter(Call(inputs, until, then, freed))

    def run_inline(self, inputs: Mapping[str, Any], until: float | None = None) -> dict[str, Array]:
        """A call in this thread, which nothing can cancel. Raises EngineError, InputError. Only where the lane is `inline`."""
        if self._closed:
            raise EngineError("The session is closed", reason="closed")
        if until is not None and time.monotonic() >= until:
            raise EngineError("The call waited until its deadline had passed", reason="deadline")
        try:
            return self.session.run(inputs)
        except PortsideError:
            raise
        except Exception as error:  # a foreign error is wrapped where it enters
            raise EngineError(f"The model failed: {type(error).__name__}: {error}") from error

    def abandon(self, call: Call) -> bool:
        """Give a call up: its outcome becomes EngineError("deadline") and the engine is asked to stop. False: it had ended."""
        with self._lock:
            late = call.outcome is None
            if late:
                call.outcome = EngineError("The call did not end in time", reason="deadline")
                if call.started:
                    self.abandoned, self.abandoned_total = self.abandoned + 1, self.abandoned_total + 1
        if late:
            call.cancel.cancel()
            if call.started and self._replace and self.abandoned < self._max_abandoned:
                self._add_thread()
            call.settle(call.outcome)  # type: ignore[arg-type]
        return late

    def run(self, inputs: Mapping[str, Array], cancel: Cancel | None = None, until: float | None = None) -> dict[str, Array]:
        """Submit and wait: `Session.run` with a deadline in monotonic seconds."""
        call = WaitedCall(inputs, until)
        self._enter(call)
        if cancel is not None:
            cancel.on_cancel(call.cancel.cancel)
        if not call.wait(None if until is None else max(until - time.monotonic(), 0.0)):
            self.abandon(call)
        return call.result()

    def close(self) -> None:
        """Refuse what is waiting, end the threads that can be ended, close the session."""
        self._closed = True
        for _ in range(len(self._threads)):
            self._calls.put(None)
        self.session.close()
        for thread in list(self._threads):
            thread.join(timeout=1.0)

    def _enter(self, call: Call) -> Call:
        if refused := self._refusal():
            call.settle(refused)
        elif self._width == 0:
            self._run(call)
        else:
            self._calls.put(call)
        return call

    def _refusal(self) -> EngineError | None:
        if self._closed:
            return EngineError("The session is closed", reason="closed")
        if self._replace and self.abandoned >= self._max_abandoned:
            return EngineError("Too many abandoned calls are still running", reason="busy", got=self.abandoned)
        if self._calls.qsize() >= self._max_queue:
            return EngineError("Too many calls are waiting", reason="busy", got=self._max_queue)
        return None

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="portside-lane", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if self._closed:
                self._end(call, EngineError("The session is closed", reason="closed"))
            elif not self._run(call):
                break
        self._threads.discard(threading.current_thread())

    def _run(self, call: Call) -> bool:
        """Run one call; False when its caller gave it up and another thread has taken this one's place."""
        with self._lock:
            call.started = call.outcome is None and not call.expired()
        if not call.started:
            self._end(call, EngineError("The call waited until its deadline had passed", reason="deadline"))
            return True
        if self._end(call, attempt(self.session.run, call)):
            return True
        call.freed()
        return len(self._threads) <= self._width

    def _end(self, call: Call, outcome: dict[str, Array] | Exception) -> bool:
        """Set a call's outcome; False when it had been given up."""
        with self._lock:
            given_up = call.outcome is not None
            if not given_up:
                call.outcome = outcome
            elif call.started:
                self.abandoned -= 1
        if not given_up:
            call.settle(outcome)
        return not given_up


def isolate(artifact: Path, isolation: Isolation, options: LoadOptions | None = None, *, threads: int = 1,
            restart: Restart | None = None, opener: Callable[[Path, LoadOptions], Session] | None = None) -> Lane:  # fmt: skip
    """Open an artifact under an isolation.

    Args:
        artifact: a compiled artifact's folder; audited here, and again in a worker process.
        isolation: "inline", "thread" or "process".
        options: how the session is opened.
        threads: "thread": calls at once, for sessions that are thread-safe (others get one at a time).
        restart: "process": times of its supervisor.
        opener: opens the session, for inline and thread; default: the artifact's own runtime.

    A process is started, not awaited: `lane.session.wait_ready(seconds)`.
    """
    options = options or LoadOptions()
    described = open_artifact(Path(artifact))
    if isolation == "process":
        opening = Opening(ARTIFACT_OPENER, {"path": str(artifact), **asdict(options)})
        info = SessionInfo(described.signature, described.target, described.package_digest, described.batch_invariant, False, True)
        return Lane(ProcessSession(opening, info, restart))
    session = opener(Path(artifact), options) if opener else open_by_runtime(described.target, Path(artifact), options)
    if isolation == "inline":
        return Lane(session, threads=0)
    safe = session.info.thread_safe
    return Lane(session, threads=threads if safe else 1, replace=safe)


def statistics(lane: Lane) -> dict[str, Any]:
    """What an operator wants to see of a lane."""
    return {"ready": lane.ready, "abandoned": lane.abandoned, "abandoned_total": lane.abandoned_total,
            "restarts": max(getattr(lane.session, "restarts", 0), 0), "fault": getattr(lane.session, "fault", "")}  # fmt: skip
