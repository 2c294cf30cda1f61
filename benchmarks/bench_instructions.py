"""Instructions a request of the tiny model takes, counted by callgrind: a figure that no other program on the machine moves.

    python benchmarks/bench_instructions.py [--sides bare,full,uvicorn] [--requests 300] [--pause 60] [--profile FOLDER]

The same bytes are handed to the protocol of the server, on its event loop, over a transport that only keeps what is written: one
connection, one request after the other. `uvicorn` is the bare server of bench_serving.py, `bare` and `full` are Portside as it has them; of
`full` the writer's thread is counted too. What is left out, the same for all, is the socket. Everything takes fifty times as long here, so
the writer waits until all requests are answered, and its batches are of hundreds as under full load (with `--pause 0.05` it begins as often
as in a server, and they are of a handful). Needs valgrind and gcc. With `--profile` callgrind's files stay in the folder, for
callgrind_annotate.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import importlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from bench_precision import kept
from serving import models, sides
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from portside.cloud.deployment.file import read
from portside.cloud.deployment.resolving import resolve
from portside.cloud.doors.hosts import Hosts
from portside.cloud.front import make_front
from portside.cloud.host import Host
from portside.cloud.memory import set_apart
from portside.cloud.records import store
from portside.runtimes.timing import table

HERE = Path(__file__).resolve().parent
SIDES = ("uvicorn", "bare", "full")
WARM = 300
"""Requests before it counts: as many as are counted, so that SQLite has seen the statements."""
PAUSE_S = 60.0
SWITCH = """#include <valgrind/callgrind.h>
void on(void) { CALLGRIND_START_INSTRUMENTATION; }
void off(void) { CALLGRIND_STOP_INSTRUMENTATION; }
"""
Ask = Callable[[int], Awaitable[None]]


class Transport(asyncio.Transport):
    """Keeps what is written, and says how it is known."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 80), "peername": ("127.0.0.1", 81)})
        self.written = b""

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written += data

    def is_closing(self) -> bool:
        """Never."""
        return False

    def get_write_buffer_size(self) -> int:
        """Everything is read at once."""
        return 0

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    resume_reading = pause_reading


def asker(protocol: Any, data: bytes) -> Ask:
    """A function that makes so many requests on one connection, each after the answer to the one before."""
    transport = Transport()
    protocol.connection_made(transport)

    async def ask(count: int) -> None:
        for _ in range(count):
            transport.written = b""
            protocol.data_received(data)
            while not transport.written:
                await asyncio.sleep(0)
        assert b" 200 OK" in transport.written, transport.written

    return ask


def post(path: str, body: bytes) -> bytes:
    """A request as wrk writes it."""
    about = b"Host: 127.0.0.1:3000\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
    return b"POST %b HTTP/1.1\r\n%b\r\n%b" % (path.encode(), about, body)


def opened(side: str, folder: Path) -> tuple[Ask, Callable[[], object]]:
    """A side inside of a running loop: how it is asked, and what is to be waited for at the end."""
    held = models.subject("tiny", folder / "models")
    if side == "uvicorn":
        sys.path.insert(0, str(sides.APPS))
        os.environ.update(BENCH_MODEL=str(held.onnx), BENCH_INPUT=held.input, BENCH_KIND="json")
        return asker(_uvicorn(importlib.import_module("bare_app").app), post("/", sides.columns(held))), lambda: None
    file = folder / f"{side}.toml"
    text = sides.BARE if side == "bare" else sides.FULL
    file.write_text(text.format(name="tiny", package=held.package, isolation="inline", threads=1, more="", default=[0.0] * 3))
    deployment = read(file)
    host = Host(resolve(deployment))
    host.settled = set_apart  # as a server does
    host.start()
    assert host.wait(300), host.fault
    front = make_front(Hosts([host]), [deployment])
    records = host.engine.records if host.engine else None
    return asker(_uvicorn(front.doors, front.protocol), post("/predict", sides.ours(held))), records.flush if records else lambda: None


def _uvicorn(app: Any, protocol: Any = None) -> Any:
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, proxy_headers=False)
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"Mon, 30 Nov 2026 00:00:00 GMT"), (b"server", b"uvicorn")]
    return (protocol or HttpToolsProtocol)(config, state, {}, asyncio.get_running_loop())


def count_here(side: str, requests: int, folder: Path, pause_s: float) -> None:
    """The process under valgrind: warm up, let callgrind count, ask."""
    switch, store.PAUSE_S = _switch(folder), pause_s

    async def go() -> None:
        ask, ended = opened(side, folder)
        await ask(WARM)
        ended()
        switch.on()
        await ask(requests)
        ended()
        switch.off()

    uvloop.run(go())
    os._exit(0)  # what ends in order takes long here


def _switch(folder: Path) -> ctypes.CDLL:
    """Callgrind is told by instructions that mean nothing elsewhere; its header has them for C."""
    source, made = folder / "switch.c", folder / "switch.so"
    source.write_text(SWITCH)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", made, source], check=True)
    return ctypes.CDLL(str(made))


def counted(side: str, requests: int, out: Path, pause_s: float = PAUSE_S) -> dict[str, Any]:
    """Instructions a request of one side. `out`: where callgrind's file goes. Raises RuntimeError where it counted nothing."""
    file = out / f"{side}.callgrind"
    words = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={file}", sys.executable, __file__]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "PORTSIDE_HOME": str(out / "home")}
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run([*words, "--count", side, "--requests", str(requests), "--pause", str(pause_s), "--work", folder],
                             env=environment, capture_output=True, text=True, check=False)  # fmt: skip
    total = re.search(r"^totals: (\d+)", file.read_text(), re.M) if file.is_file() else None
    if total is None or ran.returncode:
        raise RuntimeError(f"{side} was not counted:\n{ran.stderr[-3000:]}")
    return {"side": side, "requests": requests, "instructions": int(total[1]) / requests}


def measure(short: bool = False, file: Path | None = None, requests: int = 300, chosen: tuple[str, ...] = SIDES,
            profile: Path | None = None, pause_s: float = PAUSE_S) -> list[dict[str, Any]]:  # fmt: skip
    """One row per side; `short`: of fifty requests."""
    with tempfile.TemporaryDirectory() as folder:
        out = profile or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        return kept((counted(side, 50 if short else requests, out, pause_s) for side in chosen), file)


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    bare = next((row["instructions"] for row in rows if row["side"] == "uvicorn"), None)
    lines = [[row["side"], f"{row['instructions']:,.0f}", f"{row['instructions'] / bare:.2f}x" if bare else ""] for row in rows]
    return table([["side", "instructions a request", "of bare uvicorn"], *lines])


def main() -> None:
    """By itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--pause", type=float, default=PAUSE_S, help="seconds before the writer takes up what waits")
    parser.add_argument("--profile", type=Path, help="keep callgrind's files here")
    parser.add_argument("--json", type=Path, help="where the rows go")
    parser.add_argument("--count", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.count:
        count_here(asked.count, asked.requests, asked.work, asked.pause)
    print(show(measure(False, asked.json, asked.requests, tuple(asked.sides.split(",")), asked.profile, asked.pause)))


if __name__ == "__main__":
    main()
