"""A served deployment in a child process, and clients that photograph cells at it over HTTP."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

WORKER = "isolation_worker"


@dataclass(frozen=True)
class Answer:
    """One answer: HTTP status, body, and the time the client waited in milliseconds."""

    status: int
    body: dict[str, Any]
    waited_ms: float

    @property
    def receipt(self) -> dict[str, Any]:
        """Who answered, why, and how long it took."""
        return self.body.get("receipt", {})


class Server:
    """`portside serve` in a process of its own, and the process of its main model."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port, self.process = port, process

    def ask(self, image: bytes) -> Answer:
        """Send one PNG as a form upload, as a browser or `curl -F image=@cell.png` would."""
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="cell.png"\r\nContent-Type: image/png\r\n\r\n'
        body = head.encode() + image + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/predict", body, headers)
        started = time.perf_counter()
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        return Answer(status, json.loads(content), 1e3 * (time.perf_counter() - started))

    def ask_many(self, images: Sequence[bytes], clients: int = 8) -> list[Answer]:
        """Every image once, by `clients` at a time."""
        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(self.ask, images))

    def worker(self) -> psutil.Process:
        """The process in which the main model runs."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        (worker,) = [child for child in children if WORKER in " ".join(child.cmdline())]
        return worker

    def wait_for_main(self, image: bytes, seconds: float = 30) -> float:
        """Ask until the main model answers again; seconds waited."""
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            if self.ask(image).receipt.get("reason") == "primary":
                break
            time.sleep(0.1)
        return time.monotonic() - started


@contextmanager
def serving(deployment: Path, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start `portside serve` (in this environment; None: ours), wait until it is ready, and end it whatever happens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "portside", "serve", str(deployment), "--port", str(port)]
    own = {**(environment or os.environ), "BENTOML_DO_NOT_TRACK": "True"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=own)
    try:
        _wait_until_ready(port, process, log)
        yield Server(port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def png(image: NDArray[np.uint8]) -> bytes:
    """A grey image as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"The server did not become ready:\n{log.read_text(errors='replace')[-3000:]}")
