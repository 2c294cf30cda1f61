"""Rollouts: false promotions and rollbacks while one looks all the time, and what a proof costs, beside z-tests and the package ville.

    python benchmarks/bench_rollout.py [limits] [runs] [counting] [--short] [--units N] [--rollouts N] [--bets N]
                                       [--work DIR] [--plot FILE] [--json FILE]

"limits" asks one question of two arms: is the challenger's rate of bad answers less than the limit above the champion's? "runs" are whole
rollouts, decided by the engine; "counting" is how many answers a second a controller can follow. Everything is made up, so that the truth
is known; seeds are fixed. ville lives in an environment of its own under --work, made by this benchmark; where it cannot be made, its rows
are left out and that is said. Exit code 1 when an aim is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_precision import kept
from rollout_worlds.counting import counting
from rollout_worlds.limits import ALPHA, limits
from rollout_worlds.plot import plot
from rollout_worlds.runs import POLICY, runs

from portside.runtimes.timing import table

WORK = Path(tempfile.gettempdir()) / "portside-rollout"
PARTS = ("limits", "runs", "counting")
ANSWERS = 20_000
"""Of each world of "counting"."""


def measure(short: bool = False, parts: Sequence[str] = (), file: Path | None = None, units: int = 2_000, rollouts: int = 600,
            bets: int = 100, work: Path = WORK) -> list[dict[str, Any]]:  # fmt: skip
    """One row per made-up world and way of judging."""
    units, rollouts, bets = (100, 10, 4) if short else (units, rollouts, bets)
    work.mkdir(parents=True, exist_ok=True)
    makers = {"limits": lambda: limits(units, bets, work), "runs": lambda: runs(rollouts),
              "counting": lambda: counting(ANSWERS // 10 if short else ANSWERS)}  # fmt: skip
    return kept((row for part in parts or PARTS for row in makers[part]()), file)


def aims(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, str, bool]]:
    """(aim, asked, found, met). A rate that is to be at most so much is refuted only by its whole interval."""
    found: list[tuple[str, str, str, bool]] = []
    for row in (one for one in rows if one["way"] == "portside" and one["part"] != "counting"):
        world = row["world"]
        if row["part"] == "limits":
            found += [_at_most(f"{world}: called proven", row["proven"], ALPHA)] if world.endswith("at the limit") else []
            continue
        reached, good = "just reached" in world, world == "the same" or "better" in world
        found += [_at_most(f"{world}: promoted all the same", row["promoted"], POLICY.alpha)] if reached else []
        found += [_at_most(f"{world}: rolled back all the same", row["back"], POLICY.alpha)] if reached or good else []
        found += [_at_least(f"{world}: promoted", row["promoted"], 0.8)] if good else []
        found += [] if reached or good else [_at_least(f"{world}: rolled back", row["back"], 0.95)]
        if "slice" in world:
            named = sum(many for name, many in row["named"].items() if "line=d" in name)
            found.append((f"{world}: named", "every time", f"{named} of {row['runs']}", named >= 0.95 * row["runs"]))
    return found


def _at_most(aim: str, held: dict[str, Any], most: float) -> tuple[str, str, str, bool]:
    return aim, f"<= {most:.0%}", _rate(held), held["low"] <= most


def _at_least(aim: str, held: dict[str, Any], least: float) -> tuple[str, str, str, bool]:
    return aim, f">= {least:.0%}", _rate(held), held["high"] >= least


def show(rows: Sequence[dict[str, Any]]) -> str:
    """Tables, and what was aimed at."""
    parts: list[str] = []
    if held := [row for row in rows if row["part"] == "limits"]:
        head = ["world", "way", "runs", "called proven", "(95%)", "at the horizon", "of so many", "units, half", "units, 80%"]
        parts.append(table([head, *map(_limit_line, held)]))
    if held := [row for row in rows if row["part"] == "runs"]:
        head = ["world", "way", "runs", "promoted", "(95%)", "rolled back", "(95%)", "units", "challenger's", "named"]
        parts.append(table([head, *map(_run_line, held)]))
    if held := [row for row in rows if row["part"] == "counting"]:
        head = ["world", "answers", "units", "looks", "answers/s of processor time", "answers/s"]
        parts.append(table([head, *map(_count_line, held)]))
    judged = [[aim, asked, got, "met" if met else "MISSED"] for aim, asked, got, met in aims(rows)]
    parts += [table([["aim", "asked", "found", ""], *judged])] if judged else []
    return "\n\n".join(parts)


def _rate(held: dict[str, Any]) -> str:
    return f"{held['value']:.1%} ({held['low']:.1%}-{held['high']:.1%})"


def _limit_line(row: dict[str, Any]) -> list[str]:
    half, most = (f"{row[name]:,.0f}" if row[name] else "" for name in ("median", "four_fifths"))
    at = [f"{row['at_horizon']:.0%}", f"{row['horizon']:,}"]
    return [row["world"], row["way"], str(row["runs"]), *_rate(row["proven"]).split(), *at, half, most]


def _run_line(row: dict[str, Any]) -> list[str]:
    named = ", ".join(f"{name} {many}x" for name, many in row["named"].items())
    rates = [*_rate(row["promoted"]).split(), *_rate(row["back"]).split()]
    return [row["world"], row["way"], str(row["runs"]), *rates, f"{row['units']:,.0f}", f"{row['given']:,.0f}", named[:60]]


def _count_line(row: dict[str, Any]) -> list[str]:
    rates = [f"{row['answers'] / row[name]:,.0f}" for name in ("cpu_s", "wall_s")]
    return [row["world"], f"{row['answers']:,}", f"{row['units']:,}", str(row["looks"]), *rates]


def main() -> int:
    """By itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--short", action="store_true", help="a twentieth of the runs")
    parser.add_argument("--units", type=int, default=2_000, help="runs of each world of 'limits'")
    parser.add_argument("--rollouts", type=int, default=600, help="runs of each world of 'runs'")
    parser.add_argument("--bets", type=int, default=100, help="runs of ville's betting test, which take seconds each")
    parser.add_argument("--work", type=Path, default=WORK, help="where environments are made")
    parser.add_argument("--plot", type=Path, help="where the plot goes; docs/rollout-statistics.svg is the one of the docs")
    parser.add_argument("--json", type=Path, help="where the rows go")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"there is no part {sorted(unknown)[0]!r}; there are {', '.join(PARTS)}")
    rows = measure(asked.short, asked.parts, asked.json, asked.units, asked.rollouts, asked.bets, asked.work)
    print(show(rows))
    if asked.plot and any(row["part"] == "limits" for row in rows):
        asked.plot.write_text(plot([row for row in rows if row["part"] == "limits"]))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0 if all(met for *_, met in aims(rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
