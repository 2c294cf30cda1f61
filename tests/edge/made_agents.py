"""Agents on real artifacts: a classifier of four numbers, a smaller one, one with a memory, and a cloud that says what it is told."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from portside.edge.files import OsFiles
from portside.edge.folder_source import FolderSource
from portside.edge.installer import Installer
from portside.edge.slots import Slots
from portside.edge.trial import TrialJudge
from portside.edge.update_state import DesiredSeen
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.samples import Sample, graph_model, node
from portside.sdk.core.contract import Rule
from portside.sdk.core.errors import EngineError
from portside.sdk.core.package import open_folder
from portside.sdk.core.signature import Signature, TensorSpec

NATIVE = Path(__file__).resolve().parents[1] / "golden" / "v2"
WEIGHT = np.array([[1.0, -0.5, 0.25], [0.5, 1.0, -1.0], [-0.25, 0.75, 0.5], [0.1, -0.2, 0.3]], np.float32)
ROW = {"x": [[4.0, 0.0, 0.0, 0.0]]}
"""Scores 4, -2, 1: the label is "a"."""


def sample(name, weight, stays=False):
    """Scores and a label of four numbers."""
    signature = Signature(
        (TensorSpec("x", "f32", ("batch", 4), stays_on_device=stays),),
        (TensorSpec("scores", "f32", ("batch", 3), kind="value"),
         TensorSpec("label", "i32", ("batch",), categories=("a", "b", "c"), kind="decision")),
    )  # fmt: skip
    nodes = [node("MatMul", ["x", "weight"], "scores"), node("ArgMax", ["scores"], "best", axis=1, keepdims=0),
             node("Cast", ["best"], "label", to=6)]  # fmt: skip

    def truth(inputs):
        scores = inputs["x"] @ weight
        return {"scores": scores, "label": scores.argmax(1).astype(np.int32)}

    def inputs(rows):
        return {"x": np.random.default_rng(rows).normal(size=(rows, 4)).astype(np.float32)}

    return Sample(name, signature, graph_model(signature, nodes, {"weight": weight}), truth, inputs,
                  {"scores": Rule("value"), "label": Rule("decision")})  # fmt: skip


def made(folder, only=None):
    """Name -> a compiled artifact's folder; `only` some of them."""
    kinds = {"first": sample("first", WEIGHT), "small": sample("small", WEIGHT * np.float32(0.5)),
             "alike": sample("alike", WEIGHT + np.float32(1e-5)), "secret": sample("secret", WEIGHT, stays=True)}  # fmt: skip
    found = {name: compile_package(kind.write(folder / f"{name}.package"), out=folder / name).path for name, kind in kinds.items()
             if only is None or name in only}  # fmt: skip
    return found if only else {**found, "memory": compile_package(open_folder(NATIVE), target="tflite", out=folder / "memory").path}


def install(root, artifact):
    """A device that was delivered with this artifact in its slot."""
    source = FolderSource(artifact, 1)
    installer = Installer(Slots(OsFiles(), Path(root) / "slots"), source, TrialJudge())
    installer.boot()
    installer.handle(DesiredSeen(source.wanted))
    installer.work()
    assert installer.update.active is not None


def settings(folder, *chain, top="", failover=""):
    """An agent.toml with this chain, in a folder with its state."""
    links = "".join(f"[[failover.chain]]\n{link}\n" for link in chain)
    path = Path(folder) / "agent.toml"
    path.write_text(f'name = "cells"\ndevice = "cam-7"\n{top}\n[failover]\n{failover}\n{links}', encoding="utf-8")
    return path


class Faulty:
    """In front of a session: fails, waits, or gives NaN, as long as it is told to."""

    def __init__(self, session, how="fail", seconds=0.0):
        self.session, self.how, self.seconds, self.calls = session, how, seconds, 0
        self.info = session.info

    def run(self, inputs, cancel=None):
        self.calls += 1
        if self.how == "fail":
            raise EngineError("told to fail")
        time.sleep(self.seconds)
        found = self.session.run(inputs, cancel)
        return {**found, "scores": found["scores"] * np.nan} if self.how == "nan" else found

    def close(self):
        self.session.close()


def break_entry(agent, place, how="fail", seconds=0.0):
    """Let an entry of an agent's chain fail from now on."""
    lane = agent._chain.entries[place].lane
    lane.session = Faulty(lane.session, how, seconds)
    return lane.session


@contextmanager
def cloud(outputs, status=200, wait_s=0.0):
    """(url, requests) of a server with the typed route that always says the same."""
    asked = []

    class Says(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((dict(self.headers), json.loads(self.rfile.read(int(self.headers["content-length"])))))
            time.sleep(wait_s)
            body = json.dumps({"outputs": outputs}).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Says)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/predict", asked
    finally:
        server.shutdown()
        server.server_close()


def told(agent):
    """(kind, body) of what waits in the outbox."""
    agent.writer.flush()
    return [(held.kind, json.loads(held.body)) for held in agent.outbox.batch(1 << 24, 500)]
