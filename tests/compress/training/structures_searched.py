"""One small search over structures, as a script that others may kill: a line for each pass that ran. Arguments: package, folder."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import portside as ps
from portside.compress import structured, trials
from portside.compress.searching import Searching
from portside.compress.shelf import Shelf

trials.REPEATS, trials.SECONDS = 1, 0.002
structured.SHARES = (1 / 9, 1.0)
Searching._late = lambda self: sum(held.settings.structure == self.structure for held in self.store.trials.values()) > 1
RUN = Shelf._run


def told(self, step, package, place, deadline, progress):
    """The pass, and a line when it is kept."""
    made = RUN(self, step, package, place, deadline, progress)
    print(f"ran {step.kind} {place.name}", flush=True)
    return made


if __name__ == "__main__":
    package, folder = map(Path, sys.argv[1:])
    Shelf._run = told
    held = load_digits()
    x, y = held.data.astype(np.float32), held.target.astype(np.int64)
    train, data = (ps.Data({"image": x[rows]}, labels=y[rows]) for rows in (slice(0, 1000), slice(1000, None)))
    two = [[ps.Prune(ratio, steps=1, epochs=0), ps.Distil(epochs=2)] for ratio in (0.5, 0.2)]
    found = ps.search(ps.open(package, trust=True), "onnx-cpu", ps.Budget(max_drop=0.5), data, 30, structures=two, train=train,
                      resume=folder)  # fmt: skip
    print(f"finished {len(found.trials)}", flush=True)
