"""The sides of the comparison: how each is started on a subject, and how each is asked; the same worker count and threads everywhere."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "cloud"))
from started import descendants, free_port

from .clients import Ask
from .environments import python_of
from .models import Subject

APPS = Path(__file__).resolve().parent / "apps"
BARE = """name = "{name}"
[champion]
package = "{package}"
isolation = "{isolation}"
concurrency = {threads}
{more}
[records]
enabled = false
"""
FULL = """name = "{name}"
[champion]
package = "{package}"
isolation = "{isolation}"
concurrency = {threads}
{more}
[failover]
deadline_ms = 1000
[[failover.chain]]
package = "{package}"
isolation = "thread"
[[failover.chain]]
default = {{ scores = {default} }}
"""


@dataclass(frozen=True)
class Setting:
    """How a side serves: `kind` of door ("json", "binary", "jpeg"), calls at once, where models and environments are kept."""

    kind: str
    threads: int
    work: Path
    more: str = ""
    isolation: str = "inline"


@dataclass(frozen=True)
class Side:
    """One server. `words(port, subject, setting)` starts it; `path` and `body` are of a request."""

    name: str
    words: Callable[[int, Subject, Setting], list[str]]
    path: str
    body: Callable[[Subject], bytes]
    content_type: str = "application/json"
    headers: Callable[[Subject], Mapping[str, str]] = field(default=lambda _: {})
    more: str = ""

    def ask(self, port: int, subject: Subject) -> Ask:
        """The request of this side."""
        path = self.path.format(name=subject.name)
        return Ask(f"http://127.0.0.1:{port}{path}", self.body(subject), self.content_type, self.headers(subject))


def columns(subject: Subject) -> bytes:
    """What FastAPI, LitServe, BentoML and the bare server take."""
    return json.dumps({"x": subject.row.tolist()}).encode()


def ours(subject: Subject) -> bytes:
    """Our typed route."""
    return json.dumps({"inputs": {"x": subject.row.tolist()}}).encode()


def inference(subject: Subject) -> bytes:
    """Open Inference Protocol, JSON."""
    x = {"name": "x", "datatype": "FP32", "shape": list(subject.row.shape), "data": subject.row.ravel().tolist()}
    return json.dumps({"inputs": [x]}).encode()


def picture(subject: Subject) -> bytes:
    """What peers take."""
    return json.dumps({"image": subject.row}).encode()


def our_picture(subject: Subject) -> bytes:
    """Our typed route."""
    return json.dumps({"row": {"image": subject.row}}).encode()


def raw(subject: Subject) -> bytes:
    """float32, little endian."""
    return np.ascontiguousarray(subject.row, "<f4").tobytes()


def _head(subject: Subject) -> bytes:
    data = {"name": "x", "datatype": "FP32", "shape": list(subject.row.shape), "parameters": {"binary_data_size": subject.row.nbytes}}
    return json.dumps({"inputs": [data], "parameters": {"binary_data_output": True}}).encode()


def binary(subject: Subject) -> bytes:
    """Open Inference Protocol with its binary extension: JSON, then the bytes."""
    return _head(subject) + raw(subject)


def binary_headers(subject: Subject) -> dict[str, str]:
    """Where the JSON ends."""
    return {"Inference-Header-Content-Length": str(len(_head(subject)))}


def _served(text: str) -> Callable[[int, Subject, Setting], list[str]]:
    """`portside serve` on a deployment of this text."""

    def words(port: int, subject: Subject, setting: Setting) -> list[str]:
        folder = setting.work / "served" / f"{subject.name}-{port}"
        folder.mkdir(parents=True)
        default, more = json.dumps([0.0] * 3), setting.more
        more += f'\nartifact = "{subject.artifact}"' if subject.artifact else ""
        file = folder / "deployment.toml"
        file.write_text(text.format(name=subject.name, package=subject.package, isolation=setting.isolation, threads=setting.threads,
                                    more=more, default=default))  # fmt: skip
        return [sys.executable, "-m", "portside", "serve", str(file), "--port", str(port)]

    return words


def _uvicorn(peer: str, app: str) -> Callable[[int, Subject, Setting], list[str]]:
    def words(port: int, subject: Subject, setting: Setting) -> list[str]:
        python = str(python_of(peer, setting.work / "environments"))
        return [python, "-m", "uvicorn", app, "--port", str(port), "--no-access-log", "--log-level", "warning", "--loop", "uvloop",
                "--http", "httptools"]  # fmt: skip

    return words


def _litserve(port: int, subject: Subject, setting: Setting) -> list[str]:
    return [str(python_of("litserve", setting.work / "environments")), "litserve_app.py", str(port), str(setting.threads)]


def _bentoml(port: int, subject: Subject, setting: Setting) -> list[str]:
    python = str(python_of("bentoml", setting.work / "environments"))
    return [python, "-m", "bentoml", "serve", "bentoml_app:Stock", "--host", "127.0.0.1", "--port", str(port)]


def _mlserver(port: int, subject: Subject, setting: Setting) -> list[str]:
    folder = setting.work / "served" / f"mlserver-{port}"
    folder.mkdir(parents=True)
    shutil.copy(APPS / "mlserver_app.py", folder)
    shutil.copy(APPS / "one_model.py", folder)
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    server = {"parallel_workers": 0, "host": "127.0.0.1", **ports, "debug": False}
    (folder / "settings.json").write_text(json.dumps(server))
    (folder / "model-settings.json").write_text(json.dumps({"name": subject.name, "implementation": "mlserver_app.Runtime"}))
    return [str(python_of("mlserver", setting.work / "environments").parent / "mlserver"), "start", str(folder)]


INFER = "/v2/models/{name}/infer"
BYTES = "application/octet-stream"
SIDES = {
    side.name: side for side in (
        Side("portside bare", _served(BARE), "/predict", ours), Side("portside full", _served(FULL), "/predict", ours),
        Side("portside batched", _served(BARE), "/predict", ours, more="batch = true"),
        Side("portside unbatched", _served(BARE), "/predict", ours, more="batch = false"),
        Side("portside binary", _served(BARE), INFER, binary, BYTES, binary_headers),
        Side("portside picture", _served(BARE), "/predict", our_picture),
        Side("bare uvicorn", _uvicorn("bare", "bare_app:app"), "/", columns),
        Side("bare uvicorn binary", _uvicorn("bare", "bare_app:app"), "/", raw, BYTES),
        Side("fastapi async", _uvicorn("fastapi", "fastapi_app:app"), "/predict", columns),
        Side("fastapi threads", _uvicorn("fastapi", "fastapi_app:app"), "/threads", columns),
        Side("fastapi binary", _uvicorn("fastapi", "fastapi_app:app"), "/binary", raw, BYTES),
        Side("fastapi picture", _uvicorn("fastapi", "fastapi_app:app"), "/picture", picture),
        Side("litserve", _litserve, "/predict", columns), Side("litserve picture", _litserve, "/predict", picture),
        Side("bentoml stock", _bentoml, "/predict", columns), Side("mlserver", _mlserver, INFER, inference),
    )
}  # fmt: skip


@contextlib.contextmanager
def running(side: Side, subject: Subject, setting: Setting, cores: tuple[int, ...] = ()) -> Generator[Ask]:
    """The side, started, ready and answering; ended with all its processes at the end.

    Raises:
        RuntimeError: it does not answer within two minutes; the end of its log is told.
    """
    port, log = free_port(), setting.work / f"{side.name.replace(' ', '-')}.log"
    words, ask = side.words(port, subject, setting), side.ask(port, subject)
    shape = ",".join(map(str, getattr(subject.row, "shape", ())))
    environment = {
        **os.environ, "BENCH_MODEL": str(subject.onnx), "BENCH_INPUT": subject.input, "BENCH_KIND": setting.kind, "BENCH_SHAPE": shape,
        "BENCH_THREADS": str(setting.threads), "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(setting.work / "bentoml"),
        "OMP_NUM_THREADS": "1", "PORTSIDE_HOME": str(setting.work / "home"), "NO_COLOR": "1",
    }  # fmt: skip
    pin = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
    with log.open("wb") as output:
        process = subprocess.Popen([*pin, *words], cwd=APPS, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait(ask, process, log)
        yield ask
    finally:
        end(process)


def _wait(ask: Ask, process: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> None:
    ends, said = time.monotonic() + seconds, "no answer"
    while time.monotonic() < ends and process.poll() is None:
        try:
            if once(ask) == 200:
                return
        except urllib.error.HTTPError as error:
            said = f"{error.code} {error.read()[:300]!r}"
            if error.code == 422:
                break
        except OSError as error:
            said = str(error)
        time.sleep(0.3)
    raise RuntimeError(f"{ask.url} did not answer: {said}\n{log.read_text(errors='replace')[-1500:]}")


def once(ask: Ask) -> int:
    """One request; its status. Raises OSError."""
    request = urllib.request.Request(ask.url, ask.body, {"content-type": ask.content_type, **ask.headers})
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()
        return int(answer.status)


def end(process: subprocess.Popen[Any]) -> None:
    """End a server and every process that it started."""
    family = descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
