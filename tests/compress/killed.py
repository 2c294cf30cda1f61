"""One pass that keeps its steps, as a script that others may kill. Arguments: package, what, folder that keeps, folder of the result.

Prints a line before each step that is made, and what became of it at the end. Every step is written at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier

import portside as ps
from portside.compress import calibration, distil, kept_steps, rungs, trials

PASSES: Mapping[str, Callable[[], Any]] = {
    "forest": lambda: ps.Forest(ratio=0.2, thresholds=6),
    "estimator": lambda: ps.Distil(DecisionTreeClassifier(max_depth=4, random_state=0)),
    "quantize": lambda: ps.Quantize("int8-static", calibration="percentile", percentile=99, rows=160),
    "smoothed": lambda: ps.Quantize("int8-dynamic", smooth=True),
    "ladder": lambda: ps.Recipe([ps.Quantize("int8-static")], ps.Budget(max_flips=0.05)),
}


def as_fast(*_: object) -> dict[str, float]:
    """In place of latency, which two runs never share: half of float's."""
    return {"p50_ms": 1.0, "p95_ms": 1.0, "p99_ms": 1.0, "ratio": 0.5, "ratio_low": 0.5, "ratio_high": 0.5}


def rows(package: ps.Package, count: int, seed: int) -> ps.Data:
    """Rows for a package with one input, labelled by itself."""
    (spec,) = package.signature.inputs
    x = np.random.default_rng(seed).normal(size=(count, int(spec.shape[1]))).astype(np.float32)
    labels = np.asarray(package.predict({spec.name: x})["label"])
    return ps.Data({spec.name: x}, labels=labels.astype(np.int64) if labels.dtype.kind in "iu" else labels)


def made(package: ps.Package, what: str, kept: Path | None, out: Path) -> ps.Package:
    """What the pass makes."""
    judged: dict[str, Any] = {"target": "onnx-cpu", "held_out": rows(package, 1200, 2)} if what == "ladder" else {}
    data = rows(package, 400 if what in ("forest", "estimator") else 200, 3)
    return ps.compress(package, PASSES[what](), data, out=out, resume=kept, **judged)


def counted(tell: Callable[[str], object]) -> None:
    """Have every step told that is made, by its kind, before it is made."""
    step, attempt, add, fitted = kept_steps.Series.step, trials.Workbench.attempt, calibration.Seen.add, distil.fitted

    def told_step(self: Any, make: Any) -> Any:
        return step(self, lambda: [tell(self.kind), make()][1])

    def told(kind: str, real: Any) -> Any:
        return lambda *held, **named: [tell(kind), real(*held, **named)][1]

    kept_steps.Series.step = told_step  # type: ignore[method-assign]
    trials.Workbench.attempt = told("rung", attempt)
    calibration.Seen.add = told("calibration", add)
    distil.fitted = told("fit", fitted)


if __name__ == "__main__":
    kept_steps.EVERY_S = 0.0
    trials._latency = as_fast
    trials.REPEATS, trials.SECONDS = 1, 0.002
    rungs.SLOWER = 1000.0  # what a machine has to do beside it decides nothing
    counted(lambda kind: print(kind, flush=True))
    package, what, kept, out = sys.argv[1:]
    print("finished", made(ps.open(Path(package)), what, Path(kept), Path(out)).digest, flush=True)
