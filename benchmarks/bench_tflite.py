"""Session.run of target tflite against the bare interpreter: what names, doors, dtypes and signatures cost on top of LiteRT.

Target: <= 1.05x, or +10 us. Both sides run in turns in one process, on the same file: the bare one through the interpreter's own
signature runner, by name as a session is called. "Tensors" is the barest there is: `set_tensor`, `invoke` and `get_tensor` by
number, which the interpreter offers for its first signature alone. Featurize is part of the file, and so of all of them.

What the door checks of a field (ranges, categories) costs the same on every target; the column without it is the engine's own.
The lowest ratio compares the fastest twentieth of the calls of each side, which other programs disturb least. The last column
runs 13 rows, which no signature holds, per row: rows cut into batches, or padded to one.

"from the wire" is `Session.predict` against the same written by hand for one model: names to codes, numbers to an array, the
signature runner, and names for what it answers.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
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
from portside.runtimes.timing import Samples, interleave, ratio, table
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
    found = [{**_signature(name, artifact, file, plan, key, rows, repeats, seconds), "odd_us_per_row": odd} for key in plan["signatures"]]
    return found + ([_wire(name, artifact, file, plan, repeats, seconds)] if name == "table" else [])


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
    opened = partial(Interpreter, model_path=str(artifact.path / file), num_threads=1)
    runner = opened().get_signature_runner(key)
    named = {slot["key"]: feeds[slot["name"]] for slot in plan["inputs"]}
    with_door, without = load(artifact), load(artifact, door=False)
    asked = {spec.name: feeds[spec.name] for spec in artifact.signature.inputs}  # a canvas is the session's own to pad
    calls: dict[str, Callable[[], object]] = {
        "bare": lambda: runner(**named), "session": lambda: with_door.run(asked), "no door": lambda: without.run(feeds),
    }  # fmt: skip
    if key == next(iter(plan["signatures"])):
        calls["tensors"] = _tensors(opened(), runner, named)
    return {"model": name, "signature": key, **_figures(interleave(calls, repeats, seconds))}


def _tensors(interpreter: Any, runner: Any, named: Mapping[str, Any]) -> Callable[[], object]:
    """The first signature, tensor by tensor."""
    inputs = [(detail["index"], named[name]) for name, detail in runner.get_input_details().items()]
    outputs = [detail["index"] for detail in runner.get_output_details().values()]
    interpreter.allocate_tensors()

    def call() -> object:
        for place, value in inputs:
            interpreter.set_tensor(place, value)
        interpreter.invoke()
        return [interpreter.get_tensor(place) for place in outputs]

    return call


def _wire(name: str, artifact: Artifact, file: str, plan: Mapping[str, Any], repeats: int, seconds: float) -> dict[str, Any]:
    """One row of a table as a caller has it: numbers, and categories by name."""
    specs = {spec.name: spec for spec in artifact.signature.inputs}
    row: dict[str, list[Any]] = {
        name: [spec.categories[1]] if spec.categories else [[12000.0, 36.0, 0.0, 1.0]] for name, spec in specs.items()
    }
    codes = {name: {value: code for code, value in enumerate(spec.categories)} for name, spec in specs.items() if spec.categories}
    inputs = [(slot["key"], slot["name"], codes.get(slot["name"])) for slot in plan["inputs"]]
    outputs = [(slot["key"], slot["name"]) for slot in plan["outputs"]]
    runner = Interpreter(model_path=str(artifact.path / file), num_threads=1).get_signature_runner("batch1")
    session = load(artifact)

    def by_hand() -> object:
        feeds = {key: np.array(row[name], np.float32) if known is None else np.array([known[text] for text in row[name]], np.int32)
                 for key, name, known in inputs}  # fmt: skip
        made = runner(**feeds)
        return {name: made[key] for key, name in outputs}

    found = interleave({"bare": by_hand, "session": lambda: session.predict(row)}, repeats, seconds)
    return {"model": name, "signature": "batch1 from the wire", **_figures(found), "odd_us_per_row": None}


def _figures(found: Mapping[str, Samples]) -> dict[str, Any]:
    middle, low, high = ratio(found["session"], found["bare"])
    medians = {call: samples.percentile_ms(50) * 1000 for call, samples in found.items()}
    added = medians["session"] - medians["bare"]
    lowest = found["session"].percentile_ms(5) / found["bare"].percentile_ms(5)
    taken = {f"{call.replace(' ', '_')}_us": medians.get(call) for call in ("tensors", "bare", "session", "no door")}
    return {**taken, "ratio": middle, "ratio_spread": [low, high], "ratio_lowest": lowest, "added_us": added,
            "held": middle <= RATIO or added <= EXTRA_US}  # fmt: skip


def _per_row(artifact: Artifact, plan: Mapping[str, Any], rows: Mapping[str, Any], repeats: int, seconds: float) -> float:
    sizes = {symbol: max(held[symbol] for held in plan["signatures"].values()) for symbol in next(iter(plan["signatures"].values()))}
    feeds = sized(plan, rows, {**sizes, plan["batch"]: ODD_ROWS})
    session = load(artifact, door=False)
    found = interleave({"odd": lambda: session.run(feeds)}, min(repeats, 3), seconds)
    return found["odd"].percentile_ms(50) * 1000 / ODD_ROWS


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    head = ["model, signature", "tensors us", "bare us", "session us", "without door us", "ratio (spread)", "lowest", "added us",
            f"<= {RATIO}x or +{EXTRA_US:.0f} us", f"us per row of {ODD_ROWS}"]  # fmt: skip
    return table([head, *map(_line, rows)])


def _line(row: dict[str, Any]) -> list[str]:
    figures = [_us(row[key]) for key in ("tensors_us", "bare_us", "session_us", "no_door_us")]
    low, high = row["ratio_spread"]
    return [f"{row['model']} {row['signature']}", *figures, f"{row['ratio']:.2f} ({low:.2f}-{high:.2f})", f"{row['ratio_lowest']:.2f}",
            f"{row['added_us']:+.1f}", "yes" if row["held"] else "no", _us(row["odd_us_per_row"])]  # fmt: skip


def _us(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.1f}"


if __name__ == "__main__":
    measured = measure()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(measured, indent=1) + "\n")
    print(show(measured))
