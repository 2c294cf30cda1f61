"""Signed updates: what signing, asking, fetching, a cut and the memory of a device cost, on loopback and with 20 ms of delay.

The server is a process of its own that sends files and ranges and nothing else. `plain GET` is the same bytes as one file,
written and synced, with nothing checked: what a device without any of this would do.
"""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

from securesystemslib.signer import CryptoSigner

from portside.edge.fetch import Fetched, fetch
from portside.edge.mirror import Answer, Mirror
from portside.edge.trust import Offer, Trust, Trusted
from portside.runtimes.timing import table
from portside.sdk.core.release import Release, ReleasePart
from portside.sdk.core.release_index import CHUNK_BYTES
from portside.sdk.signing.publish import publish_folders
from portside.sdk.signing.repository import Repository

SIZES_MB = (5, 50)
CHUNKS_KIB = (128, 256, 512, 1024, 2048)
DELAY_MS = 20
CUTS = 10


class Files(BaseHTTPRequestHandler):
    """Files below the working folder, with ranges, after a delay; `/cut/N/...` ends after N bytes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    delay_s = 0.0

    def do_GET(self) -> None:
        """A file."""
        time.sleep(self.delay_s)
        start = int(self.headers.get("Range", "bytes=0-")[6:].rstrip("-"))
        try:
            data = Path(self.path.lstrip("/")).read_bytes()
        except OSError:
            self.send_response(404)
            data = b""
        else:
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


@contextmanager
def serving(folder: Path, delay_ms: float = 0) -> Iterator[str]:
    """The folder, served by another process."""
    server = subprocess.Popen([sys.executable, __file__, "serve", str(folder), str(delay_ms)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.kill()
        server.communicate()


class Bench:
    """A repository, its keys, and releases of random bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = [CryptoSigner.generate_ed25519() for _ in range(6)]
        public = [key.public_key for key in self.keys]
        self.repository = Repository(folder / "repository")
        self.repository.create({"root": public[:3], "targets": public[3:4], "snapshot": public[4:5], "timestamp": public[5:]}, self.keys)
        self.root = (self.repository.metadata / "1.root.json").read_bytes()

    def publish(self, name: str, size: int, chunk_bytes: int = CHUNK_BYTES) -> float:
        """Seconds to cut and sign a release of `size` bytes: one large file and some small ones."""
        artifact = self.folder / "artifacts" / name
        (artifact / "engine").mkdir(parents=True)
        (artifact / "engine" / "model.bin").write_bytes(random.Random(name).randbytes(size))
        for number in range(8):
            (artifact / f"{number}.json").write_bytes(os.urandom(2000))
        part = ReleasePart("tflite", "any", "sha256:" + "a" * 64, "passed", size)
        release = Release(name, "sha256:" + "b" * 64, (part,), "sha256:" + os.urandom(32).hex())
        start = time.perf_counter()
        publish_folders(self.repository, release, {"tflite": artifact}, self.keys, chunk_bytes=chunk_bytes)
        return time.perf_counter() - start

    def device(self, url: str) -> Trust:
        """A device that was never asked."""
        return Trust(Path(tempfile.mkdtemp(dir=self.folder)), self.root, url)

    def take(self, url: str, name: str) -> tuple[float, float, Fetched]:
        """Seconds to find a release, seconds to fetch it, and what came."""
        trust, start = self.device(url), time.perf_counter()
        found = trust.refresh()
        assert isinstance(found, Trusted), found
        with found:
            offer = found.find(name, "tflite")
            assert isinstance(offer, Offer), offer
            asked = time.perf_counter()
            got = fetch(offer.index, found.mirror, trust.folder / "slot")
        assert isinstance(got, Fetched), got
        return asked - start, time.perf_counter() - asked, got


def measure(short: bool = False) -> list[dict[str, Any]]:
    """Medians: of 5 attempts, of 3 with a delay; in short form of one, with 5 MB alone."""
    with tempfile.TemporaryDirectory(prefix="portside-bench-") as folder:
        bench = Bench(Path(folder))
        rows = [*_signing(bench, short), *_fetching(bench, short), *_resuming(bench, short)]
        return [*rows, *_device(bench, short)]


def _row(what: str, value: float, unit: str, note: str = "") -> dict[str, Any]:
    return {"what": what, "value": value, "unit": unit, "note": note}


def _median(times: int, run: Callable[[], float]) -> float:
    return median(run() for _ in range(times))


def _signing(bench: Bench, short: bool) -> list[dict[str, Any]]:
    def renewed() -> float:
        start = time.perf_counter()
        bench.repository.renew(bench.keys)
        return time.perf_counter() - start

    rows = [_row("sign the timestamp anew", _median(1 if short else 9, renewed) * 1e3, "ms")]
    for size in SIZES_MB[: 1 if short else 2]:
        rows.append(_row(f"publish {size} MB", bench.publish(f"size-{size}", size << 20) * 1e3, "ms", "cut, hash, write, sync, sign"))
    index = next((bench.repository.path / "targets" / "releases" / f"size-{SIZES_MB[0]}").rglob("*.index.json"))
    return [*rows, _row(f"index of {SIZES_MB[0]} MB", index.stat().st_size, "bytes")]


def _fetching(bench: Bench, short: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    sizes = SIZES_MB[: 1 if short else 2]
    for kib in CHUNKS_KIB:
        bench.publish(f"chunk-{kib}", sizes[-1] << 20, kib << 10)
    for delay, times in ((0, 1 if short else 5), (DELAY_MS, 1 if short else 3)):
        with serving(bench.repository.path, delay) as url:
            where = f"{delay} ms delay" if delay else "loopback"
            rows.append(_row("refresh and find, first time", _median(times, lambda: bench.take(url, "size-5")[0]) * 1e3, "ms", where))
            for size in sizes:
                whole = bench.folder / "artifacts" / f"size-{size}" / "engine" / "model.bin"
                (bench.repository.path / f"whole-{size}").write_bytes(whole.read_bytes())
                rows.append(
                    _row(f"plain GET of {size} MB", _median(times, partial(_plain, bench, url, f"whole-{size}")) * 1e3, "ms", where)
                )
                rows.append(_row(f"fetch {size} MB", _median(times, partial(_fetched, bench, url, f"size-{size}")) * 1e3, "ms", where))
            for kib in CHUNKS_KIB:
                took = _median(times, partial(_fetched, bench, url, f"chunk-{kib}")) * 1e3
                rows.append(_row(f"fetch {sizes[-1]} MB in chunks of {kib} KiB", took, "ms", where))
    return rows


def _fetched(bench: Bench, url: str, name: str) -> float:
    return bench.take(url, name)[1]


def _plain(bench: Bench, url: str, name: str) -> float:
    start = time.perf_counter()
    line = http.client.HTTPConnection(url.removeprefix("http://"))
    line.request("GET", f"/{name}")
    with line.getresponse() as response, (bench.folder / "plain").open("wb") as file:
        while piece := response.read(1 << 16):
            file.write(piece)
        os.fsync(file.fileno())
    line.close()
    return time.perf_counter() - start


def _resuming(bench: Bench, short: bool) -> list[dict[str, Any]]:
    """Bytes that come twice where an attempt ends `CUTS` times, at random."""
    rows: list[dict[str, Any]] = []
    for ranges in (True, False):
        received = 0
        with _cutting(bench, ranges) as url:
            trust = bench.device(url)
            while True:
                with (found := trust.refresh()):  # type: ignore[union-attr]
                    offer = found.find("size-5", "tflite")  # type: ignore[union-attr]
                    mirror = found.mirror  # type: ignore[union-attr]
                    watched = Counting(mirror)
                    got = fetch(offer.index, watched, trust.folder / "slot")  # type: ignore[arg-type, union-attr]
                    received += watched.count
                if isinstance(got, Fetched):
                    break
        again = received - got.progress.total
        rows.append(_row(f"sent twice over {CUTS} cuts of 5 MB", again / 1024, "KiB", "server with ranges" if ranges else "without ranges"))
    return rows


class Counting:
    """A mirror that counts the bytes of chunks."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror, self.count = mirror, 0

    def open(self, path: str, most: int, start: int = 0) -> Answer:
        """As the mirror, counted."""
        answer = self._mirror.open(path, most, start)
        return Answer(answer.offset, self._counted(answer.pieces))

    def _counted(self, pieces: Iterator[bytes]) -> Generator[bytes]:
        for piece in pieces:
            self.count += len(piece)
            yield piece


@contextmanager
def _cutting(bench: Bench, ranges: bool) -> Iterator[str]:
    """A server that ends `CUTS` answers somewhere in the middle of a chunk."""
    chance, left = random.Random(7), [CUTS]

    class Cut(Files):
        def do_GET(self) -> None:
            data = (bench.repository.path / self.path.lstrip("/")).read_bytes() if "2.root" not in self.path else None
            start = int(self.headers.get("Range", "bytes=0-")[6:].rstrip("-")) if ranges else 0
            self.send_response(404 if data is None else 206 if start else 200)
            body = (data or b"")[start:]
            if start:
                self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{start + len(body)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if "chunks/" in self.path and len(body) > 50_000 and left[0] and chance.random() < 0.5:
                left[0] -= 1
                body, self.close_connection = body[: chance.randrange(len(body))], True
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Cut)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


_PROCESS = """
import sys, time
began = time.perf_counter()
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
if {bare}:
    print(peak(), 0, 0); sys.exit()
if not {fast}:
    sys.modules["cryptography"] = None
from pathlib import Path
from portside.edge.trust import Trust
from portside.edge.fetch import fetch
loaded = time.perf_counter()
trust = Trust({folder!r}, Path({root!r}).read_bytes(), {url!r})
with trust.refresh() as found:
    offer = found.find({name!r}, "tflite")
    asked = time.perf_counter()
    fetch(offer.index, found.mirror, Path({folder!r}) / "slot")
print(peak(), (loaded - began) * 1e3, (asked - loaded) * 1e3)
"""


def _device(bench: Bench, short: bool) -> list[dict[str, Any]]:
    """A fresh process: memory, start, first question; with Python's own ed25519 and with the cryptography package."""
    rows: list[dict[str, Any]] = []
    name = f"size-{SIZES_MB[0 if short else 1]}"
    with serving(bench.repository.path) as url:
        run = partial(_fresh, bench, url, name, 1 if short else 5)
        bare = run(bare=True, fast=False)[0]
        for fast in (False, True):
            peak, loaded, asked = run(bare=False, fast=fast)
            how = "with cryptography" if fast else "[edge] alone"
            rows.append(_row("peak memory of a device process above the bare interpreter", peak - bare, "MB", f"{how}, {name[5:]} MB"))
            rows.append(_row("import of trust and fetch, fresh process", loaded, "ms", how))
            rows.append(_row("refresh and find, fresh process", asked, "ms", how))
    return rows


def _fresh(bench: Bench, url: str, name: str, times: int, *, bare: bool, fast: bool) -> tuple[float, ...]:
    found: list[list[float]] = []
    for _ in range(times):
        folder = tempfile.mkdtemp(dir=bench.folder)
        code = _PROCESS.format(bare=bare, fast=fast, folder=folder, root=str(bench.repository.metadata / "1.root.json"), url=url, name=name)
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        found.append([float(word) for word in done.stdout.split()])
    return tuple(median(column) for column in zip(*found, strict=True))


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    return table([["what", "median", "unit", "where"], *([row["what"], f"{row['value']:,.1f}", row["unit"], row["note"]] for row in rows)])


def serve(folder: str, delay_ms: str) -> None:
    """Serve a folder and print the port."""
    os.chdir(folder)
    Files.delay_s = float(delay_ms) / 1e3
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    else:
        measured = measure("--short" in sys.argv)
        print(json.dumps(measured) if "--json" in sys.argv else show(measured))
