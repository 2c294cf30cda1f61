"""Every hook reads the database for itself, with a cursor of its own, in a thread of its own: a slow one is late, and nobody waits for it.

A cursor moves when the hook has answered, or when its call failed, hung or ran out of time, which is counted: what cannot be done is
not tried for ever. A monitor that is killed in between tells the hook again; it is told everything at least once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import FormatError
from ...sdk.core.profile import Profile
from ...sdk.core.window import Window
from ..deployment.monitor import Hook
from ..monitor import Finding, Verdict
from ..records.reading import after, find, labels_after
from .about import About
from .counting import Note, quiet
from .cursors import Cursor, cursor_of, move, read_cursor
from .hook_caller import HookCaller, Stats
from .judge import reference_of, write_findings
from .levels import DAY_MS
from .storing import TRAFFIC, at, starts
from .turn import LostTurnError, Turn

BATCH = 200
SPANS = 20
"""Spans of one round."""
log = logging.getLogger("portside.monitor")


class AwayError(Exception):
    """The hook's process is not there, and is not started yet: nothing was told."""


class Consumer:
    """One hook of a deployment.

    Attributes:
        stats: how it does.
    """

    def __init__(self, turn: Turn, about: About, hook: Hook, note: Note = quiet) -> None:
        self._turn, self._about, self._note = turn, about, note
        self.name, self.consumer = hook.use, f"hook:{hook.use}"
        self._caller = HookCaller(hook.use, Path(about.folder), hook.timeout_s)
        self._hurry, self._closed = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name=f"portside-hook {hook.use}", daemon=True)

    @property
    def stats(self) -> Stats:
        """Counts, and whether its last call was well."""
        return self._caller.stats

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def hurry(self) -> None:
        """There is something new."""
        self._hurry.set()

    def close(self) -> None:
        """End; its process is killed."""
        self._closed = True
        self._caller.kill()
        self._hurry.set()
        if self._thread.is_alive():
            self._thread.join(10.0)
        if not self._thread.is_alive():
            self._caller.close()

    def consume(self) -> int:
        """Tell the hook what is new, one batch of each kind; how many records, labels and spans. 0: nothing new, or nobody to tell.

        Raises LostTurnError, FormatError, SQLAlchemyError.
        """
        told = 0
        if not self._caller.ready():
            return told
        kinds = {"record": self._records, "label": self._labels, "window": self._windows}
        with suppress(AwayError):
            for kind in self._caller.kinds:
                if kind != "window" or told < BATCH:  # a span behind its records and labels
                    told += kinds[kind](read_cursor(self._turn.database, self._about.name, self.consumer))
        return told

    def _run(self) -> None:
        while not self._closed:
            self._hurry.wait(1.0)
            self._hurry.clear()
            try:
                while not self._closed and self.consume():
                    pass
            except (LostTurnError, FormatError, SQLAlchemyError) as error:  # the next round tries again
                log.warning("%s waits: %s", self.name, type(error).__name__)

    def _records(self, held: Cursor) -> int:
        fresh = after(self._turn.database, held.records, BATCH, self._about.name)
        if fresh:
            self._call("records", items=[record.to_dict() for _, record in fresh])
            self._move(replace(held, records=fresh[-1][0]))
        return len(fresh)

    def _labels(self, held: Cursor) -> int:
        database = self._turn.database
        fresh = labels_after(database, held.labels, BATCH)
        if not fresh:
            return 0
        pairs = [(label, find(database, label.record)) for _, label in fresh]
        own = [(label.to_dict(), None if record is None else record.to_dict()) for label, record in pairs
               if record is None or record.name == self._about.name]  # fmt: skip
        if own:
            self._call("labels", items=own)
        self._move(replace(held, labels=fresh[-1][0]))
        return len(fresh)

    def _windows(self, held: Cursor) -> int:
        """Spans that were judged since; a hook that is new begins with those of the last day."""
        database, name = self._turn.database, self._about.name
        with database.read() as connection:
            fresh = starts(connection, name, "judged", TRAFFIC, held.data.get("since", 0), 1 << 62)
            some = list(fresh)[:SPANS] if held.windows else [start for start in fresh if start >= max(fresh) - DAY_MS][:SPANS]
            windows = at(connection, name, "judged", TRAFFIC, some)
        for start in some:
            self._window(windows[start], replace(held, windows=windows[start].end_ms, data={"since": start + 1}))
        return len(some)

    def _window(self, window: Window, moved: Cursor) -> None:
        reference = reference_of(self._turn.database, self._about, window)
        answer = self._call("window", window=window.to_dict(), reference=_sent(reference))
        found = [] if answer is None else [Finding.from_dict(item) for item in answer.get("findings", ())]
        with self._turn.write() as connection:
            held = cursor_of(connection, self._about.name, self.consumer)
            if held.windows < moved.windows:
                write_findings(connection, self._about, window, [(self.consumer, finding) for finding in found])
                move(connection, self._about.name, self.consumer, replace(moved, records=held.records, labels=held.labels))
                self._note("hook judging")

    def _call(self, do: str, **given: Any) -> dict[str, Any] | None:
        """The answer; None where it hung or its process died, which is counted. Raises AwayError."""
        if not self._caller.ready():
            raise AwayError
        answer = self._caller.call(do, **given)
        if not self.stats.well:
            log.warning("The hook %s: %s", self.name, self.stats.fault)
        return answer

    def _move(self, cursor: Cursor) -> None:
        with self._turn.write() as connection:
            move(connection, self._about.name, self.consumer, cursor)


def wellbeing(consumer: str, stats: Stats) -> Finding:
    """Whether a hook works, for an alert."""
    verdict: Verdict = "not enough data" if stats.well is None else "ok" if stats.well else "breach"
    what = f"{consumer}: {stats.done} calls done, {stats.failed} failed, {stats.hung} hung, {stats.skipped} left out"
    return Finding("hook", consumer, float(stats.failed + stats.hung), verdict, f"{what}. {stats.fault}".strip(), evidence=vars(stats))


def serially(consumer: Consumer, tries: int = 10_000) -> Callable[[], None]:
    """For a replay: tell the hook everything there is, and wait for it."""

    def tell() -> None:
        for _ in range(tries):
            if not consumer.consume():
                return

    return tell


def _sent(reference: Window | Profile | None) -> tuple[str, dict[str, Any]] | None:
    if reference is None:
        return None
    return ("window" if isinstance(reference, Window) else "profile", reference.to_dict())
