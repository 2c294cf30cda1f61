"""Does the age of training data matter, and what does retraining bring back? On the weather stream, whose columns move at row 12,000.

Records of rows 6,000 to 16,000, a day each, labelled; a champion that was trained on rows 0 to 2,000. First the freshness experiment:
`portside retrain --freshness` with four windows of 2,000 days, all asked the newest 2,000. Then `portside retrain` on the last 4,000 days,
so on the world after the break, with its gates. The command is a script of ten lines that fits a logistic regression.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import portside as ps
from portside.cloud.deployment.file import read
from portside.cloud.records.database import Database
from portside.cloud.records.draft import Draft
from portside.cloud.records.labelling import label
from portside.cloud.records.store import RecordStore
from portside.cloud.retraining.freshness import Freshness
from portside.cloud.retraining.freshness_plot import plot
from portside.cloud.retraining.retraining import Outcome, Retraining
from portside.sdk.core.labels import Label
from portside.sdk.core.records import Record, uuid7
from portside.sdk.core.signature import Signature

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "examples" / "zoo")]
DAY_MS, START_MS = 86_400_000, 1_000_000_000_000
TRAINED, FIRST, LAST, WINDOWS, TODAY = 2_000, 6_000, 16_000, 4, 0.2
TRAIN = '''import os
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
import portside as ps

data = ps.dataset(os.environ["PORTSIDE_DATASET"]).data("train")
x = np.asarray(data.inputs["x"], np.float64)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, data.labels)
ps.pack(model, name="rain", examples={"x": x[:500]}, licence="Apache-2.0", out=os.environ["PORTSIDE_OUT"])
'''
FILE = """name = "rain"
[champion]
package = "rain:1"
[gates]
recent_days = 4000
max_drop = 0.03
[retrain]
command = "python train.py"
on_labels = 1000
rows = { days = 4000 }
"""


def measure(short: bool = False) -> list[dict[str, Any]]:
    """Both, in a home of their own. short: a tenth of the rows."""
    before = os.environ.get("PORTSIDE_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PORTSIDE_HOME"] = str(Path(folder) / "home")
        try:
            return _measured(Path(folder), 10 if short else 1)
        finally:
            os.environ.pop("PORTSIDE_HOME")
            if before is not None:
                os.environ["PORTSIDE_HOME"] = before


def show(rows: Sequence[dict[str, Any]]) -> str:
    """A table for people."""
    lines = [f"{row['what']:<42} {row['rows']:>6} rows  accuracy {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]  {row['note']}"
             for row in rows]  # fmt: skip
    return "\n".join(lines)


def _measured(folder: Path, every: int) -> list[dict[str, Any]]:
    x, y = import_module("datasets").weather()
    _champion(x[:TRAINED], y[:TRAINED])
    places = np.arange(FIRST, LAST, every)
    _served(folder / "records.sqlite", x[places], y[places], every)
    (folder / "train.py").write_text(TRAIN)
    (folder / "deployment.toml").write_text(FILE)
    held = Retraining(read(folder / "deployment.toml"), clock=lambda: START_MS + (LAST - FIRST) * DAY_MS)
    found = held.freshness(WINDOWS, TODAY)
    if figure := os.environ.get("PORTSIDE_FIGURE"):
        Path(figure).write_text(plot(found))
    return [*_aged(found), *_retrained(held.retrain())]


def _champion(x: NDArray[np.float64], y: NDArray[np.int64]) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, y)
    ps.Store().push(ps.pack(model, name="rain", examples={"x": x[:500]}, evidence=ps.Data({"x": x}, labels=y), licence="Apache-2.0"))


def _served(place: Path, x: NDArray[np.float64], y: NDArray[np.int64], every: int) -> None:
    """Records and labels, a row a day."""
    store, empty = RecordStore(place, size=len(x)), Signature((), ())
    times = [START_MS + at * every * DAY_MS for at in range(len(x))]
    ids = [uuid7(at_ms, place.to_bytes(10, "big")) for place, at_ms in enumerate(times)]
    for at, (name, at_ms) in enumerate(zip(ids, times, strict=True)):
        store.put(Draft(Record(name, at_ms, at_ms, name="rain", package="sha256:1"), {"x": x[at : at + 1].astype(np.float32)},
                        {"label": y[at : at + 1]}, empty))  # fmt: skip
    store.close()
    with Database.open(place) as database:
        label(database, [Label(uuid7(at_ms + 1, at.to_bytes(10, "big")), name, 0, {"label": int(y[at])}, "gauge", at_ms + 1, "api")
                         for at, (name, at_ms) in enumerate(zip(ids, times, strict=True))])  # fmt: skip


def _aged(found: Freshness) -> list[dict[str, Any]]:
    rows = [_row(f"trained {point.age_days:,.0f} days before today", point.rows, point.quality,
                 f"loses {point.loss} to the newest" if point.loss else "the newest window") for point in found.points]  # fmt: skip
    return [*rows, _row("the champion", found.today, found.champion, found.verdict)]


def _retrained(done: Outcome) -> list[dict[str, Any]]:
    if done.run is None or done.gates is None:
        raise RuntimeError(f"nothing was trained: {done}")
    rows = list[dict[str, Any]]()
    for name in ("static", "recent"):
        gate = done.gates[name]  # type: ignore[index]
        for side in ("before", "after"):
            held = gate.figures["changes"]["accuracy"][side]
            rows.append({"what": f"{name} set, {'champion' if side == 'before' else 'candidate'}", "rows": gate.figures["rows"],
                         "value": held["value"], "low": held["low"], "high": held["high"], "note": gate.outcome})  # fmt: skip
    rows[-1]["note"] += f"; verdict of all gates: {done.run.verdict}"
    return rows


def _row(what: str, rows: int, held: Any, note: str) -> dict[str, Any]:
    return {"what": what, "rows": rows, "value": held.value, "low": held.low, "high": held.high, "note": note}
