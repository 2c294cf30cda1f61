"""`make bench`: every measurement as a table, as dated JSON under benchmarks/results/, and as a plot beside it where a benchmark draws one.

python benchmarks/run.py [startup] [session] [binding] [pipeline] [failover] [tflite] [sources] [web] [precision]
                         [targets] [fronts] [forests] [qat] [distil] [prune] [structures] [student] [serving] [batching] [tensors]
                         [records] [monitor] [automation] [monitoring] [updates] [outbox] [dashboard] [footprint] [freshness]
                         [shadow] [tensorrt] [rollout] [aarch64] [agent] [instructions]
                         [--short] [--json FILE]
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from datetime import UTC, datetime
from inspect import signature
from pathlib import Path
from typing import Any

from portside.runtimes.hardware import built_on, cores
from portside.sdk.provenance import git_state

HERE = Path(__file__).resolve().parent
BENCHMARKS = {
    "startup": "bench_startup", "session": "bench_session", "binding": "bench_binding", "pipeline": "bench_pipeline",
    "failover": "bench_failover", "tflite": "bench_tflite", "sources": "bench_sources",
    "web": "bench_web", "precision": "bench_precision", "targets": "bench_targets", "fronts": "bench_fronts",
    "forests": "bench_forests", "qat": "bench_qat", "distil": "bench_distil", "prune": "bench_prune", "structures": "bench_structures",
    "student": "bench_student", "serving": "bench_serving", "batching": "bench_batching", "tensors": "bench_tensors",
    "records": "bench_records", "monitor": "bench_monitor", "automation": "bench_automation", "monitoring": "bench_monitoring",
    "updates": "bench_updates", "outbox": "bench_outbox", "dashboard": "bench_dashboard", "footprint": "bench_footprint",
    "rollout": "bench_rollout",
    "shadow": "bench_shadow", "freshness": "bench_freshness", "tensorrt": "bench_tensorrt",
    "aarch64": "bench_aarch64", "agent": "bench_agent", "instructions": "bench_instructions",
}  # fmt: skip


def main() -> None:
    """Run what was asked for, or everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--json", type=Path, help="where the figures go; default: benchmarks/results/DATE.json")
    parser.add_argument("--short", action="store_true", help="few rows and one seed, where a benchmark has such a form")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.names) - set(BENCHMARKS)):
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    path = chosen.json or HERE / "results" / f"{datetime.now(UTC):%Y-%m-%d-%H%M}.json"
    results: dict[str, list[dict[str, Any]]] = {}
    missing: list[str] = []
    for name in chosen.names or BENCHMARKS:  # saved after each: all of them take hours
        try:
            results[name] = run(name, chosen.short)
            save(results, path)
            draw(name, results[name], path)
        except FileNotFoundError as error:  # data that is not installed: the others are worth having
            missing.append(f"{name} was left out: {error}")
    print(f"\nwritten to {path}" if results else "\nnothing was measured")
    sys.exit("\n".join(missing) or None)


def run(name: str, short: bool = False) -> list[dict[str, Any]]:
    """Measure and print one benchmark, in its short form where it has one."""
    module = importlib.import_module(BENCHMARKS[name])
    print(f"\n{(module.__doc__ or name).splitlines()[0]}", file=sys.stderr)
    rows = module.measure(short=True) if short and "short" in signature(module.measure).parameters else module.measure()
    print(f"\n{name}\n{module.show(rows)}")
    return rows


def draw(name: str, rows: list[dict[str, Any]], path: Path) -> Path | None:
    """The plot of a benchmark that draws its rows itself, as SVG beside the JSON file; None for the others."""
    module = importlib.import_module(BENCHMARKS[name])
    made = getattr(module, "plot", None)
    if made is None or made.__module__ != module.__name__:  # one that takes other things than rows
        return None
    file = path.with_name(f"{path.stem}-{name}.svg")
    file.write_text(made(rows))
    return file


def save(results: dict[str, list[dict[str, Any]]], path: Path) -> Path:
    """Figures with when, at which commit and on what they were taken; no machine is named."""
    machine = {**built_on("onnxruntime", "onnx", "torch", "ai-edge-litert", "litert-torch"), "cores": cores()}
    path.parent.mkdir(parents=True, exist_ok=True)
    taken = datetime.now(UTC).isoformat(timespec="seconds")
    path.write_text(json.dumps({"taken": taken, "commit": git_state(HERE), "on": machine, "results": results}, indent=2) + "\n")
    return path


if __name__ == "__main__":
    main()
