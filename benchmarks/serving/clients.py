"""The client that every side gets: `wrk`, or where it is missing a loop of our own. Both keep a number of callers busy."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from portside.cloud.load.bodies import Body
from portside.cloud.load.connection import Connection
from portside.cloud.load.target import request

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_SCRIPT = """wrk.method = "POST"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
{headers}
"""


@dataclass(frozen=True)
class Ask:
    """One request."""

    url: str
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def measure(ask: Ask, clients: int, seconds: float, cores: tuple[int, ...] = ()) -> dict[str, Any]:
    """Requests per second and latency (ms) of callers that always wait for their answer; `cores`: where the client runs."""
    return by_wrk(ask, clients, seconds, cores) if shutil.which("wrk") else by_loop(ask, clients, seconds)


def by_wrk(ask: Ask, clients: int, seconds: float, cores: tuple[int, ...] = ()) -> dict[str, Any]:
    """One thread of wrk."""
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder) / "body", Path(folder) / "post.lua"
        body.write_bytes(ask.body)
        headers = {"Content-Type": ask.content_type, **ask.headers}
        lines = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items())
        script.write_text(_SCRIPT.format(body=body, headers=lines))
        pin = ["taskset", "-c", ",".join(map(str, cores))] if cores and shutil.which("taskset") else []
        words = [*pin, "wrk", "-t1", f"-c{clients}", f"-d{max(round(seconds), 1)}s", "--timeout", "10s", "--latency", "-s", str(script)]
        said = subprocess.run([*words, ask.url], capture_output=True, text=True, check=True).stdout
    return parsed(said)


def parsed(said: str) -> dict[str, Any]:
    """What wrk prints, as figures. Raises ValueError for another text.

    >>> parsed("  50%  1.50ms\\n  99%  20.00us\\nRequests/sec:  12.5\\n  Non-2xx or 3xx responses: 3\\n")
    {'requests_s': 12.5, 'p50_ms': 1.5, 'p99_ms': 0.02, 'errors': 3}
    """
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    times = {part: float(value) * _UNITS[unit] for part, value, unit in re.findall(r"^\s+(\d+)%\s+([\d.]+)(us|ms|s|m)\s*$", said, re.M)}
    if rate is None or not {"50", "99"} <= set(times):
        raise ValueError(f"this is no answer of wrk: {said[-400:]!r}")
    errors = sum(int(number) for number in re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", said))
    return {"requests_s": float(rate[1]), "p50_ms": times["50"], "p99_ms": times["99"], "errors": errors}


class Callers:
    """Callers that always wait for their answer, each on a connection of its own."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._loop = raw, asyncio.get_running_loop()
        self.latencies: list[float] = []
        self.errors, self.open = 0, True

    def ready(self, connection: Connection) -> None:
        """Ask again."""
        if self.open:
            connection.send(self._raw, self._loop.time())

    def answered(self, connection: Connection, status: int, reason: bytes, keep: bool) -> None:
        """Count."""
        self.latencies.append(self._loop.time() - (connection.scheduled or 0.0))
        self.errors += status != 200
        if keep:
            self.ready(connection)

    def lost(self, connection: Connection, error: str | None) -> None:
        """Count, unless it is the end."""
        self.errors += self.open


def by_loop(ask: Ask, clients: int, seconds: float) -> dict[str, Any]:
    """The same without wrk, on this process's event loop; slower, so that tiny models look alike: install wrk."""
    parts = urlsplit(ask.url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    raw = request(parts, parts.path, Body(ask.body, ask.content_type), ask.headers)

    async def go() -> tuple[Callers, float]:
        callers, began = Callers(raw), time.monotonic()
        loop = asyncio.get_running_loop()
        opened = [await loop.create_connection(lambda: Connection(callers), host, port) for _ in range(clients)]
        await asyncio.sleep(seconds)
        callers.open, took = False, time.monotonic() - began
        for transport, _ in opened:
            transport.abort()
        await asyncio.sleep(0)
        return callers, took

    callers, took = asyncio.run(go())
    times = np.percentile(np.array(callers.latencies) * 1e3, [50, 99])
    figures = {"requests_s": len(callers.latencies) / took, "p50_ms": float(times[0]), "p99_ms": float(times[1])}
    return {**figures, "errors": callers.errors}
