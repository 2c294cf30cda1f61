"""`portside automation`: fit thresholds to labelled records, show where the dial stands and whether it holds, explain one answer."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...cloud.automating.costs import Costs, price
from ...cloud.automating.explaining import explain
from ...cloud.automating.fitting import Point, Threshold
from ...cloud.automating.gathering import Gathered
from ...cloud.automating.judging import Promise, Watch, fit_all
from ...cloud.automating.plot import plot
from ...cloud.automating.setting import Setting, setting_of
from ...cloud.automating.thresholds import Fitted, write_thresholds
from ..core.errors import InputError
from .console import Exit, Result, fields, table
from .moments import moment_ms, shown_ms

EXAMPLE = """
  portside automation fit deployment.toml                       thresholds for its target_error, written beside it
  portside automation fit deployment.toml --target-error 0.01 --dry-run --plot curve.svg
  portside automation show deployment.toml                      where the dial stands, and whether it still holds
  portside automation explain deployment.toml 0190d1...         who decided the rows of this record, and why

  fit ends with 4 where the labels are too few to tell, with 1 where the target is out of reach at every threshold.
  show ends with 1 where checks prove that the model is wrong more often than the target.
"""
LINES = 12
"""Points of a curve that are printed."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, of which deployment."""
    parser.add_argument("action", choices=("fit", "show", "explain"))
    parser.add_argument("deployment", type=Path, metavar="DEPLOYMENT.toml")
    parser.add_argument("record", nargs="?", metavar="RECORD", help="explain: its id")
    parser.add_argument("--target-error", type=float, metavar="RATE", help="fit: in place of the deployment's")
    parser.add_argument("--delta", type=float, help="fit: chance with which the bound may fail (default: the deployment's)")
    parser.add_argument("--people-error", type=float, metavar="RATE", help="fit: how often labels are wrong (default: the deployment's)")
    parser.add_argument("--since", metavar="TIME", help="only records of this time on: 7d, 2h, 2026-05-01")
    parser.add_argument("--every-label", action="store_true",
                        help="count labels that no review gave too: they come for every row, or for rows drawn alike")  # fmt: skip
    parser.add_argument("--review-s", type=float, default=10.0, metavar="S", help="seconds a person needs for a row (default: 10)")
    parser.add_argument("--hour-cost", type=float, default=0.0, metavar="MONEY", help="of a person")
    parser.add_argument("--error-cost", type=float, default=0.0, metavar="MONEY", help="of a wrong answer")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="fit: draw the trade-off")
    parser.add_argument("--dry-run", action="store_true", help="fit: write no thresholds")


def run(args: argparse.Namespace) -> Result:
    """Raises FormatError, InputError, StoreError."""
    if (args.action == "explain") != (args.record is not None):
        raise InputError("explain is of one record", field="record", got=args.record, expected="portside automation explain FILE RECORD")
    setting = setting_of(args.deployment, anew=args.action == "fit")
    if args.action == "explain":
        told = explain(setting, args.record)
        return Result(told, "\n\n".join(fields({**told["record"], **row}) for row in told["rows"]))
    return _fit(args, setting) if args.action == "fit" else _show(args, setting)


def _fit(args: argparse.Namespace, setting: Setting) -> Result:
    promise, found = _promise(args, setting), _gathered(args, setting)
    slices = fit_all(found, tuple(held.name for held in setting.plan.slices), promise)
    fitted = Fitted(setting.name, setting.package, str(setting.plan.score), setting.plan.output, time.time_ns() // 1_000_000, slices,
                    dict(found.left_out))  # fmt: skip
    if not args.dry_run:
        write_thresholds(setting.path, fitted)
    costs, share = _costs(args, promise), setting.plan.dial.check_share
    if args.plot:
        args.plot.write_text(plot(slices[""], costs, share), encoding="utf-8")
    data = {**fitted.to_dict(), "written": None if args.dry_run else str(setting.path), "waiting": found.waiting,
            "prices": {name: _prices(held, costs, share) for name, held in slices.items()}}  # fmt: skip
    parts = [_text(name, held, costs, share) for name, held in slices.items()]
    return Result(data, "\n\n".join([*parts, _notes(found, None if args.dry_run else setting.path)]), code(list(slices.values())))


def _show(args: argparse.Namespace, setting: Setting) -> Result:
    plan, settings = setting.plan, setting.settings
    since = 0 if plan.fitted is None else plan.fitted.fitted_ms
    seen = {} if settings.target_error is None else setting.watched(_gathered(args, setting), since)
    rows = [_dial_line(name, setting, seen.get(name)) for name, _, _ in settings.dials()]
    head = ["slice", "level", "threshold", "checks drawn", "meanwhile", "wrong since", "at most", "checks", "verdict"]
    lines = {"deployment": setting.name, "decides": plan.output, "score": str(plan.score), "target": settings.target_error,
             "fitted": None if plan.fitted is None else f"{shown_ms(since)} UTC"}  # fmt: skip
    data = {**lines, "slices": {name: _dial_data(name, setting, seen.get(name)) for name, _, _ in settings.dials()}}
    breached = any(held.verdict == "breached" for held in seen.values())
    return Result(data, f"{fields(lines)}\n\n{table(rows, head)}", Exit.NO if breached else Exit.DONE)


def code(found: Sequence[Threshold]) -> Exit:
    """1: out of reach somewhere; 4: not enough data somewhere; else 0."""
    verdicts = {held.verdict for held in found}
    return Exit.NO if "out of reach" in verdicts else Exit.NOT_ENOUGH_DATA if "not enough data" in verdicts else Exit.DONE


def _promise(args: argparse.Namespace, setting: Setting) -> Promise:
    held = setting.settings
    target = args.target_error if args.target_error is not None else held.target_error
    if target is None:
        raise InputError("Nothing says how often the model may be wrong", field="target_error",
                         fix="Say target_error under [automation], or give --target-error.")  # fmt: skip
    return Promise(target, held.delta if args.delta is None else args.delta,
                   held.people_error if args.people_error is None else args.people_error)  # fmt: skip


def _gathered(args: argparse.Namespace, setting: Setting) -> Gathered:
    return setting.gathered(moment_ms(args.since) if args.since else 0, args.every_label)


def _costs(args: argparse.Namespace, promise: Promise) -> Costs:
    return Costs(args.review_s, args.hour_cost, args.error_cost, promise.people_error)


def _prices(found: Threshold, costs: Costs, share: float) -> list[dict[str, Any]]:
    return [vars(price(point, costs, share)) for point in found.curve]


def _text(name: str, found: Threshold, costs: Costs, share: float) -> str:
    """Verdict and curve of one slice."""
    title = f"{name}: " if name else ""
    head = ["threshold", "automated", "wrong, of those", "at most", "labelled", "h per 1,000", "wrong per 1,000", "cost", ""]
    points = [point for point in _few(found) if point.rows]
    rows = [_line(point, found, costs, share) for point in points]
    return f"{title}{found.verdict}: {found.why}" + (f"\n{table(rows, head)}" if rows else "")


def _few(found: Threshold) -> list[Point]:
    """Points at about equal steps of what they automate, and the one that was chosen."""
    chosen = list[Point]()
    for point in found.curve:
        last = chosen[-1].share if chosen else 0.0
        at = found.at is not None and point.threshold == found.at.threshold
        if at or point.share - last >= 1 / LINES or point is found.curve[-1]:
            chosen.append(point)
    return chosen


def _line(point: Point, found: Threshold, costs: Costs, share: float) -> list[str]:
    at, cost = found.at is not None and point.threshold == found.at.threshold, price(point, costs, share)
    return [f"{point.threshold:.4g}", f"{point.share:.1%}", f"{point.error:.2%}", f"{point.upper:.2%}", str(point.rows),
            f"{cost.person_hours:.2f}", f"{cost.wrong:.1f}", f"{cost.money:.2f}", "<- fitted" if at else ""]  # fmt: skip


def _notes(found: Gathered, written: Path | None) -> str:
    lines = [f"{count} labels were left out: {why}" for why, count in found.left_out.items() if count]
    if found.waiting:
        lines.append(f"{found.waiting} rows that were chosen for a person have no label yet")
    lines.append(f"written to {written}; portside reload takes it up" if written else "nothing was written")
    return "\n".join(lines)


def _dial_line(name: str, setting: Setting, seen: Watch | None) -> list[object]:
    data = _dial_data(name, setting, seen)
    rates = ["", "", "", ""] if seen is None else ["" if seen.error is None else f"{seen.error:.2%}", f"{seen.upper:.2%}", seen.checks,
                                                   seen.verdict]  # fmt: skip
    threshold = data["threshold"]
    told = "none: nothing is automated" if threshold is None and data["level"] == "partial" else threshold
    return [name or "(all others)" if setting.plan.slices else "", data["level"], told, data["check_share"], data["while_waiting"], *rates]


def _dial_data(name: str, setting: Setting, seen: Watch | None) -> dict[str, Any]:
    dial = setting.plan.dial.of(name or None)
    return {"level": dial.level, "threshold": dial.threshold, "check_share": dial.check_share, "while_waiting": dial.while_waiting,
            "since": None if seen is None else seen.to_dict()}  # fmt: skip
