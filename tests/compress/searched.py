"""One small search, as a script that others may kill: prints a line before each trial. Arguments: package, rows, folder, minutes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import portside as ps
from portside.compress import trials

trials.REPEATS, trials.SECONDS = 1, 0.002


def rows(count: int, seed: int = 3) -> ps.Data:
    """Rows for the sample "mixed", labelled by its own truth."""
    from portside.runtimes.samples import mixed

    sample = mixed()
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 4)).astype(np.float32)
    inputs = {"x": x, "ids": random.integers(0, 100, count), "on": random.random(count) < 0.5}
    return ps.Data(inputs=inputs, labels=sample.truth(inputs)["label"], slices={"on": inputs["on"]})


if __name__ == "__main__":
    package, count, folder, minutes = sys.argv[1:]
    found = ps.search(ps.open(Path(package)), data=rows(int(count)), minutes=float(minutes), resume=folder,
                      progress=lambda done, of, what: print(what, flush=True) if what.startswith("trial") else None)  # fmt: skip
    print(f"finished {len(found.trials)}", flush=True)
