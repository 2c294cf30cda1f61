"""Serving: requests per second and latency beside BentoML, FastAPI, LitServe, MLServer and bare uvicorn, all on the same ONNX files.

Peers live in environments of their own under --work (made by the benchmark, pinned in serving/environments.py). All servers of a part are
started once; then rounds are interleaved, so that what the machine does meanwhile meets all. Same worker count, same threads, same client
(wrk, callers that always wait), a warm-up before. Ratios are taken round by round: median, smallest and largest.

    python benchmarks/bench_serving.py [tiny] [middle] [batching] [binary] [jpeg]
                                       [--short] [--rounds N] [--seconds S] [--work DIR] [--json FILE]

Exit code 1 when an aim is missed. With two cores or more, the part with the tiny model keeps the servers on the first and the client on the
last; read nothing into a run on one core.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import onnxruntime as ort
from bench_precision import kept
from serving.clients import Ask
from serving.clients import measure as ask_many
from serving.models import Subject, subject
from serving.sides import SIDES, Setting, running

from portside.runtimes.hardware import cores
from portside.runtimes.timing import interleave, table

WORK = Path(tempfile.gettempdir()) / "portside-serving"


@dataclass(frozen=True)
class Part:
    """One comparison: which model, behind which sides, with how many callers; `threads`: calls at once; `apart`: client on its own core."""

    subject: str
    sides: tuple[str, ...]
    clients: tuple[int, ...]
    kind: str = "json"
    threads: int = 1
    isolation: str = "inline"
    apart: bool = False
    engine: bool = False


PARTS = {
    "tiny": Part("tiny", ("portside bare", "portside full", "bare uvicorn", "fastapi async", "mlserver", "litserve", "bentoml stock"), (8,),
                 apart=True),
    "middle": Part("middle", ("portside bare", "fastapi threads", "litserve", "bentoml stock"), (8, 32), threads=2, isolation="thread",
                   engine=True),
    "batching": Part("wide", ("portside batched", "portside unbatched", "fastapi threads"), (1, 32), isolation="thread", engine=True),
    "binary": Part("large", ("portside binary", "fastapi binary", "bare uvicorn binary"), (1,), "binary", isolation="thread", engine=True),
    "jpeg": Part("jpeg", ("portside picture", "fastapi picture", "litserve picture"), (8,), "jpeg", threads=2, isolation="thread"),
}  # fmt: skip


@dataclass(frozen=True)
class Aim:
    """What must show: a figure of one side over that of another (itself: p99 over p50), at least or at most a factor."""

    part: str
    clients: int
    side: str
    other: str
    figure: str
    factor: float
    least: bool = True


AIMS = [
    *(Aim("tiny", 8, "portside bare", other, "requests_s", factor) for other, factor in
      (("bentoml stock", 13.0), ("fastapi async", 1.4), ("litserve", 5.0), ("mlserver", 3.0))),
    Aim("tiny", 8, "portside bare", "itself", "tail", 3.0, least=False),
    Aim("tiny", 8, "portside full", "portside bare", "requests_s", 0.8),
    *(Aim("middle", clients, "portside bare", other, "requests_s", 1.0) for clients in (8, 32)
      for other in ("fastapi threads", "litserve", "bentoml stock")),
    *(Aim("middle", clients, "portside bare", "itself", "tail", 3.0, least=False) for clients in (8, 32)),
    Aim("batching", 32, "portside batched", "portside unbatched", "requests_s", 2.0),
    Aim("batching", 1, "portside batched", "portside unbatched", "p50_ms", 1.05, least=False),
    Aim("binary", 1, "portside binary", "engine", "p50_ms", 1.5, least=False),
    *(Aim("jpeg", 8, "portside picture", other, "requests_s", 1.0) for other in ("fastapi picture", "litserve picture")),
]  # fmt: skip


def measure(short: bool = False, parts: Sequence[str] = (), file: Path | None = None, rounds: int = 5, seconds: float = 6.0,
            work: Path = WORK, sides: Sequence[str] = ()) -> list[dict[str, Any]]:  # fmt: skip
    """One row per round, side and number of callers; `short`: one round of two seconds; `sides`: these alone (default: all)."""
    rounds, seconds = (1, 2.0) if short else (rounds, seconds)
    return kept((row for name in parts or PARTS for row in _part(name, rounds, seconds, work, sides)), file)


def _part(name: str, rounds: int, seconds: float, work: Path, sides: Sequence[str]) -> Iterator[dict[str, Any]]:
    part, held = PARTS[name], subject(PARTS[name].subject, work / "models")
    here, count = sorted(os.sched_getaffinity(0)), cores()
    servers, client = ((here[0],), (here[-1],)) if part.apart and count > 1 else ((), ())
    shutil.rmtree(work / "served", ignore_errors=True)
    about = {"model": name, "cores": count, "client": "wrk" if shutil.which("wrk") else "loop"}
    with contextlib.ExitStack() as stack:
        asks: dict[str, Ask] = {}
        for side in [side for side in part.sides if side in sides or not sides]:
            print(f"starting {side}", file=sys.stderr, flush=True)
            setting = Setting(part.kind, part.threads, work, SIDES[side].more, part.isolation)
            asks[side] = stack.enter_context(running(SIDES[side], held, setting, servers))
        for ask in asks.values():
            with contextlib.suppress(ValueError):  # nobody answered within the warm-up: the rounds will tell
                ask_many(ask, max(part.clients), 3, client)
        for number in range(rounds):
            for clients in part.clients:
                for side, ask in asks.items() if number % 2 == 0 else reversed(list(asks.items())):
                    yield {**about, "side": side, "clients": clients, "round": number, **ask_many(ask, clients, seconds, client)}
            if part.engine:
                yield {**about, "side": "engine", "clients": 1, "round": number, **_engine(held, seconds)}


def _engine(held: Subject, seconds: float) -> dict[str, Any]:
    """The bare engine's own call, one after the other, in this process."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = ort.InferenceSession(str(held.onnx), options, providers=["CPUExecutionProvider"])
    taken = interleave({"engine": lambda: session.run(None, {held.input: held.row})}, 1, seconds / 3)["engine"]
    return {"requests_s": taken.per_second(), "p50_ms": taken.percentile_ms(50), "p99_ms": taken.percentile_ms(99), "errors": 0}


def show(rows: list[dict[str, Any]]) -> str:
    """The tables that people read: medians over rounds with the smallest and largest, then the aims."""
    head = ["model", "callers", "side", "requests/s", "(spread)", "p50 ms", "p99 ms", "errors"]
    lines = [_line(rows, *key) for key in dict.fromkeys((row["model"], row["clients"], row["side"]) for row in rows)]
    aims = [line for aim in AIMS if (line := _aim(rows, aim))]
    judged = table([["aim", "asked", "found", "(spread)", ""], *aims]) if aims else "no aim was measured"
    return f"{table([head, *lines])}\n\n{judged}"


def _line(rows: list[dict[str, Any]], model: str, clients: int, side: str) -> list[str]:
    held = [row for row in rows if (row["model"], row["clients"], row["side"]) == (model, clients, side)]
    rates = [row["requests_s"] for row in held]
    times = [f"{median(row[key] for row in held):.3g}" for key in ("p50_ms", "p99_ms")]
    errors = sum(row["errors"] for row in held)
    return [model, str(clients), side, f"{median(rates):,.0f}", f"({min(rates):,.0f}-{max(rates):,.0f})", *times, str(errors)]


def ratios(rows: list[dict[str, Any]], aim: Aim) -> list[float]:
    """The figure, round by round."""
    of = {(row["side"], row["round"]): row for row in rows if row["model"] == aim.part and row["clients"] in (aim.clients, 1)
          and (row["clients"] == aim.clients or row["side"] == "engine")}  # fmt: skip
    own = [(number, row) for (side, number), row in of.items() if side == aim.side]
    if aim.other == "itself":
        return [row["p99_ms"] / row["p50_ms"] for _, row in own]
    return [row[aim.figure] / of[aim.other, number][aim.figure] for number, row in own if (aim.other, number) in of]


def holds(rows: list[dict[str, Any]], aim: Aim) -> bool | None:
    """Whether the median over rounds keeps the aim; None: it was not measured."""
    found = ratios(rows, aim)
    return None if not found else median(found) >= aim.factor if aim.least else median(found) <= aim.factor


def _aim(rows: list[dict[str, Any]], aim: Aim) -> list[str]:
    found = ratios(rows, aim)
    if not found:
        return []
    what = "p99 over p50" if aim.other == "itself" else f"{'requests/s' if aim.figure == 'requests_s' else 'p50'} over {aim.other}"
    said = f"{aim.part}, {aim.clients} callers, {aim.side}: {what}"
    spread = f"({min(found):.2f}-{max(found):.2f})"
    asked = f"{'>=' if aim.least else '<='} {aim.factor:g}x"
    return [said, asked, f"{median(found):.2f}x", spread, "holds" if holds(rows, aim) else "MISSED"]


def main() -> int:
    """By itself, with a choice of parts; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--short", action="store_true", help="one round of two seconds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement (default: 6)")
    parser.add_argument("--sides", nargs="+", default=(), choices=SIDES, metavar="SIDE", help="these alone, such as 'portside full'")
    parser.add_argument("--work", type=Path, default=WORK, help=f"models and environments, kept (default: {WORK})")
    parser.add_argument("--json", type=Path, help="where the rows go, as they come")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.parts) - set(PARTS)):
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    rows = measure(asked.short, asked.parts, asked.json, asked.rounds, asked.seconds, asked.work, asked.sides)
    print(show(rows))
    return 1 if any(holds(rows, aim) is False for aim in AIMS) else 0


if __name__ == "__main__":
    sys.exit(main())
