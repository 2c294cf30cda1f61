"""What happened, as it happened: lines for the terminal, marks for the timeline."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Mark:
    """Something that happened. `lane`: where the timeline shows it; `by_hand`: a person did what the product had not done in time."""

    at_s: float
    lane: str
    text: str
    by_hand: bool = False


@dataclass(frozen=True)
class Seen:
    """A cell that was answered at the server.

    Attributes:
        at_s: since the story began.
        act: in which act.
        cell: its position in the collection.
        status: HTTP status.
        record: id of the record.
    """

    at_s: float
    act: str
    cell: int
    status: int
    record: str | None


@dataclass
class Story:
    """Grows while the story runs; threads may add to it.

    Attributes:
        out: folder of everything.
        marks, seen: see there.
        acts: (name, when it began).
        samples: what the watcher saw each second: {"at_s", "waiting", "decided", ...}.
        figures: of the end, by name.
    """

    out: Path
    began: float = field(default_factory=time.monotonic)
    began_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    marks: list[Mark] = field(default_factory=list[Mark])
    seen: list[Seen] = field(default_factory=list[Seen])
    acts: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    samples: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    figures: dict[str, Any] = field(default_factory=dict[str, Any])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def now_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    @property
    def act(self) -> str:
        """The one that is on."""
        return self.acts[-1][0] if self.acts else ""

    def begin(self, act: str, text: str) -> None:
        """The next act."""
        self.acts.append((act, self.now_s))
        self.say(f"== {act}: {text}")

    def say(self, text: str) -> None:
        """A line of progress, with the time since the start."""
        with self._lock:
            print(f"[{self.now_s:5.1f} s] {text}", file=sys.stderr, flush=True)

    def mark(self, lane: str, text: str, by_hand: bool = False) -> None:
        """It is said, and stands on the timeline."""
        self.say(f"{lane}: {text}" + (" (by hand)" if by_hand else ""))
        with self._lock:
            self.marks.append(Mark(self.now_s, lane, text, by_hand))

    def by_hand(self) -> list[str]:
        """Steps that this run did by hand."""
        return [mark.text for mark in self.marks if mark.by_hand]
