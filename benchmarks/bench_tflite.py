"""Session.run of target tflite against the bare interpreter: what names, doors, dtypes and signatures cost on top of LiteRT.

Target: <= 1.05x, or +10 us. Both sides run in turns in one process, on the same file: the bare one through the interpreter's own
signature runner. What the door checks of a field (ranges, categories) costs the same on every target; the column without it is
the engine's own. The last column runs 13 rows, which no signature holds, per row: rows cut into batches, or padded to one.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

import portside as ps
from portside.runtimes.artifact import Artifact
from portside.runtimes.canvas import canvases, pad_all
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.loading import load
from portside.runtimes.samples import SAMPLES
from portside.runtimes.state import with_initial
from portside.runtimes.timing import interleave, ratio, table
from portside.sdk.core.package import Package

RATIO, EXTRA_US = 1.05, 10.0
ZOO = Path(__file__).resolve().parent.parent / "examples" / "zoo" / "packages"
CASES = [("mixed", None), ("canvas", None), ("mlp", ZOO), ("table", ZOO), ("boosting", ZOO), ("forest", ZOO), ("cnn", ZOO),
         ("efficientnet", ZOO), ("minilm", ZOO)]  # fmt: skip
"""(name, folder of packages that `examples/zoo` built, or None for a sample of the conformance suite)."""
ODD_ROWS = 13


def measure(repeats: int = 7, seconds: float = 0.3) -> list[dict[str, Any]]:
    """One row per model and signature: medians in us, their ratio with its spread over repeats, and what the session adds.

    Packages of the zoo that are not built here are left out.
    """
    found: list[dict[str, Any]] = []
    for name, folder in CASES:
        if folder is None or (folder / name).is_dir():
            with tempfile.TemporaryDirectory() as work:
                found += _model(Path(work), name, folder, repeats, seconds)
    return found


def _model(work: Path, name: str, folder: Path | None, repeats: int, seconds: float) -> list[dict[str, Any]]:
    package = SAMPLES[name]().write(work / "package") if folder is None else ps.open(folder / name)
    artifact = compile_package(package, "tflite", work / "artifact", prove=False)
    file, plan = next(iter(artifact.engine["plans"].items()))
    rows = golden(package, artifact)
    odd = _per_row(artifact, plan, rows, repeats, seconds)
    return [{**_signature(name, artifact, file, plan, key, rows, repeats, seconds), "odd_us_per_row": odd} for key in plan["signatures"]]


def golden(package: Package, artifact: Artifact) -> dict[str, Any]:
    """Inputs at the program's rim, of the first golden case: rows as they come, without those chosen for being odd."""
    values = with_initial(package.signature, artifact.contract().cases[0].inputs)
    return pad_all(canvases(package.signature), values)


def sized(plan: Mapping[str, Any], rows: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
    """Golden rows repeated or cut to these sizes."""
    feeds = {}
    for slot in plan["inputs"]:
        value = np.asarray(rows[slot["name"]])
        for axis, symbol in enumerate(slot["shape"]):
            if isinstance(symbol, str):
                value = np.take(value, np.arange(sizes[symbol]) % value.shape[axis], axis=axis)
        feeds[slot["name"]] = np.ascontiguousarray(value)
    return feeds


def _signature(name: str, artifact: Artifact, file: str, plan: Mapping[str, Any], key: str, rows: Mapping[str, Any], repeats: int,
               seconds: float) -> dict[str, Any]:  # fmt: skip
    feeds = sized(plan, rows, plan["signatures"][key])
    runner = Interpreter(model_path=str(artifact.path / file), num_threads=1).get_signature_runner(key)
    named = {slot["key"]: feeds[slot["name"]] for slot in plan["inputs"]}
    with_door, without = load(artifact), load(artifact, door=False)
    asked = {spec.name: feeds[spec.name] for spec in artifact.signature.inputs}  # a canvas is the session's own to pad
    calls: dict[str, Callable[[], object]] = {
        "bare": lambda: runner(**named), "session": lambda: with_door.run(asked), "no door": lambda: without.run(feeds),
    }  # fmt: skip
    found = interleave(calls, repeats, seconds)
    middle, low, high = ratio(found["session"], found["bare"])
    medians = {call: samples.percentile_ms(50) * 1000 for call, samples in found.items()}
    added = medians["session"] - medians["bare"]
    return {"model": name, "signature": key, "bare_us": medians["bare"], "session_us": medians["session"], "no_door_us": medians["no door"],
            "ratio": middle, "ratio_spread": [low, high], "added_us": added, "held": middle <= RATIO or added <= EXTRA_US}  # fmt: skip


def _per_row(artifact: Artifact, plan: Mapping[str, Any], rows: Mapping[str, Any], repeats: int, seconds: float) -> float:
    sizes = {symbol: max(held[symbol] for held in plan["signatures"].values()) for symbol in next(iter(plan["signatures"].values()))}
    feeds = sized(plan, rows, {**sizes, plan["batch"]: ODD_ROWS})
    session = load(artifact, door=False)
    found = interleave({"odd": lambda: session.run(feeds)}, min(repeats, 3), seconds)
    return found["odd"].percentile_ms(50) * 1000 / ODD_ROWS


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    head = ["model, signature", "bare us", "session us", "without door us", "ratio (spread)", "added us",
            f"<= {RATIO}x or +{EXTRA_US:.0f} us", f"us per row of {ODD_ROWS}"]  # fmt: skip
    return table([head, *map(_line, rows)])


def _line(row: dict[str, Any]) -> list[str]:
    figures = [f"{row[key]:.1f}" for key in ("bare_us", "session_us", "no_door_us")]
    low, high = row["ratio_spread"]
    return [f"{row['model']} {row['signature']}", *figures, f"{row['ratio']:.2f} ({low:.2f}-{high:.2f})", f"{row['added_us']:+.1f}",
            "yes" if row["held"] else "no", f"{row['odd_us_per_row']:.1f}"]  # fmt: skip


if __name__ == "__main__":
    measured = measure()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(measured, indent=1) + "\n")
    print(show(measured))
