"""What the comparison with and without somebody at the dashboard makes of its rows."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]
bench = import_module("bench_dashboard")


def row(side: str, number: int, p99_ms: float, **more: object) -> dict[str, object]:
    return {"side": side, "rate": 200.0, "round": number, "p50_ms": 1.0, "p99_ms": p99_ms, "within_50ms": 1.0, "errors": 0, **more}


def test_rounds_are_compared_pair_by_pair() -> None:
    looked = {"polls": 30, "page_p50_ms": 4.0}
    rows = [row("alone", 0, 2.0), row("watched", 0, 4.0, **looked), row("watched", 1, 12.0, **looked), row("alone", 1, 4.0)]
    shown = bench.show(rows).splitlines()
    assert shown[-1].split()[3:] == ["2.50x", "(2.00-3.00)"]
    assert next(line.split()[-2:] for line in shown if "watched" in line) == ["60", "4.0"]
