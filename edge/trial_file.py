"""What live answers said of a trial, on the disk: a device that restarts now and then would otherwise never see enough of a release.

    trial.json   counts, and of which trial they are; a checksum

The counts since the last save go with the power, whatever they said, so the test stays as valid as it was. The contract is not kept: it
is proven again by the engine that is to run it. A file that cannot be read, or is of another trial, means nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..sdk.core.canonical import digest_of, read_object
from ..sdk.core.errors import PortsideError
from .files import Files, read_whole, replace_file
from .health import Evidence
from .sequential import Count

TRIAL, FORMAT = "trial.json", 1
TRIAL_BYTES = 1 << 20
SAVE_S = 10.0
"""Between two saves: flash wears, and ten seconds of rows are soon seen again."""


class Which(NamedTuple):
    """A trial: counts of another one say nothing of it.

    Attributes:
        release, sequence: as wanted.
        beside: digest of the active artifact; "": there is none.
        p95_ms: the budget by which calls were slow.
    """

    release: str
    sequence: int
    beside: str
    p95_ms: float | None


class TrialFile:
    """The counts of one device's trial. For one thread at a time; a disk that fails is no reason to end a trial.

    Args:
        folder: of the slots.
        clock: monotonic seconds.
    """

    def __init__(self, files: Files, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._files, self._path, self._clock = files, folder / TRIAL, clock
        self._saved, self._at = Evidence(), float("-inf")

    def restored(self, seen: Evidence, which: Which) -> Evidence:
        """With what was counted before the last stop, where that was of this trial."""
        try:
            data = read_object(read_whole(self._files, self._path, TRIAL_BYTES), "The counts of a trial")
            sound = data.pop("checksum", None) == digest_of(data) and data["format"] == FORMAT and data["of"] == which._asdict()
            self._saved = _counted(seen, data) if sound else seen
        except (OSError, PortsideError, KeyError, TypeError, ValueError):
            self._saved = seen
        return self._saved

    def save(self, seen: Evidence, which: Which, closing: bool = False) -> None:
        """Keep the counts, if there are others than last time; at most every SAVE_S, or `closing`."""
        if seen == self._saved or (not closing and self._clock() - self._at < SAVE_S):
            return
        self._at = self._clock()
        counts = {name: list(count) for name, count in seen.outputs.items()}
        data: dict[str, Any] = {"format": FORMAT, "of": which._asdict(), "live": seen.live, "calls": list(seen.calls), "outputs": counts}
        try:
            replace_file(self._files, self._path, json.dumps({**data, "checksum": digest_of(data)}).encode())
        except OSError:
            return  # seen again after a restart
        self._saved = seen


def _counted(seen: Evidence, data: Mapping[str, Any]) -> Evidence:
    outputs = {str(name): _count(pair) for name, pair in data["outputs"].items()}
    return replace(seen, live=int(data["live"]), calls=_count(data["calls"]), outputs=outputs)


def _count(pair: list[int]) -> Count:
    off, rows = map(int, pair)
    return Count(off, rows)
