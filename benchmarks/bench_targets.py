"""Fronts of three small networks on every target: what `ps.search` finds in a minute, judged on rows that no trial has seen.

The Fashion-MNIST network and two tabular ones (weather; loans with categories and missing values), on onnx-cpu, tflite and wasm; three
seeds divide the rows anew and draw the search's proposals. Latency is interleaved with the float artifact's; the loss is the drop of the
package's own metric with a paired 95% interval.

    python benchmarks/bench_targets.py [--short] [--minutes M] [--targets ...] [--seeds ...] [--plot FILE] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import subjects
from bench_precision import SEEDS, kept, row_of
from marks import dot, steps, text

import portside as ps
from portside.compress.trials import Workbench
from portside.runtimes.timing import table

MODELS = {"cnn": subjects.cnn, "mlp": subjects.mlp, "table": subjects.table}
TARGETS = ("onnx-cpu", "tflite", "wasm")
MINUTES = 1.0
PLOT = Path(__file__).resolve().parent.parent / "docs" / "precision-targets.svg"


def measure(short: bool = False, minutes: float = MINUTES, file: Path | None = None, targets: Sequence[str] = TARGETS,
            seeds: Sequence[int] = SEEDS) -> list[dict[str, Any]]:  # fmt: skip
    """One row per point of a front; `short`: the first seed alone."""
    return kept((row for name in MODELS for target in targets for seed in seeds[: 1 if short else None]
                 for row in _found(name, target, seed, minutes)), file)  # fmt: skip


def _found(name: str, target: str, seed: int, minutes: float) -> Iterator[dict[str, Any]]:
    subject = MODELS[name](seed)
    front = ps.search(subject.package, target, data=subject.choose, calibration=subject.learn, minutes=minutes, seed=seed)
    about = {"model": name, "target": target, "seed": seed, "minutes": minutes, "trials": len(front.trials),
             "failed": sum(not trial.passed for trial in front.trials), "ended": front.ended}  # fmt: skip
    with closing(Workbench(subject.package, target, subject.held, subject.learn, seed=seed)) as bench:
        for trial in front.points:
            yield {**about, "best": trial == front.best_trial, "chosen_on": row_of(trial), **row_of(bench.attempt(trial.settings))}


def show(rows: list[dict[str, Any]]) -> str:
    """Points of the fronts, as judged on unseen rows; `>` marks what the search calls best."""
    head = ["model", "target", "seed", "trials", "settings", "latency", "(spread)", "bytes", "loss", "(95%)", "flips", "verdict"]
    return table([head, *map(_line, rows)])


def _line(row: dict[str, Any]) -> list[str]:
    settings = f"{'> ' if row['best'] else ''}{row['settings']}"
    about = [row["model"], row["target"], str(row["seed"]), f"{row['trials']}, {row['failed']} failed", settings]
    figures, change = row["figures"], row["change"]
    if not figures:
        return [*about, "", "", "", "; ".join(row["reasons"])[:60], "", "", row["verdict"]]
    cost = [f"{figures['ratio']:.2f}x", f"({figures['ratio_low']:.2f}-{figures['ratio_high']:.2f})", f"{figures['size_ratio']:.3f}x"]
    drop = change["drop"] if change else None
    loss = [f"{row['metric']} {drop['value']:+.4f}", f"({drop['low']:+.4f} to {drop['high']:+.4f})"] if drop else ["", ""]
    return [*about, *cost, *loss, "" if row["flips"] is None else f"{row['flips']:.2%}", row["verdict"]]


COLOURS = ("#0072b2", "#e69f00", "#009e73")
WIDE, HIGH, ACROSS = 250, 170, (0.25, 1.75)
"""Of one panel, in pixels; latency ratios at its sides."""


def plot(rows: Sequence[dict[str, Any]]) -> str:
    """A panel per model and target: latency across, loss upwards, bytes as area, a colour per seed; reads on light and dark."""
    names = list(dict.fromkeys(row["model"] for row in rows))
    panels = [_panel([row for row in rows if (row["model"], row["target"]) == (name, target) and row["figures"]], name, target, x, y)
              for y, name in enumerate(names) for x, target in enumerate(TARGETS)]  # fmt: skip
    box = f"0 0 {len(TARGETS) * WIDE + 20} {len(names) * HIGH + 30}"
    said = "latency of one row, float = 1; upwards: loss in points; area: bytes; colour: seed"
    legend = text(len(TARGETS) * WIDE / 2, len(names) * HIGH + 22, said)
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='{box}' role='img' aria-label='fronts of three networks on three targets'>"
    return f"{head}<style>text{{font:12px sans-serif}}</style>{''.join(panels)}{legend}</svg>\n"


def _panel(rows: Sequence[dict[str, Any]], name: str, target: str, column: int, line: int) -> str:
    left, top = column * WIDE + 46, line * HIGH + 24
    wide, high = WIDE - 60, HIGH - 62
    losses = [100 * (row["change"]["drop"]["value"] if row["change"] else row["flips"] or 0.0) for row in rows]
    least, most = min([-0.2, *losses]), max([0.5, *losses])

    def x(value: float) -> float:
        return left + (min(max(value, ACROSS[0]), ACROSS[1]) - ACROSS[0]) / (ACROSS[1] - ACROSS[0]) * wide

    def y(value: float) -> float:
        return top + high - (value - least) / (most - least) * high

    marks = [f"<rect x='{left}' y='{top}' width='{wide}' height='{high}' fill='none' stroke='#8886'/>",
             f"<path d='M{x(1):.0f} {top}v{high}M{left} {y(0):.0f}h{wide}' stroke='#888' stroke-dasharray='3 3' fill='none'/>",
             text(left + wide / 2, top - 7, f"{name} on {target}")]  # fmt: skip
    marks += [text(x(at), top + high + 15, f"{at:g}") for at in (0.5, 1.0, 1.5)]
    marks += [text(left - 5, y(at) + 4, f"{at:+.1f}", "end") for at in (least, most)]
    for place, seed in enumerate(sorted({row["seed"] for row in rows})):
        own = [(row["figures"]["ratio"], loss, row) for row, loss in zip(rows, losses, strict=True) if row["seed"] == seed]
        marks.append(steps([(x(a), y(b)) for a, b, _ in sorted(own, key=lambda held: held[0])], COLOURS[place % 3]))
        marks += [dot(x(a), y(b), 2 + 7 * row["figures"]["size_ratio"] ** 0.5, COLOURS[place % 3],
                      f"{row['settings']}, seed {seed}: {a:.2f}x, {row['figures']['size_ratio']:.2f}x bytes, {b:+.2f} points")
                  for a, b, row in own]  # fmt: skip
    return "".join(marks)


def main() -> None:
    """By itself, with a choice of how long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one seed")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"of each search; default: {MINUTES:g}")
    parser.add_argument("--targets", nargs="*", choices=TARGETS, default=TARGETS, help="default: all")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS, help="divisions")
    parser.add_argument("--plot", type=Path, help=f"where the plot goes; {PLOT} is the one of the docs")
    parser.add_argument("--json", type=Path, help="where the rows go")
    asked = parser.parse_args()
    rows = measure(asked.short, asked.minutes, asked.json, asked.targets, asked.seeds)
    print(show(rows))
    if asked.plot:
        asked.plot.write_text(plot(rows))


if __name__ == "__main__":
    sys.exit(main())
