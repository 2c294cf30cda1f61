"""A shadow: what the champion's answers cost in latency while a challenger answers beside it, against a server that has none.

Servers of one model, one of which is asked at a time: "alone" has no `[rollout]`, two others have it and its controller, one with no
rollout under way ("tried") and one with one in its shadow phase ("shadowed"). Requests come when they are due (open loop, as
`portside load`), at half of what the first server can do.

A machine is faster in one minute than in the next, by more than a shadow may cost. So a round is many short turns, one server after the
other and every second time in reverse, with the same arrivals on every side; before each turn a moment is not counted, in which connections
are opened, and after it there is a rest, in which a shadow answers what still waits, beside nobody's turn. A side's figure in a round is
the percentile of all its turns together. Two servers of one file differ by themselves, so "tried" and "shadowed" change places after every
round. Ratios are taken round by round: median over rounds, with an interval of 90% by drawing rounds anew (bootstrap). "tried" beside
"alone" says what two servers differ by at least, "shadowed" beside "tried" what the shadow costs.

    python benchmarks/bench_shadow.py [--short] [--rounds N] [--turns N] [--seconds S] [--model M ...] [--side S ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
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
from portside.cloud.load.connection import Connection
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
SIDES, SERVERS = ("alone", "tried", "shadowed"), ("alone", "one", "other")
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
WARM_S, REST_S = 0.5, 1.0
"""Before a turn, not counted; and after it, for what waits in a shadow's queue."""
MODELS = {"middle": ("thread", 10), "tiny": ("inline", 3)}
"""Isolation, and classes of the answer."""
PROBE_S, PROBE_RATES = 5.0, {"middle": 500.0, "tiny": 8000.0}
LOAD = 0.5


def measure(short: bool = False, rounds: int = 12, turns: int = 8, seconds: float = 4.0, models: Sequence[str] = tuple(MODELS),
            sides: Sequence[str] = SIDES, file: Path | None = None) -> list[dict[str, Any]]:  # fmt: skip
    """One row per model, round and side; `short`: one model, two rounds of two turns of a second."""
    rounds, turns, seconds, models = (2, 2, 1.0, models[:1]) if short else (rounds, turns, seconds, models)
    return kept(_rows(rounds, turns, seconds, models, sides), file)


def _rows(rounds: int, turns: int, seconds: float, models: Sequence[str], sides: Sequence[str]) -> Iterator[dict[str, Any]]:
    for model in models:
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            files = {name: _deployment(Path(folder), model, name) for name in SERVERS}
            urls = {name: stack.enter_context(served(file)) for name, file in files.items()}
            asked = {name: target(url) for name, url in urls.items()}
            for one in asked.values():
                step(one, 50.0, 3.0, 0)
            rate = LOAD * capacity(asked["alone"], PROBE_RATES[model])
            for number in range(rounds):
                places = _places(number)
                for name in ("one", "other"):
                    shadowing(files[name], asked[name], urls[name], name == places["shadowed"])
                before = {side: shadow_counts(urls[places[side]]) for side in sides}
                took = run(_turns({side: asked[places[side]] for side in sides}, rate, turns, seconds, number))
                for side in sides:
                    counted = {name: count - before[side].get(name, 0) for name, count in shadow_counts(urls[places[side]]).items()}
                    yield {"model": model, "side": side, "server": places[side], "rate": rate, "round": number, "cores": cores(),
                           **took[side], "shadow": counted}  # fmt: skip


def _places(number: int) -> dict[str, str]:
    """Which server is which side in this round."""
    tried, shadowed = ("one", "other") if number % 2 == 0 else ("other", "one")
    return {"alone": "alone", "tried": tried, "shadowed": shadowed}


class Timed(Generator):
    """Keeps every latency: a histogram's buckets are as wide as what is looked for. `counts`: what is answered now is kept."""

    def __init__(self, asked: Target) -> None:
        super().__init__(asked, 1000.0, 5.0, 64)
        self.latencies_ms, self.counts, self.errors = list[float](), False, 0

    def answered(self, connection: Connection, status: int, reason: bytes, keep: bool) -> None:
        """Keep the time since it was due."""
        if self.counts and connection.scheduled is not None and 200 <= status < 300:
            self.latencies_ms.append((asyncio.get_running_loop().time() - connection.scheduled) * 1e3)
        super().answered(connection, status, reason, keep)

    async def turn(self, rate: float, seconds: float, seed: int) -> None:
        """A moment that is not counted, what is, and a rest."""
        self.counts = False
        await self.step(rate, WARM_S, "poisson", 0)
        self.counts = True
        self.errors += sum((await self.step(rate, seconds, "poisson", seed)).errors.values())
        await asyncio.sleep(REST_S)


async def _turns(asked: Mapping[str, Target], rate: float, turns: int, seconds: float, number: int) -> dict[str, dict[str, Any]]:
    """Figures by side."""
    drivers = {side: Timed(one) for side, one in asked.items()}
    for turn in range(turns):
        for side in list(drivers)[:: 1 if turn % 2 == 0 else -1]:
            await drivers[side].turn(rate, seconds, number * turns + turn)
    for driver in drivers.values():
        await driver.close()
    return {side: _figures(driver) for side, driver in drivers.items()}


def shadowing(file: Path, asked: Target, url: str, wanted: bool) -> None:
    """Begin a rollout and wait until its shadow answers, or end it."""
    going, deployment = phase(file) == "shadow", read(file)
    if wanted and not going:
        control.start(deployment, "bench")
        ends, before = time.monotonic() + 60, shadow_counts(url).get("primary", 0)
        while shadow_counts(url).get("primary", 0) <= before and time.monotonic() < ends:
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


def _figures(done: Timed) -> dict[str, Any]:
    latency = {f"p{percent:g}_ms": float(np.percentile(done.latencies_ms, percent)) for percent in PERCENTILES}
    return {**latency, "answered": len(done.latencies_ms), "errors": done.errors}


def show(rows: list[dict[str, Any]]) -> str:
    """Medians over rounds, the ratios of each round, and what the shadow was asked."""
    head = ["model", "requests/s", "side", "p50 ms", "p99 ms", "errors", "shadowed", "dropped", "p50 / alone", "p99 / alone", "(90%)",
            "p99 / tried", "(90%)"]  # fmt: skip
    keys = sorted({(row["model"], row["side"]) for row in rows}, key=lambda key: (key[0], SIDES.index(key[1])))
    return table([head, *(_line(rows, model, side) for model, side in keys)])


def _line(rows: list[dict[str, Any]], model: str, side: str) -> list[str]:
    held = [row for row in rows if (row["model"], row["side"]) == (model, side)]
    asked, answered = sum(sum(row["shadow"].values()) for row in held), sum(row["shadow"].get("primary", 0) for row in held)
    sent = sum(row["answered"] + row["errors"] for row in held)
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
    parser.add_argument("--short", action="store_true", help="one model, two rounds of two turns of a second")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--turns", type=int, default=8, help="of each side in a round (default: 8)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn (default: 4)")
    parser.add_argument("--model", nargs="+", default=list(MODELS), choices=list(MODELS), metavar="M")
    parser.add_argument("--side", nargs="+", default=list(SIDES), choices=SIDES, metavar="S", help="sides (default: all)")
    parser.add_argument("--json", type=Path, help="where the rows go, as they come")
    asked = parser.parse_args()
    print(show(measure(asked.short, asked.rounds, asked.turns, asked.seconds, asked.model, asked.side, asked.json)))


if __name__ == "__main__":
    sys.exit(main())
