# pyright: reportMissingImports=false
"""frouros' detectors on prepared streams; run by the Python of an environment of its own, for it does not stand numpy 2.

    PYTHON benchmarks/streams/frouros_runner.py JOB.json

JOB.json: {"streams": {name: NPZ of "numbers" (rows, fields) and "wrong" (rows,)}, "early": {name: rows}, "looks": N, "rows": N, "rate": P,
"out": FILE}. Writes OUT: a list of {"stream", "on", "detector", "alarms": rows}. Nothing of Portside is imported here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from frouros.detectors import concept_drift as concept
from frouros.detectors.data_drift import IncrementalKSTest

FEW = 30_000
"""Tests that look at every row are tried on so many rows at the most."""


def main() -> None:
    """Carry out the job."""
    job = json.loads(Path(sys.argv[1]).read_text())
    rows: list[dict[str, Any]] = []
    for name, file in job["streams"].items():
        held, early = np.load(file), job["early"][name]
        numbers, wrong = held["numbers"], held["wrong"].astype(float)
        for detector, alarms in on_errors(wrong, early).items():
            rows.append({"stream": name, "on": "errors", "detector": f"frouros {detector}", "alarms": alarms})
        if len(numbers) <= FEW:
            level = job["rate"] / (job["looks"] * job["rows"]) / numbers.shape[1]
            for detector, alpha in (("KS window", 0.01), ("KS window, corrected", level)):
                alarms = on_numbers(numbers, early, alpha)
                rows.append({"stream": name, "on": "inputs", "detector": f"frouros {detector}", "alarms": alarms})
        Path(job["out"]).write_text(json.dumps(rows))


def on_errors(wrong: np.ndarray, early: int) -> dict[str, list[int]]:
    """Alarms of each detector of a rising error, which begins anew after each."""
    makers = {"ADWIN": (concept.ADWIN, concept.ADWINConfig), "DDM": (concept.DDM, concept.DDMConfig),
              "HDDM-A": (concept.HDDMA, concept.HDDMAConfig), "Page-Hinkley": (concept.PageHinkley, concept.PageHinkleyConfig)}  # fmt: skip
    found: dict[str, list[int]] = {}
    for name, (detector, config) in makers.items():
        state, alarms = detector(config=config()), []
        for place, value in enumerate(wrong.tolist(), 1):
            state.update(value=value)
            if state.status["drift"]:
                alarms += [place] if place > early else []
                state.reset()
        found[name] = alarms
    return found


def on_numbers(numbers: np.ndarray, early: int, alpha: float, window: int = 50) -> list[int]:
    """Rows at which the Kolmogorov-Smirnov test of the last `window` rows against the early ones is below alpha for any field."""
    alarms: set[int] = set()
    for field in range(numbers.shape[1]):
        detector = IncrementalKSTest(window_size=window)
        detector.fit(X=numbers[:early, field])
        for place, value in enumerate(numbers[early:, field].tolist(), early + 1):
            result, _ = detector.update(value=value)
            if result is not None and result.p_value <= alpha:
                alarms.add(place)
    return sorted(alarms)


if __name__ == "__main__":
    main()
