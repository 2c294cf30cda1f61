"""A device's agent in process against the bare interpreter: what choosing who answers, receipts and counting cost on top of LiteRT.

    python benchmarks/run.py agent [--short] [--json FILE]

Target: <= 1.05x. Both sides run in turns in one process, on the same file and one row; answers are counted for summaries meanwhile, by the
agent's other thread. What is added is about the same for every model, so that the ratio says how large a model has to be. Packages of the
zoo that are not built here, or that decode what callers send, are left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter
from bench_tflite import ZOO, golden, sized

import portside as ps
from portside.edge.agent import Agent
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.samples import SAMPLES, slow
from portside.runtimes.timing import interleave, ratio, table
from portside.sdk.core.package import Package

RATIO = 1.05
CASES: dict[str, Callable[[Path], Package | None]] = {
    "a tiny one": lambda work: SAMPLES["mixed"]().write(work / "package"),
    "250 small layers": lambda work: slow(250).write(work / "package"),
    "small convolutions": lambda work: _zoo("cnn"),
    "EfficientNet": lambda work: _zoo("efficientnet"),
}


def measure(short: bool = False) -> list[dict[str, Any]]:
    """One row per model: medians in us of the bare call and of the agent's, their ratio with its spread, and what the agent adds."""
    repeats, seconds = (3, 0.2) if short else (9, 1.0)
    found = list[dict[str, Any]]()
    for name, package in CASES.items():
        with tempfile.TemporaryDirectory() as work:
            held = package(Path(work))
            if held is not None:
                found.append({"model": name, **_model(Path(work), held, repeats, seconds)})
    return found


def _zoo(name: str) -> Package | None:
    """A package that `examples/zoo` built, where it takes typed tensors."""
    package = ps.open(ZOO / name) if (ZOO / name).is_dir() else None
    return package if package is not None and not package.content.codec else None


def _model(work: Path, package: Package, repeats: int, seconds: float) -> dict[str, Any]:
    artifact = compile_package(package, "tflite", work / "artifact", prove=False)
    file, plan = next(iter(artifact.engine["plans"].items()))
    one = next(key for key, sizes in plan["signatures"].items() if set(sizes.values()) == {1})
    feeds = sized(plan, golden(package, artifact), plan["signatures"][one])
    runner = Interpreter(model_path=str(artifact.path / file), num_threads=1).get_signature_runner(one)
    named = {slot["key"]: feeds[slot["name"]] for slot in plan["inputs"]}
    asked = {spec.name: feeds[spec.name] for spec in artifact.signature.inputs}
    toml = work / "agent.toml"
    toml.write_text(f'name = "bench"\ndevice = "bench-1"\nfolder = "state"\n[[failover.chain]]\nartifact = "{artifact.path}"\n')
    with Agent(toml, background=False) as agent:
        found = interleave({"bare": lambda: runner(**named), "agent": lambda: agent.predict(asked)}, repeats, seconds)
    middle, low, high = ratio(found["agent"], found["bare"])
    bare, ours = (found[side].percentile_ms(50) * 1000 for side in ("bare", "agent"))
    return {"bare_us": bare, "agent_us": ours, "ratio": middle, "ratio_spread": [low, high], "added_us": ours - bare}


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    head = ["model", "bare us", "agent us", "ratio (spread)", "added us", f"<= {RATIO}x"]
    return table([head, *([row["model"], f"{row['bare_us']:.0f}", f"{row['agent_us']:.0f}",
                           f"{row['ratio']:.3f} ({row['ratio_spread'][0]:.3f}-{row['ratio_spread'][1]:.3f})", f"{row['added_us']:+.0f}",
                           "yes" if row["ratio"] <= RATIO else "no"] for row in rows)])  # fmt: skip
