"""The dashboard: what answers cost in latency while somebody has every page of it open, against the same server with nobody looking.

One server with records, failover, a monitor and a desk, under requests that come when they are due (open loop, as `portside load`), at a
rate that is far from its limit. Rounds are interleaved: alone, watched, watched, alone, ... In a watched one a process of its own asks
for every page once a second, as browsers do: the data behind each view, records, reviews, alerts, metrics. It sends no ETag, so
that nothing is spared. Ratios are taken pair by pair: median, smallest and largest.

    python benchmarks/bench_dashboard.py [--short] [--rounds N] [--seconds S] [--rate R ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
from bench_precision import kept
from serving.models import subject

from portside.cloud.load.generator import Generator, run
from portside.cloud.load.running import served
from portside.cloud.load.tally import Step
from portside.cloud.load.target import Target, target
from portside.runtimes.hardware import cores
from portside.runtimes.timing import table

TEXT = """name = "watched"
[champion]
package = "{package}"
isolation = "inline"
[failover]
deadline_ms = 1000
[[failover.chain]]
default = {{ scores = [0.0, 0.0, 0.0] }}
[monitor]
slo = {{ p99_ms = 50, availability = 0.999 }}
"""
SIDES = ("alone", "watched")
EVERY_S, WARM_S = 1.0, 5.0
RATES = (200.0, 1000.0)


def pages(url: str) -> list[str]:
    """What the views of the dashboard ask for; a field is one that the server has seen."""
    named, spans = "deployment=watched", ("1h", "24h")
    status = httpx.get(f"{url}/dashboard/data/status?{named}&span=24h", timeout=60, trust_env=False).json()
    fields = [str(one["field"]) for one in status["changed"]["fields"]][:2] if "fields" in status.get("changed", {}) else []
    return [
        "/dashboard", "/dashboard/data/deployments", *(f"/dashboard/data/status?{named}&span={span}" for span in spans),
        *(f"/dashboard/data/feature?{named}&span=1h&name={quote(field)}" for field in fields), f"/dashboard/data/alerts?{named}",
        f"/v1/records?{named}&limit=50", f"/v1/records?{named}&state=late", "/v1/reviews", "/v1/reviews/mine?reviewer=bench", "/review",
        "/metrics",
    ]  # fmt: skip


def poll(url: str, paths: Sequence[str], told: Connection) -> None:
    """Ask for every page once a second until told to stop; then say how long each took, in ms, and which did not answer with 200."""
    times, failed = list[float](), dict[str, int]()
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        while not told.poll():
            began = time.monotonic()
            for path in paths:
                asked = time.monotonic()
                status = client.get(path).status_code
                times.append((time.monotonic() - asked) * 1e3)
                if status != 200:
                    failed[path] = status
            told.poll(max(EVERY_S - (time.monotonic() - began), 0.0))
    told.send((times, failed))


@contextlib.contextmanager
def watching(url: str, paths: Sequence[str], found: dict[str, Any]) -> Iterator[None]:
    """Somebody looks, for as long as the block lasts; `found` gets what the pages took."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=poll, args=(url, paths, there), daemon=True)
    process.start()
    time.sleep(1.5)  # it imports, and has looked once
    try:
        yield
    finally:
        here.send("stop")
        times, failed = here.recv() if here.poll(60) else ([0.0], {"poller": 0})
        process.join(10)
    found |= {"polls": len(times), "page_p50_ms": float(np.median(times)), "page_max_ms": max(times), "pages_failed": failed}


def measure(short: bool = False, rounds: int = 6, seconds: float = 30.0, rates: Sequence[float] = RATES,
            file: Path | None = None) -> list[dict[str, Any]]:  # fmt: skip
    """One row per rate, round and side; `short`: two rounds of three seconds at one rate."""
    rounds, seconds, rates = (2, 3.0, rates[:1]) if short else (rounds, seconds, rates)
    return kept(_rows(rounds, seconds, rates), file)


def _rows(rounds: int, seconds: float, rates: Sequence[float]) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        held, deployment = subject("tiny", Path(folder) / "models"), Path(folder) / "deployment.toml"
        deployment.write_text(TEXT.format(package=held.package))
        with served(deployment) as url:
            asked = target(url)
            step(asked, min(rates), WARM_S, 0)
            paths = pages(url)
            for rate in rates:
                for number in range(rounds):
                    for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                        looked = dict[str, Any]()
                        with watching(url, paths, looked) if side == "watched" else contextlib.nullcontext():
                            done = step(asked, rate, seconds, number)
                        yield {"model": "tiny", "side": side, "rate": rate, "round": number, "cores": cores(), **_figures(done), **looked}


def step(asked: Target, rate: float, seconds: float, seed: int) -> Step:
    """One measurement; the same arrivals on both sides of a round."""

    async def go() -> Step:
        driver = Generator(asked, 50.0, 5.0, 64)
        try:
            return await driver.step(rate, seconds, "poisson", seed)
        finally:
            await driver.close()

    return run(go())


def _figures(done: Step) -> dict[str, Any]:
    latency = {f"{name}_ms": value for name, value in done.latency_ms.items()}
    return {**latency, "within_50ms": done.share_within, "errors": sum(done.errors.values())}


def show(rows: list[dict[str, Any]]) -> str:
    """Medians over rounds with the smallest and largest, and the ratio of each pair."""
    head = ["requests/s", "side", "p50 ms", "p99 ms", "(spread)", "within 50 ms", "errors", "pages", "page ms"]
    lines = [_line(rows, *key) for key in dict.fromkeys((row["rate"], row["side"]) for row in rows)]
    rates = dict.fromkeys(row["rate"] for row in rows)
    ratios = [[f"{rate:g}", *_ratio(rows, rate, "p50_ms"), *_ratio(rows, rate, "p99_ms")] for rate in rates]
    beside = table([["requests/s", "p50 watched / alone", "(spread)", "p99 watched / alone", "(spread)"], *ratios])
    return f"{table([head, *lines])}\n\n{beside}"


def _line(rows: list[dict[str, Any]], rate: float, side: str) -> list[str]:
    held = [row for row in rows if (row["rate"], row["side"]) == (rate, side)]
    p99 = [row["p99_ms"] for row in held]
    looked = [row for row in held if "polls" in row]
    return [f"{rate:g}", side, f"{median(row['p50_ms'] for row in held):.2f}", f"{median(p99):.2f}", f"({min(p99):.2f}-{max(p99):.2f})",
            f"{min(row['within_50ms'] for row in held):.2%}", str(sum(row["errors"] for row in held)),
            str(sum(row["polls"] for row in looked)) if looked else "",
            f"{median(row['page_p50_ms'] for row in looked):.1f}" if looked else ""]  # fmt: skip


def _ratio(rows: list[dict[str, Any]], rate: float, figure: str) -> list[str]:
    of = {(row["side"], row["round"]): row[figure] for row in rows if row["rate"] == rate}
    found = [value / of["alone", number] for (side, number), value in of.items() if side == "watched" and of.get(("alone", number))]
    return [f"{median(found):.2f}x", f"({min(found):.2f}-{max(found):.2f})"] if found else ["", ""]


def main() -> int:
    """By itself; 1 where a page did not answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="two rounds of three seconds at one rate")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measurement (default: 30)")
    parser.add_argument("--rate", type=float, nargs="+", default=list(RATES), metavar="R", help="requests per second")
    parser.add_argument("--json", type=Path, help="where the rows go, as they come")
    asked = parser.parse_args()
    rows = measure(asked.short, asked.rounds, asked.seconds, asked.rate, asked.json)
    print(show(rows))
    failed = {path: status for row in rows for path, status in row.get("pages_failed", {}).items()}
    print("".join(f"\n{path} answered {status}" for path, status in failed.items()), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
