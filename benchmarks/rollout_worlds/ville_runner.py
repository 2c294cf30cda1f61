# pyright: reportMissingImports=false
"""ville's tests on made-up units; run by the Python of an environment of its own. Nothing of Portside is imported here.

    PYTHON benchmarks/rollout_worlds/ville_runner.py JOB.json

JOB.json: {"units": NPZ of packed "treated" and "bad", "rows": N, "limit": D, "alpha": of the two-sided sequence, "bets": N, "out": FILE}.
Writes OUT: {"betting": first units, or null, at which the upper bound was below the limit; "asymptotic": the same}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ville import AsymptoticABTest, BettingABTest

GRID = 2_000
"""Candidate means of the betting test: 0.002 apart."""


def main() -> None:
    """Carry out the job."""
    job = json.loads(Path(sys.argv[1]).read_text())
    held = np.load(job["units"])
    treated, bad = (np.unpackbits(held[name], axis=1, count=job["rows"]).astype(float) for name in ("treated", "bad"))
    makers: dict[str, tuple[Any, int]] = {
        "betting": (lambda: BettingABTest(alpha=job["alpha"], propensity=0.5, grid=GRID), job["bets"]),
        "asymptotic": (lambda: AsymptoticABTest(alpha=job["alpha"], propensity=0.5, t_opt=job["rows"] // 4), len(treated)),
    }
    found: dict[str, list[int | None]] = {}
    for name, (make, runs) in makers.items():
        found[name] = [first(make().fit(bad[run], treated[run]).upper_, job["limit"]) for run in range(min(runs, len(treated)))]
    Path(job["out"]).write_text(json.dumps(found))


def first(upper: np.ndarray, limit: float) -> int | None:
    """The first unit, from 1, after which the bound is below the limit."""
    below = np.flatnonzero(upper < limit)
    return int(below[0]) + 1 if len(below) else None


if __name__ == "__main__":
    main()
