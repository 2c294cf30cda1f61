"""Calls one hook in its own process, in bounded time. A process that does not answer is killed, and started again after a pause."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

START_S = 60.0
"""How long a hook may take to be imported."""
GRACE_S = 5.0
"""How long after its time a call may still answer what it has done."""
FIRST_PAUSE_S, MOST_PAUSE_S = 1.0, 300.0
_ENOUGH = 1 << 16


@dataclass(frozen=True)
class Stats:
    """Of one hook: calls that were made and failed, calls that did not come back in time, calls for which no time was left; seconds;
    the last thing that went wrong, and whether the last call was well."""

    done: int = 0
    failed: int = 0
    hung: int = 0
    skipped: int = 0
    seconds: float = 0.0
    fault: str = ""
    well: bool | None = None


class HookCaller:
    """Belongs to one thread.

    Args:
        use: "module:object".
        folder: of the deployment file.
        timeout_s: of one call, with everything it is given.
    """

    def __init__(self, use: str, folder: Path, timeout_s: float) -> None:
        self.use, self.stats, self.kinds = use, Stats(), tuple[str, ...]()
        self._folder, self._timeout_s = folder, timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._pause_s, self._not_before, self._rest = FIRST_PAUSE_S, 0.0, b""

    def ready(self) -> bool:
        """The process is there, and the hook in it; started where it is not and its pause is over."""
        if self._process is not None and self._process.poll() is None:
            return True
        if time.monotonic() < self._not_before:
            return False
        self._start()
        return self._process is not None

    def call(self, do: str, **given: Any) -> dict[str, Any] | None:
        """The answer to one call; None where it hung or its process died. items: that many calls count."""
        began, count = time.monotonic(), len(given.get("items", (None,)))
        answer = self._ask({"do": do, **given, "budget_s": self._timeout_s}, self._timeout_s + GRACE_S)
        stats, seconds = self.stats, time.monotonic() - began
        if answer is None:
            fault = f"no answer to {do} within {self._timeout_s:g} s" if seconds >= self._timeout_s else f"its process ended during {do}"
            self.stats = replace(stats, hung=stats.hung + 1, skipped=stats.skipped + count - 1, seconds=stats.seconds + seconds,
                                 fault=fault, well=False)  # fmt: skip
            self._end()
            return None
        done, failed = answer["done"], answer["failed"]
        left = count - done - failed
        fault = answer.get("fault") or (f"slow: {left} of {count} {do} were left out after {self._timeout_s:g} s" if left else stats.fault)
        self.stats = replace(stats, done=stats.done + done, failed=stats.failed + failed, skipped=stats.skipped + left,
                             seconds=stats.seconds + seconds, fault=fault, well=not failed and not left)  # fmt: skip
        self._pause_s = FIRST_PAUSE_S
        return answer

    def kill(self) -> None:
        """End the process from another thread: a call that waits for it comes back with nothing."""
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """End the process."""
        if (process := self._process) is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
        self._process, self._rest = None, b""

    def _start(self) -> None:
        self.close()
        line = [sys.executable, "-m", "portside.cloud.monitoring.hook_child", self.use, str(self._folder)]
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=self._folder)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None  # noqa: S101  pipes were asked for
            os.set_blocking(stream.fileno(), False)
        said = self._read(time.monotonic() + START_S)
        if said is None or "fault" in said:
            fault = said["fault"] if said else "it cannot be imported within a minute, or ended its process"
            self.stats = replace(self.stats, failed=self.stats.failed + 1, fault=fault, well=False)
            self._end()
        else:
            self.kinds = tuple(said["ready"])

    def _end(self) -> None:
        """Kill it; the next start waits, twice as long each time."""
        self.close()
        self._not_before, self._pause_s = time.monotonic() + self._pause_s, min(self._pause_s * 2, MOST_PAUSE_S)

    def _ask(self, call: Mapping[str, Any], seconds: float) -> dict[str, Any] | None:
        ends = time.monotonic() + seconds
        return self._read(ends) if self._write(json.dumps(call, default=str).encode() + b"\n", ends) else None

    def _write(self, data: bytes, ends: float) -> bool:
        """All of it, before `ends`."""
        process, left = self._process, memoryview(data)
        assert process is not None and process.stdin is not None  # noqa: S101  `ready` said so
        while left:
            _, writable, _ = select.select([], [process.stdin], [], max(ends - time.monotonic(), 0.0))
            if not writable:
                return False
            try:
                left = left[os.write(process.stdin.fileno(), left[:_ENOUGH]) :]
            except (BrokenPipeError, BlockingIOError):
                return False
        return True

    def _read(self, ends: float) -> dict[str, Any] | None:
        """One line of JSON; None where the process ends first, or time does."""
        process = self._process
        assert process is not None and process.stdout is not None  # noqa: S101  `ready` said so
        while b"\n" not in self._rest:
            readable, _, _ = select.select([process.stdout], [], [], max(ends - time.monotonic(), 0.0))
            more = os.read(process.stdout.fileno(), _ENOUGH) if readable else b""
            if not more:
                return None
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)
