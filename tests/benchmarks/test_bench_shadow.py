"""What the comparison with and without a shadow makes of its rows."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]
bench = import_module("bench_shadow")


def row(side: str, number: int, p99_ms: float, shadow: dict[str, int] | None = None) -> dict[str, object]:
    return {"model": "tiny", "side": side, "rate": 200.0, "round": number, "p50_ms": 1.0, "p99_ms": p99_ms, "answered": 100, "errors": 0,
            "shadow": shadow or {}}  # fmt: skip


def test_rounds_are_compared_one_by_one_and_the_shadow_is_counted() -> None:
    asked = {"primary": 80, "full": 15, "crowded": 5}
    rows = [row("alone", 0, 2.0), row("shadowed", 0, 2.0, asked), row("shadowed", 1, 6.0, asked), row("alone", 1, 4.0),
            row("tried", 0, 2.0), row("tried", 1, 3.0)]  # fmt: skip
    alone, tried, shadowed = bench.show(rows).splitlines()[2:]
    assert alone.split() == ["tiny", "200", "alone", "1.000", "3.000", "0"]
    assert shadowed.split()[3:] == ["1.000", "4.000", "0", "80%", "20%", "1.000x", "1.250x", "(1.000-1.500)", "1.500x", "(1.000-2.000)"]
    assert tried.split()[6:] == ["1.000x", "0.875x", "(0.750-1.000)"]
