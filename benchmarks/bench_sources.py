"""Both ways to TFLite, package by package: from the program that torch traced, and from the ONNX graph imported back.

Every artifact is held against its contract by the real interpreter. Packages of the zoo are read from examples/zoo/packages, which
`portside verify examples/zoo` builds; those that are not there are left out, and so is a way that a package does not have.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import portside as ps
from portside.runtimes.report import TargetReport
from portside.runtimes.timing import table

ZOO = Path(__file__).resolve().parent.parent / "examples" / "zoo" / "packages"
SOURCES = ("pt2", "onnx")


def measure() -> list[dict[str, Any]]:
    """One row per package and way."""
    packages = [ps.open(manifest.parent) for manifest in sorted(ZOO.glob("*/manifest.json"))]
    return [row for package in packages for source in SOURCES if (row := _way(package, source))]


def _way(package: ps.Package, source: str) -> dict[str, Any] | None:
    print(f"{package.name} from {source} ...", file=sys.stderr)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            artifact = ps.compile(package, "tflite", Path(folder) / "artifact", prove=False, source=source)
        except ps.errors.UnsupportedError as error:
            return {"package": package.name, "source": source, "refused": str(error)}
        took = time.monotonic() - started
        (found,) = ps.verify(artifact, package=package, measured=True).targets
    return {"package": package.name, "source": source, "compile_s": took, **_figures(found)}


def _figures(found: TargetReport) -> dict[str, Any]:
    parity = found.parity
    return {
        "verdict": found.verdict, "rows": parity.rows, "firm_flips": parity.firm.count if parity.firm else None,
        "largest": parity.difference.largest if parity.difference else None, "size_bytes": found.size_bytes,
        "p50_ms": found.timings.p50_ms if found.timings else None,
    }  # fmt: skip


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    head = ["package", "from", "verdict", "rows", "firm flips", "largest", "MB", "p50 ms", "compile s"]
    return table([head, *map(_line, rows)])


def _line(row: dict[str, Any]) -> list[str]:
    if "refused" in row:
        return [row["package"], row["source"], f"none: {row['refused'].split(';')[0][:60]}", *[""] * 6]
    flips = "" if row["firm_flips"] is None else str(row["firm_flips"])
    largest = "" if row["largest"] is None else f"{row['largest']:.1e}"
    speed = "" if row["p50_ms"] is None else f"{row['p50_ms']:.3f}"
    return [row["package"], row["source"], row["verdict"], str(row["rows"]), flips, largest, f"{row['size_bytes'] / 1e6:.2f}", speed,
            f"{row['compile_s']:.1f}"]  # fmt: skip


if __name__ == "__main__":
    found = measure()
    print(show(found))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(found, indent=2))
