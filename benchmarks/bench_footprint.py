"""What the agent of a device takes, beside the bare interpreter and a hand-written Flask server: bytes, memory, start, latency.

    python benchmarks/bench_footprint.py [--short] [--json FILE]

Each side is installed with pip into a fresh environment of its own (needs a package index), and runs the same .tflite file in a process
of its own. The bare interpreter has no door: its latency is a call. The others are asked with HTTP over a connection that stays, one
request after the other, on loopback and on a Unix socket; both check nothing that the other one does not but for what the agent is:
a signature checked, a receipt made, the answer counted for the summary that goes home. Rounds of all sides take turns.
A cold start is from the start of the process to the first answer. Memory is what is resident after the rounds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from portside.runtimes.artifact import Artifact
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.samples import SAMPLES
from portside.runtimes.timing import table

ROOT = Path(__file__).resolve().parent.parent
SIDES = Path(__file__).resolve().parent / "footprint"
LITERT, FLASK = "ai-edge-litert==2.3.0", ("flask==3.1.2", "waitress==3.0.2")
NEEDS = {"bare interpreter": [LITERT], "Flask + interpreter": [LITERT, *FLASK], "Portside agent": []}
WAYS = ("HTTP", "Unix socket")


class Side:
    """One of them: an environment, and processes in it.

    Args:
        name: of NEEDS.
        folder: for the environment and what runs in it.
        command: what is run in it, after the interpreter of Python.
    """

    def __init__(self, name: str, folder: Path, command: list[str]) -> None:
        self.name, self.folder, self.command = name, folder, command
        self.port, self.unix = _free_port(), folder / "door.sock"
        self.process: subprocess.Popen[str] | None = None
        self.spent: dict[str, list[float]] = {}
        self.cold_ms: list[float] = []

    @property
    def bare(self) -> bool:
        """It has no door."""
        return self.name == "bare interpreter"

    def start(self, body: bytes) -> None:
        """To the first answer; the time is kept."""
        self.unix.unlink(missing_ok=True)
        doors = [] if self.bare else [str(self.port), str(self.unix)]
        began = time.perf_counter()
        self.process = subprocess.Popen([str(self.folder / "env/bin/python"), *self.command, *doors], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)  # fmt: skip
        if self.bare:
            self._line()
        else:
            with self.caller("HTTP", began + 60) as caller:
                _ask(caller, body)
        self.cold_ms.append((time.perf_counter() - began) * 1e3)

    def stop(self) -> None:
        """End it."""
        assert self.process is not None
        self.process.communicate() if self.bare else (self.process.terminate(), self.process.communicate())

    def round(self, body: bytes, count: int) -> None:
        """`count` answers by each way; the times are kept."""
        if self.bare:
            assert self.process is not None and self.process.stdin is not None
            print(count, file=self.process.stdin, flush=True)
            self.spent.setdefault("call", []).extend(json.loads(self._line()))
            return
        for way in WAYS:
            with self.caller(way, time.perf_counter() + 10) as caller:
                spent = self.spent.setdefault(way, [])
                for _ in range(count):
                    began = time.perf_counter()
                    _ask(caller, body)
                    spent.append(time.perf_counter() - began)

    @contextmanager
    def caller(self, way: str, until: float) -> Iterator[socket.socket]:
        """A connection, as soon as there is one."""
        address: Any = ("127.0.0.1", self.port) if way == "HTTP" else str(self.unix)
        while True:
            made = socket.socket(socket.AF_INET if way == "HTTP" else socket.AF_UNIX)
            made.settimeout(10)
            try:
                made.connect(address)
                break
            except OSError:
                made.close()
                if time.perf_counter() > until:
                    raise
                time.sleep(0.002)
        with made:
            if way == "HTTP":
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield made

    def resident_mb(self) -> float:
        """Memory of the process."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def _line(self) -> str:
        assert self.process is not None and self.process.stdout is not None
        return self.process.stdout.readline()


def measure(short: bool = False) -> list[dict[str, Any]]:
    """One row per side: MB installed and resident, ms of a cold start, us of an answer at the median and at p99 by each way."""
    rounds, count, starts = (2, 200, 2) if short else (7, 2000, 7)
    with tempfile.TemporaryDirectory() as work:
        sides, body = _sides(Path(work))
        for _ in range(starts):
            for side in sides:
                side.start(body)
                side.stop()
        for side in sides:
            side.cold_ms.pop(0)  # the first one read the files from the disk
            side.start(body)
        try:
            for _ in range(rounds):
                for side in sides:
                    side.round(body, count)
            return [_row(side) for side in sides]
        finally:
            for side in sides:
                side.stop()


def _row(side: Side) -> dict[str, Any]:
    figures = {way: {"p50_us": float(np.percentile(spent, 50)) * 1e6, "p99_us": float(np.percentile(spent, 99)) * 1e6}
               for way, spent in side.spent.items()}  # fmt: skip
    return {"side": side.name, "installed_mb": _installed_mb(side.folder), "resident_mb": side.resident_mb(),
            "cold_ms": statistics.median(side.cold_ms), "latency": figures}  # fmt: skip


def _sides(work: Path) -> tuple[list[Side], bytes]:
    """All of them installed, and the request that they are asked with."""
    artifact = compile_package(SAMPLES["mixed"]().write(work / "package"), "tflite", work / "artifact", prove=False)
    rows = SAMPLES["mixed"]().inputs(1)
    body = json.dumps({"inputs": {name: value.tolist() for name, value in rows.items()}}).encode()
    model = work / "model.json"
    model.write_text(json.dumps(_model(artifact, rows)))
    toml = work / "agent.toml"
    toml.write_text(f'name = "footprint"\ndevice = "bench-1"\nfolder = "state"\n[[failover.chain]]\nartifact = "{artifact.path}"\n')
    scripts = {"bare interpreter": "bare.py", "Flask + interpreter": "flask_server.py", "Portside agent": "device.py"}
    told = {name: str(toml if script == "device.py" else model) for name, script in scripts.items()}
    sides = [Side(name, work / name.split()[0], [str(SIDES / script), told[name]]) for name, script in scripts.items()]
    for side in sides:
        install(side.folder / "env", NEEDS[side.name] or [f"{_wheel(work)}[edge,tflite]", LITERT])
    return sides, body


def _model(artifact: Artifact, rows: dict[str, Any]) -> dict[str, Any]:
    """What the hand-written sides are told: file, signature, the row they begin with, and slots by field."""
    file, plan = next(iter(artifact.engine["plans"].items()))
    slots = {slot["name"]: slot["key"] for slot in plan["inputs"]}
    rim = {spec.name: spec.rim_dtype for spec in artifact.signature.inputs}
    names = {"f32": "float32", "i32": "int32", "i64": "int64", "bool": "bool", "u8": "uint8"}
    inputs = {slots[name]: (value.tolist(), names[rim[name]]) for name, value in rows.items()}
    one = next(key for key, sizes in plan["signatures"].items() if set(sizes.values()) == {1})
    return {"file": str(artifact.path / file), "signature": one, "inputs": inputs, "names": slots}


def install(folder: Path, needs: list[str]) -> None:
    """A fresh environment without pip, with these requirements. Raises FileNotFoundError where pip cannot have them."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    command = [sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--quiet", *needs]
    if subprocess.run(command, check=False).returncode:
        raise FileNotFoundError(f"pip cannot install {', '.join(needs)}")


def _wheel(work: Path) -> Path:
    """Of the working tree, built from a copy; without the browser's engine, which no device needs."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True,
                            text=True, check=True).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "examples/", "benchmarks/")):
            (work / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, work / "tree" / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(work), "."]
    subprocess.run(command, cwd=work / "tree", check=True, capture_output=True)
    return next(work.glob("portside-*.whl"))


def _installed_mb(folder: Path) -> float:
    """Of what pip brought, sources and their compiled forms."""
    (packages,) = (folder / "env/lib").glob("python*/site-packages")
    return sum(path.stat().st_size for path in packages.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6


def _ask(caller: socket.socket, body: bytes) -> None:
    """One request, and the whole of its answer. Raises SystemExit for a refusal."""
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    caller.sendall(head + body)
    said = b""
    while b"\r\n\r\n" not in said:
        said += caller.recv(65536) or _ended(said)
    told, _, rest = said.partition(b"\r\n\r\n")
    length = int(told.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(rest) < length:
        rest += caller.recv(65536) or _ended(said)
    if not told.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"refused: {told!r} {rest!r}")


def _ended(said: bytes) -> bytes:
    raise SystemExit(f"the answer ends early: {said!r}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    head = ["", "installed MB", "resident MB", "cold start ms", *(f"{way} us p50 / p99" for way in ("call", *WAYS))]
    return table([head, *([row["side"], f"{row['installed_mb']:.0f}", f"{row['resident_mb']:.0f}", f"{row['cold_ms']:.0f}",
                           *map(_latency, (row["latency"].get(way) for way in ("call", *WAYS)))] for row in rows)])  # fmt: skip


def _latency(held: dict[str, float] | None) -> str:
    return "" if held is None else f"{held['p50_us']:.0f} / {held['p99_us']:.0f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="few rounds")
    parser.add_argument("--json", type=Path, help="where the figures go too")
    chosen = parser.parse_args()
    rows = measure(chosen.short)
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=2) + "\n")
    print(show(rows))


if __name__ == "__main__":
    main()
