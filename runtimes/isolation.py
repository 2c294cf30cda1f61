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
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from ..sdk.core.errors import EngineError, PortsideError
from ..sdk.core.signature import Array
from .artifact import open_artifact
from .base import Cancel, Isolation, LoadOptions, Session, SessionInfo, runtime
from .isolation_process import ARTIFACT_OPENER, Opening, ProcessSession, Restart

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


@dataclass
class Call:
    """One call in a lane. `answer` is resolved exactly once: by the model, or by `abandon`.

    Attributes:
        until: monotonic seconds; None: as long as it takes.
        started: the model has begun.
    """

    inputs: Mapping[str, Array]
    until: float | None
    answer: Future[dict[str, Array]]
    cancel: Cancel
    started: bool = False

    def expired(self) -> bool:
        """Its time has passed."""
        return self.until is not None and time.monotonic() >= self.until


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
        self._threads: set[threading.Thread] = set()
        for _ in range(threads):
            self._add_thread()

    @property
    def info(self) -> SessionInfo:
        """Of the session."""
        return self.session.info

    @property
    def ready(self) -> bool:
        """A call could begin now: the worker is up, and there are not too many abandoned ones."""
        full = self._replace and self.abandoned >= self._max_abandoned
        return not self._closed and not full and getattr(self.session, "ready", True)

    def submit(self, inputs: Mapping[str, Array], until: float | None = None) -> Call:
        """Queue a call (or run it now, inline). Everything that goes wrong arrives in `call.answer`."""
        call = Call(inputs, until, Future(), Cancel())
        if refused := self._refusal():
            call.answer.set_exception(refused)
        elif self._width == 0:
            self._run(call)
        else:
            self._calls.put(call)
        return call

    def abandon(self, call: Call) -> bool:
        """Give a call up: its answer becomes EngineError("deadline") and the engine is asked to stop. False: it had ended."""
        with self._lock:
            late = not call.answer.done()
            if late:
                call.answer.set_exception(EngineError("The call did not end in time", reason="deadline"))
                if call.started:
                    self.abandoned, self.abandoned_total = self.abandoned + 1, self.abandoned_total + 1
        if late:
            call.cancel.cancel()
            if call.started and self._replace and self.abandoned < self._max_abandoned:
                self._add_thread()
        return late

    def run(self, inputs: Mapping[str, Array], cancel: Cancel | None = None, until: float | None = None) -> dict[str, Array]:
        """Submit and wait: `Session.run` with a deadline in monotonic seconds."""
        call = self.submit(inputs, until)
        if cancel is not None:
            cancel.on_cancel(call.cancel.cancel)
        try:
            return call.answer.result(None if until is None else max(until - time.monotonic(), 0.0))
        except TimeoutError:
            self.abandon(call)
            return call.answer.result()

    def close(self) -> None:
        """Refuse what is waiting, end the threads that can be ended, close the session."""
        self._closed = True
        for _ in range(len(self._threads)):
            self._calls.put(None)
        self.session.close()
        for thread in list(self._threads):
            thread.join(timeout=1.0)

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
                _resolve(call, EngineError("The session is closed", reason="closed"))
            elif not self._run(call):
                break
        self._threads.discard(threading.current_thread())

    def _run(self, call: Call) -> bool:
        """Run one call; False when its caller gave it up and another thread has taken this one's place."""
        with self._lock:
            if call.answer.done() or call.expired():
                _resolve(call, EngineError("The call waited until its deadline had passed", reason="deadline"))
                return True
            call.started = True
        outcome = _attempt(self.session, call)
        with self._lock:
            given_up = call.answer.done()
            if not given_up:
                _resolve(call, outcome)
            else:
                self.abandoned -= 1
        return not given_up or len(self._threads) <= self._width


def _attempt(session: Runs, call: Call) -> dict[str, Array] | Exception:
    try:
        return session.run(call.inputs, call.cancel)
    except PortsideError as error:
        return error
    except Exception as error:  # a foreign error is wrapped where it enters
        wrapped = EngineError(f"The model failed: {type(error).__name__}: {error}")
        wrapped.__cause__ = error
        return wrapped


def _resolve(call: Call, outcome: dict[str, Array] | Exception) -> None:
    if call.answer.done():
        return
    if isinstance(outcome, Exception):
        call.answer.set_exception(outcome)
    else:
        call.answer.set_result(outcome)


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
    session = opener(Path(artifact), options) if opener else runtime(described.target).load(Path(artifact), options)
    if isolation == "inline":
        return Lane(session, threads=0)
    safe = session.info.thread_safe
    return Lane(session, threads=threads if safe else 1, replace=safe)


def statistics(lane: Lane) -> dict[str, Any]:
    """What an operator wants to see of a lane."""
    return {"ready": lane.ready, "abandoned": lane.abandoned, "abandoned_total": lane.abandoned_total,
            "restarts": max(getattr(lane.session, "restarts", 0), 0), "fault": getattr(lane.session, "fault", "")}  # fmt: skip
