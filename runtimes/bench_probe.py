"""A fresh process that opens an artifact, answers once, and says what that took: `python -m portside.runtimes.bench_probe`.

Prints one JSON line: the monotonic time of the first answer (one clock for all processes of a machine) and the peak resident
memory above that of the bare process.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from .artifact import open_artifact

CALLS = 5
"""Calls after the first, so that the engine's arenas have grown."""


def main(path: str, threads: str, trust: str) -> None:
    """Open, answer, report."""
    before = memory_mb("VmRSS")
    from .bench import golden, one_row  # after the bare process was measured
    from .loading import load  # as above

    artifact = open_artifact(Path(path))
    inputs = one_row(artifact.signature, golden(artifact.contract()))
    session = load(artifact, threads=int(threads), trust=trust == "1")
    session.run(inputs)
    answered = time.monotonic()
    for _ in range(CALLS):
        session.run(inputs)
    print(json.dumps({"answered_at_s": answered, "memory_mb": memory_mb("VmHWM") - before}))


def memory_mb(field: str) -> float:
    """A memory figure of this process in MB: VmRSS (now) or VmHWM (peak); NaN-free 0.0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith(f"{field}:")), 0.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
