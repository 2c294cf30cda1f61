"""Micro-batching on and off, in process: an MLP 256-1024-1024-10 on onnx-cpu, one thread in the engine, 1 to 64 clients.

    python benchmarks/bench_batching.py [--seconds 1] [--rounds 5] [--json]

Clients are coroutines that ask the model's entry again as soon as they have an answer; on and off take turns, and a row holds
medians over the rounds. `on` is what the default decides after measuring. At one client both are the same path, so what
differs there is the noise of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import torch
import uvloop

import portside as ps
from portside.cloud.answering.chain import ModelEntry
from portside.cloud.answering.room import Room
from portside.runtimes.base import LoadOptions
from portside.runtimes.isolation import isolate
from portside.runtimes.timing import table
from portside.sdk.core.codec.codec import Codec

CLIENTS = (1, 8, 32, 64)
COLUMNS = ("isolation", "clients", "on_per_s", "off_per_s", "gain", "on_p50_ms", "off_p50_ms", "on_p99_ms", "off_p99_ms", "rows_per_batch")


def compiled(folder: Path) -> Path:
    """The artifact."""
    torch.manual_seed(0)
    layers = [torch.nn.Linear(256, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, 10)]
    rows = np.random.default_rng(0).normal(size=(64, 256)).astype(np.float32)
    package = ps.pack(torch.nn.Sequential(*layers), name="mlp", examples={"input": rows}, out=folder / "package")
    return ps.compile(package, target="onnx-cpu", out=folder / "artifact").path


def opened(artifact: Path, isolation: Literal["thread", "process"], room: Room) -> ModelEntry:
    """The model as a chain would hold it, warm."""
    lane = isolate(artifact, isolation, LoadOptions(threads=1, door=False))
    entry = ModelEntry("mlp", "", "onnx-cpu", "", "", lane.info.signature, Codec(), lane, room)
    entry.warm(time.monotonic() + 60)
    return entry


async def crowd(entry: ModelEntry, clients: int, seconds: float) -> list[float]:
    """Milliseconds of every call."""
    inputs, waited = {"input": np.random.default_rng(1).normal(size=(1, 256)).astype(np.float32)}, list[float]()
    ends = time.monotonic() + seconds

    async def client() -> None:
        while (began := time.monotonic()) < ends:
            await entry.ask(inputs, None)
            waited.append((time.monotonic() - began) * 1e3)

    await asyncio.gather(*(client() for _ in range(clients)))
    return waited


def act(entry: ModelEntry, clients: int, seconds: float) -> tuple[float, float, float]:
    """(calls per second, p50, p99)."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        waited = sorted(runner.run(crowd(entry, clients, seconds)))
    return len(waited) / seconds, waited[len(waited) // 2], waited[int(len(waited) * 0.99)]


def row(isolation: str, clients: int, on: ModelEntry, off: ModelEntry, seconds: float, rounds: int) -> dict[str, Any]:
    """One line of the table."""
    assert on.queue is not None
    calls, batches = on.queue.tally.calls, on.queue.tally.batches
    turns = [(act(on, clients, seconds), act(off, clients, seconds)) for _ in range(rounds)]
    with_, without = ([median(turn[side][place] for turn in turns) for place in range(3)] for side in range(2))
    gain = median(turn[0][0] / turn[1][0] for turn in turns)
    per_batch = (on.queue.tally.calls - calls) / (on.queue.tally.batches - batches)
    figures = (round(with_[0]), round(without[0]), round(gain, 2), with_[1], without[1], with_[2], without[2], round(per_batch, 1))
    return dict(zip(COLUMNS, (isolation, clients, *figures), strict=True))


def measure(seconds: float = 1.0, rounds: int = 5, short: bool = False) -> list[dict[str, Any]]:
    """Every row, both isolations."""
    rows, rounds = list[dict[str, Any]](), 1 if short else rounds
    with tempfile.TemporaryDirectory() as folder:
        artifact = compiled(Path(folder))
        for isolation in ("thread", "process"):
            on, off = opened(artifact, isolation, Room()), opened(artifact, isolation, Room(merge=False))
            assert on.queue is not None
            if not on.queue.merges:
                print(f"{isolation}: batches were not taken up: {on.queue.obstacle}", file=sys.stderr)
            rows += [row(isolation, clients, on, off, seconds, rounds) for clients in CLIENTS]
            on.close()
            off.close()
    return rows


def show(rows: list[dict[str, Any]]) -> str:
    """The table."""
    return table([COLUMNS, *([f"{value:.3f}" if key.endswith("_ms") else str(value) for key, value in one.items()] for one in rows)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows = measure(chosen.seconds, chosen.rounds)
    print(json.dumps(rows) if chosen.json else show(rows))


if __name__ == "__main__":
    main()
