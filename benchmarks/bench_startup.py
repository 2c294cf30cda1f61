"""How long a fresh process takes to import portside, beside what it must import anyway.

Interleaved fresh processes; the time is the child's own, from the first line to the last. What `import portside` pulls in
is tested, not timed, by tests/test_import_time.py.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from portside.runtimes.timing import table

LIMIT_MS = 300
CASES = {
    "import portside": "import portside",
    "import numpy": "import numpy",
    "portside.open and what it needs": "import portside; portside.open",
    "portside.load and what it needs": "import portside; portside.load, __import__('onnxruntime')",
}
_TIMED = "import time; start = time.perf_counter(); {}; print((time.perf_counter() - start) * 1e3)"


def measure(repeats: int = 11) -> list[dict[str, Any]]:
    """Median and spread in ms over fresh processes, after one that warms the disk cache."""
    found: dict[str, list[float]] = {name: [] for name in CASES}
    for turn in range(repeats + 1):
        for name, code in CASES.items():
            done = subprocess.run([sys.executable, "-c", _TIMED.format(code)], check=True, capture_output=True, text=True)
            found[name] += [float(done.stdout)] if turn else []
    return [
        {"what": name, "median_ms": sorted(held)[len(held) // 2], "low_ms": min(held), "high_ms": max(held)}
        for name, held in found.items()
    ]


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    head = ["fresh process", "median ms", "lowest to highest ms", f"< {LIMIT_MS} ms"]
    return table([head, *([row["what"], f"{row['median_ms']:.1f}", f"{row['low_ms']:.1f} to {row['high_ms']:.1f}",
                           "yes" if row["median_ms"] < LIMIT_MS else "no"] for row in rows)])  # fmt: skip


if __name__ == "__main__":
    print(show(measure()))
