"""A shadow: what the champion's answers cost in latency while a challenger answers beside it, against a server that has no `[rollout]`.

Two servers of one model, one of which is asked at a time: "alone" has no section, the other one has it and its controller, with no rollout
under way ("tried") or with one in its shadow phase ("shadowed"). Requests come when they are due (open loop, as `portside load`), at half
of what the first server can do. Rounds are interleaved, in turns that are reversed every second round, with the same arrivals on every
side. Ratios are taken round by round: median over rounds, with an interval of 90% by drawing rounds anew (bootstrap). "tried" beside
"alone" says what two servers differ by at least, "shadowed" beside "tried" what the shadow costs on one and the same.

    python benchmarks/bench_shadow.py [--short] [--rounds N] [--seconds S] [--model M ...] [--side S ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
import onnx
from bench_precision import kept
from serving.models import Subject, subject

import portside as ps
from portside.cloud.deployment.file import read
from portside.cloud.deployment.generation import folder_of
from portside.cloud.deployment.traffic import read_traffic
from portside.cloud.load.generator import Generator, run
from portside.cloud.load.running import served
from portside.cloud.load.tally import Step
from portside.cloud.load.target import Target, target
from portside.cloud.rollouts import control
from portside.runtimes.hardware import cores
from portside.runtimes.timing import table

TEXT = """name = "{side}"
[champion]
package = "{package}"
isolation = "{isolation}"
[failover]
deadline_ms = 1000
[[failover.chain]]
default = {{ scores = {default} }}
"""
ROLLOUT = """
[rollout]
mode = "shadow"
challenger = "{package}"
min_rows = 1000000000
"""
SIDES = ("alone", "tried", "shadowed")
MODELS = {"middle": ("thread", 10), "tiny": ("inline", 3)}
"""Isolation, and classes of the answer."""
PROBE_S, PROBE_RATES = 5.0, {"middle": 500.0, "tiny": 8000.0}
LOAD = 0.5


def measure(short: bool = False, rounds: int = 12, seconds: float = 20.0, models: Sequence[str] = tuple(MODELS),
            sides: Sequence[str] = SIDES, file: Path | None = None) -> list[dict[str, Any]]:  # fmt: skip
    """One row per model, round and side; `short`: one model, two rounds of three seconds."""
    rounds, seconds, models = (2, 3.0, models[:1]) if short else (rounds, seconds, models)
    return kept(_rows(rounds, seconds, models, sides), file)


def _rows(rounds: int, seconds: float, models: Sequence[str], sides: Sequence[str]) -> Iterator[dict[str, Any]]:
    for model in models:
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            files = {name: _deployment(Path(folder), model, name) for name in ("alone", "tried")}
            urls = {name: stack.enter_context(served(file)) for name, file in files.items()}
            asked = {name: target(url) for name, url in urls.items()}
            for one in asked.values():
                step(one, 50.0, 3.0, 0)
            rate = LOAD * capacity(asked["alone"], PROBE_RATES[model])
            for number in range(rounds):
                for side in sides if number % 2 == 0 else sides[::-1]:
                    server = "alone" if side == "alone" else "tried"
                    shadowing(files["tried"], asked["tried"], urls["tried"], side == "shadowed")
                    before = shadow_counts(urls[server])
                    done = step(asked[server], rate, seconds, number)
                    counted = {name: count - before.get(name, 0) for name, count in shadow_counts(urls[server]).items()}
                    yield {"model": model, "side": side, "rate": rate, "round": number, "cores": cores(), **_figures(done),
                           "shadow": counted}  # fmt: skip


def shadowing(file: Path, asked: Target, url: str, wanted: bool) -> None:
    """Begin a rollout and wait until its shadow answers, or end it."""
    going, deployment = phase(file) == "shadow", read(file)
    if wanted and not going:
        control.start(deployment, "bench")
        ends = time.monotonic() + 60
        while not shadow_counts(url).get("primary") and time.monotonic() < ends:
            step(asked, 20.0, 0.5, 0)
    elif going and not wanted:
        control.rollback(deployment, "bench", "not now")
        time.sleep(2.0)  # workers have heard of it, and its process has ended


def phase(file: Path) -> str:
    """What workers are told."""
    deployment = read(file)
    return read_traffic(folder_of(deployment.name, deployment.path)).phase


def _deployment(folder: Path, model: str, side: str) -> Path:
    held, place = subject(model, folder / "models"), folder / side
    isolation, classes = MODELS[model]
    place.mkdir()
    text = TEXT.format(side=side, package=held.package, isolation=isolation, default=[0.0] * classes)
    (place / "deployment.toml").write_text(text + ("" if side == "alone" else ROLLOUT.format(package=_other(held))))
    return place / "deployment.toml"


def _other(champion: Subject) -> Path:
    """A model of the same size whose weights are a little different."""
    package = champion.package.with_name(f"{champion.name}-other")
    if not (package / "manifest.json").is_file():
        model = onnx.load(champion.onnx)
        last = max((held for held in model.graph.initializer if held.data_type == onnx.TensorProto.FLOAT), key=lambda held: held.name)
        last.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(last) + np.float32(0.01), last.name))
        file = champion.onnx.with_stem(f"{champion.name}-other")
        onnx.save(model, file)
        ps.pack(file, name=champion.name, examples={"x": np.repeat(champion.row, 32, axis=0)}, out=package)
    return package


def capacity(asked: Target, rate: float) -> float:
    """Requests per second that a server answers when more are due than it can."""

    async def go() -> Step:
        driver = Generator(asked, 1e6, 60.0, 16)
        try:
            return await driver.step(rate, PROBE_S, "poisson", 0)
        finally:
            await driver.close()

    return run(go()).achieved


def step(asked: Target, rate: float, seconds: float, seed: int) -> Step:
    """One measurement."""

    async def go() -> Step:
        driver = Generator(asked, 1000.0, 5.0, 64)
        try:
            return await driver.step(rate, seconds, "poisson", seed)
        finally:
            await driver.close()

    return run(go())


def shadow_counts(url: str) -> dict[str, int]:
    """Questions to the shadow, by what became of them."""
    text = httpx.get(f"{url}/metrics", timeout=30, trust_env=False).text
    counts = re.finditer(r'portside_shadow_questions_total{[^}]*outcome="(\w[^"]*)"} (\S+)', text)
    return {found[1]: int(float(found[2])) for found in counts}


def _figures(done: Step) -> dict[str, Any]:
    latency = {f"{name}_ms": value for name, value in done.latency_ms.items()}
    return {**latency, "answered": done.answered, "errors": sum(done.errors.values())}


def show(rows: list[dict[str, Any]]) -> str:
    """Medians over rounds, the ratios of each round, and what the shadow was asked."""
    head = ["model", "requests/s", "side", "p50 ms", "p99 ms", "errors", "shadowed", "dropped", "p50 / alone", "p99 / alone", "(90%)",
            "p99 / tried", "(90%)"]  # fmt: skip
    keys = sorted({(row["model"], row["side"]) for row in rows}, key=lambda key: (key[0], SIDES.index(key[1])))
    return table([head, *(_line(rows, model, side) for model, side in keys)])


def _line(rows: list[dict[str, Any]], model: str, side: str) -> list[str]:
    held = [row for row in rows if (row["model"], row["side"]) == (model, side)]
    asked, answered = sum(sum(row["shadow"].values()) for row in held), sum(row["shadow"].get("primary", 0) for row in held)
    sent = sum(row["answered"] for row in held)
    shown = [f"{answered / sent:.0%}", f"{(asked - answered) / sent:.0%}"] if side == "shadowed" else ["", ""]
    return [model, f"{held[0]['rate']:.0f}", side, f"{median(row['p50_ms'] for row in held):.3f}",
            f"{median(row['p99_ms'] for row in held):.3f}", str(sum(row["errors"] for row in held)), *shown,
            *_ratios(rows, model, side, "alone"), *_ratios(rows, model, side, "tried")[1:]]  # fmt: skip


def _ratios(rows: list[dict[str, Any]], model: str, side: str, other: str) -> list[str]:
    """p50 and p99 over those of the other side, round by round, and the interval of the second."""
    of = {(row["side"], row["round"]): row for row in rows if row["model"] == model}
    rounds = sorted({number for _, number in of if (other, number) in of and (side, number) in of})
    if side == other or not rounds or SIDES.index(side) < SIDES.index(other):
        return ["", "", ""]
    p50, p99 = (np.array([of[side, number][name] / of[other, number][name] for number in rounds]) for name in ("p50_ms", "p99_ms"))
    drawn = np.random.default_rng(0).choice(p99, (2000, len(p99)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.05, 0.95])
    return [f"{np.median(p50):.3f}x", f"{np.median(p99):.3f}x", f"({low:.3f}-{high:.3f})"]


def main() -> None:
    """By itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one model, two rounds of three seconds")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement (default: 20)")
    parser.add_argument("--model", nargs="+", default=list(MODELS), choices=list(MODELS), metavar="M")
    parser.add_argument("--side", nargs="+", default=list(SIDES), choices=SIDES, metavar="S", help="sides (default: all)")
    parser.add_argument("--json", type=Path, help="where the rows go, as they come")
    asked = parser.parse_args()
    print(show(measure(asked.short, asked.rounds, asked.seconds, asked.model, asked.side, asked.json)))


if __name__ == "__main__":
    sys.exit(main())
