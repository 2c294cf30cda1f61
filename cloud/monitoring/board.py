"""What a serving worker tells the monitor beside the database: records written and lost, requests refused.

A record that was lost because the disk is full cannot be told through that disk. So each worker keeps one small file whose blocks are
there from the start, and writes into them in place:

    $PORTSIDE_HOME/deployments/NAME-HASH/boards/PID-STARTED.json

Counts only grow while a worker lives. The monitor takes what was added since it last looked.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SIZE = 4096
EVERY_S = 1.0
KEEP_S = 86_400.0
"""How long the board of a worker that ended stays: the monitor may be away."""
log = logging.getLogger("portside.monitor")


@dataclass(frozen=True)
class Said:
    """What one worker has said: counts since it started, by name; `fault`: why its record writer cannot write now, or ""."""

    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    fault: str = ""

    def since(self, before: Mapping[str, int]) -> dict[str, int]:
        """What was added; all of it where a count began anew."""
        return {name: count - held if count >= held else count for name, count in self.counts.items() for held in [before.get(name, 0)]}


class Board:
    """The file of this process. Raises OSError where it cannot be made."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{os.getpid()}-{time.time_ns()}.json"
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.write(Said())
        os.fsync(self._file)

    def write(self, said: Said) -> None:
        """Say it: one write in place, which needs no room on the disk."""
        text = json.dumps({"counts": dict(said.counts), "fault": said.fault[:1000]}).encode()[: SIZE - 10]
        os.pwrite(self._file, (b"%08x " % zlib.crc32(text) + text).ljust(SIZE - 1) + b"\n", 0)

    def close(self) -> None:
        """No more is said; what was said stays for the monitor to read."""
        os.close(self._file)


def boards(folder: Path) -> Iterator[tuple[str, Said]]:
    """(name, what it says) of every board; one that is being written is left for the next time, one of long ago removed."""
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if time.time() - path.stat().st_mtime > KEEP_S and not alive(path):
                path.unlink(missing_ok=True)
                continue
            mark, _, text = path.read_bytes().rstrip().partition(b" ")
            if int(mark, 16) == zlib.crc32(text):
                data = json.loads(text)
                yield path.stem, Said({str(name): int(count) for name, count in data["counts"].items()}, str(data["fault"]))


def alive(path: Path) -> bool:
    """The process of a board lives."""
    try:
        os.kill(int(path.name.partition("-")[0]), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def folder_of(deployment: Path) -> Path:
    """Where the boards of a deployment are. `deployment`: the folder of its generations."""
    return deployment / "boards"


class Reporter:
    """Writes the board once a second, in a thread that costs a file write.

    Args:
        folder: of the boards.
        engine: what answers, None until it is there; its records and metrics are read.
    """

    def __init__(self, folder: Path, engine: Callable[[], Any]) -> None:
        self._folder, self._engine, self._ended = folder, engine, threading.Event()
        self._thread = threading.Thread(target=self._run, name="portside-board", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, after a last word."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(2 * EVERY_S)

    def _run(self) -> None:
        try:
            board = Board(self._folder)
        except OSError as error:
            log.warning("The monitor will not learn of lost records: %s", error)
            return
        last = Said()
        while True:
            ended = self._ended.wait(EVERY_S)
            with contextlib.suppress(OSError):
                last = said(self._engine()) or last
                board.write(last)
            if ended:
                board.close()
                return


def said(engine: Any) -> Said | None:
    """What an engine has to say; None where there is none."""
    if engine is None:
        return None
    records, counts = engine.records, dict[str, int]()
    if records is not None:
        counts = {"written": records.written, "lost": records.lost}
    for status, count in list(engine.metrics.unrecorded.items()):  # the others are counted by their records
        counts[f"refused_{status}"] = count
    return Said(counts, records.fault if records is not None and records.failing else "")
