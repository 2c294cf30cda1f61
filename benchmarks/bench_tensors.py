"""150,000 floats in a request: the binary door beside the engine's own call, in process and over HTTP.

    python benchmarks/bench_tensors.py [--calls 300] [--isolation inline|thread] [--json FILE]

Three models of one float32 input (batch, 150000): one dense layer (2.4 million products), a small convolutional net (12
million) and one of the size of a network for phones (150 million). Asked in turns: the session alone, the ASGI
application with the binary form, its body in pieces of 64 KiB as a server hands them on, the same over HTTP with one kept
connection, and the application with JSON. Milliseconds of CPU of the process that answers, lower quartile of rounds of
ten; the ratio is to the session alone. CPU, because what else a machine does is not the door's.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from bench_precision import kept
from onnx import TensorProto, helper, numpy_helper

import portside as ps
from portside.cloud.deployment.file import read
from portside.cloud.deployment.resolving import resolve
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.host import Host
from portside.cloud.memory import keep_freed_blocks
from portside.runtimes.timing import table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "cloud"))
import started as servers

FLOATS, PIECE = 150_000, 65_536
WAYS = ("session", "app", "app, pieces", "http", "app, json")
Asker = Callable[[], Awaitable[None]]


def model(kind: str, path: Path) -> Path:
    """One of the models as an ONNX file."""
    a, d = (16, 32) if kind == "small net" else (32, 128)
    dice = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array((dice.normal(size=shape) / 100).astype(np.float32), name)

    if kind == "dense":
        nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
        held = [weight("w", FLOATS, 16)]
    else:
        nodes = [
            helper.make_node("Reshape", ["x", "shape"], ["image"]),
            helper.make_node("Conv", ["image", "a"], ["b"], strides=[2, 2], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["b"], ["c"]),
            helper.make_node("Conv", ["c", "d"], ["e"], strides=[2, 2], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["e"], ["f"]),
            helper.make_node("GlobalAveragePool", ["f"], ["g"]), helper.make_node("Flatten", ["g"], ["h"]),
            helper.make_node("MatMul", ["h", "w"], ["y"]),
        ]  # fmt: skip
        shape = numpy_helper.from_array(np.array([-1, 3, 200, 250]), "shape")
        held = [shape, weight("a", a, 3, 3, 3), weight("d", d, a, 3, 3), weight("w", d, 16)]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", FLOATS])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 16])]
    graph = helper.make_graph(nodes, kind, inputs, outputs, held)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(made, path)
    return path


def deployment(folder: Path, kind: str, isolation: str) -> Path:
    """A deployment of one model, without records."""
    x = np.random.default_rng(1).normal(size=(32, FLOATS)).astype(np.float32)
    ps.pack(str(model(kind, folder / "model.onnx")), name="model", examples={"x": x}, out=folder / "model")
    file = folder / "deployment.toml"
    file.write_text(f'name = "model"\n[champion]\npackage = "model"\nisolation = "{isolation}"\n[records]\nenabled = false\n')
    return file


def bodies(x: np.ndarray[Any, Any]) -> tuple[bytes, bytes, int]:
    """(binary body, JSON body, length of the JSON in front)."""
    held = {"name": "x", "datatype": "FP32", "shape": list(x.shape)}
    raw = {**held, "parameters": {"binary_data_size": x.nbytes}}
    head = json.dumps({"inputs": [raw], "parameters": {"binary_data_output": True}}).encode()
    plain = json.dumps({"inputs": [{**held, "data": x.ravel().tolist()}]}).encode()
    return head + x.tobytes(), plain, len(head)


def caller(app: HttpApp, path: str, chunks: list[bytes], length: int | None) -> Asker:
    """A function that makes one ASGI call."""
    headers = [(b"content-length", str(sum(map(len, chunks))).encode())]
    if length is not None:
        headers.append((b"inference-header-content-length", str(length).encode()))
    scope = {"type": "http", "path": path, "method": "POST", "headers": headers}
    messages = [{"type": "http.request", "body": chunk, "more_body": place + 1 < len(chunks)} for place, chunk in enumerate(chunks)]

    async def call() -> None:
        waiting = iter(messages)

        async def receive() -> dict[str, Any]:
            return next(waiting)

        async def send(message: dict[str, Any]) -> None:
            assert message.get("status", 200) == 200

        await app(dict(scope), receive, send)

    return call


def spent_by(pid: int) -> float:
    """Milliseconds of CPU that a process has used, all threads together. The kernel's own figure is that of a sleeping process."""
    if pid == os.getpid():
        return time.process_time() * 1e3
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e6


async def rounds(askers: dict[str, Asker], pids: dict[str, int], calls: int) -> dict[str, list[float]]:
    """Milliseconds of CPU per call of each, in turns of ten calls."""
    spent: dict[str, list[float]] = {name: [] for name in askers}
    for number in range(calls // 10 + 1):
        for name, ask in askers.items():
            before = spent_by(pids[name])
            for _ in range(10):
                await ask()
            if number:  # the first round warms up
                spent[name].append((spent_by(pids[name]) - before) / 10)
    return spent


def one(kind: str, isolation: str, calls: int) -> dict[str, Any]:
    """The figures of one model."""
    with tempfile.TemporaryDirectory() as folder:
        file = deployment(Path(folder), kind, isolation)
        host = Host(resolve(read(file)))
        host.start()
        assert host.wait(120), host.fault
        artifact = host.resolved.champion.artifact.path
        session, x = ps.load(artifact), np.random.default_rng(2).normal(size=(1, FLOATS)).astype(np.float32)
        body, plain, length = bodies(x)
        with servers.serving(servers.SERVE, folder) as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            app, path = HttpApp(host), "/v2/models/model/infer"

            async def alone() -> None:
                session.run({"x": x})

            async def over_http() -> None:
                connection.request("POST", path, body, {"Inference-Header-Content-Length": str(length)})
                answer = connection.getresponse()
                assert answer.status == 200, answer.read()
                answer.read()

            pieces = [body[place : place + PIECE] for place in range(0, len(body), PIECE)]
            askers = {"session": alone, "app": caller(app, path, [body], length), "app, pieces": caller(app, path, pieces, length),
                      "http": over_http, "app, json": caller(app, path, [plain], None)}  # fmt: skip
            worker = max(servers.descendants(server.process.pid), key=spent_by)  # the one that opened the model
            pids = dict.fromkeys(askers, os.getpid()) | {"http": worker}
            spent = asyncio.run(rounds(askers, pids, calls))
            connection.close()
        host.close()
    figures = {name: round(statistics.quantiles(values, n=4)[0], 4) for name, values in spent.items()}
    return {"model": kind, "isolation": isolation, **figures}


def measure(short: bool = False, isolation: str = "inline", calls: int = 300, file: Path | None = None) -> list[dict[str, Any]]:
    """Every model; memory is kept as in a process that serves, for both sides."""
    keep_freed_blocks()
    return kept((one(kind, isolation, 50 if short else calls) for kind in ("dense", "small net", "phone net")), file)


def show(rows: list[dict[str, Any]]) -> str:
    """Milliseconds and the ratio to the session alone."""
    lines = [[row["model"], row["isolation"], *(f"{row[way]:.3f} ({row[way] / row['session']:.2f}x)" for way in WAYS)] for row in rows]
    return table([["model", "isolation", *WAYS], *lines])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--isolation", default="inline", choices=["inline", "thread", "process"])
    parser.add_argument("--json", type=Path, help="where the rows go")
    asked = parser.parse_args()
    print(show(measure(isolation=asked.isolation, calls=asked.calls, file=asked.json)))
