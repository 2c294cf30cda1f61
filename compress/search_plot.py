"""The front as an SVG: latency against loss, size as the area of a dot, limits as lines, labels that do not cover each other."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import inf, isfinite, sqrt

from ..runtimes.parity import figure
from ..runtimes.scale import Scale
from .findings import Findings
from .ranking import COST
from .search_labels import Box, Room
from .trials import Trial

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 340, 62, 16, 14, 44
LEAST, MOST = 4.0, 15.0
"""Radii of the smallest and the largest file."""
NARROW, LABELS = 500, 6
MEDIAN = "p50_ms"


def plot(front: Findings, width: int) -> str:
    """The whole figure for a page of this width in pixels."""
    trials = [trial for trial in front.trials if trial.figures and isfinite(_x(front, trial))]
    if not trials:
        return ""
    x, y = _scales(front, trials, width)
    marked = [held for held in (front.best_trial, front.nearest) if held is not None]
    points = {id(trial) for trial in front.points}
    order = sorted(trials, key=lambda trial: (any(trial is held for held in marked), id(trial) in points, trial.passed))
    largest = max(trial.figures["size_mb"] for trial in trials) or 1.0
    spots = {id(trial): (x.at(_x(front, trial)), y.at(trial.loss), _radius(trial, largest)) for trial in trials}
    lines = [*_axes(front, x, y, width), *_limits(front, x, y)]
    lines += [_dot(trial, spots[id(trial)], id(trial) in points, any(trial is held for held in marked)) for trial in order]
    room = Room(LEFT, width - 4, HEIGHT - BOTTOM, [*((a - r, b - r, a + r, b + r) for a, b, r in spots.values()), *_covered(front, x, y)])
    lines += room.labels(_names(front, list(reversed(order)), points, width), spots)
    said = escape(f"{axis(front)[1]} against {losses(front)}, size as area", quote=True)
    return f"<svg class=w{width} viewBox='0 0 {width} {HEIGHT}' role=img aria-label='{said}'>{''.join(lines)}</svg>"


def axis(front: Findings) -> tuple[str, str]:
    """(figure, its words) of the horizontal axis: the latency that the budget limits, else the median, which is also the cost."""
    name = next((name for name in ("p95_ms", "p99_ms") if name in front.budget.limits), MEDIAN)
    rate = _cost_of_1_ms(front)
    cost = f"; 1 ms is {rate:.3g} per thousand" if name == MEDIAN and rate else ""
    return name, f"{name.removesuffix('_ms')} latency of one row, ms{cost}"


def losses(front: Findings) -> str:
    """What the loss of a trial is."""
    held = next((trial.comparison for trial in front.trials if trial.comparison), {})
    if held.get("changes"):
        return f"{next(iter(held['changes']))} lost"
    return "share of decisions that differ" if held.get("flips") else "mean distance of the answers"


def _cost_of_1_ms(front: Findings) -> float | None:
    """Price of a thousand predictions whose median latency is 1 ms; None without a price."""
    rates = [trial.figures[COST] / trial.figures[MEDIAN] for trial in front.trials if COST in trial.figures]
    return rates[0] if rates else None


def _limit(front: Findings) -> float | None:
    """The limit on the horizontal axis, in ms: the budget's on latency, or on cost, which is median latency in money."""
    limits, name, rate = front.budget.limits, axis(front)[0], _cost_of_1_ms(front)
    if name == MEDIAN and COST in limits and rate:
        return limits[COST] / rate
    return limits.get(name)


def _x(front: Findings, trial: Trial) -> float:
    return trial.figures.get(axis(front)[0], inf)


def _scales(front: Findings, trials: Sequence[Trial], width: int) -> tuple[Scale, Scale]:
    limit = _limit(front)
    across = [_x(front, trial) for trial in trials]
    most = max(across)
    reach = max(most, limit) if limit is not None and limit < 3 * most else most
    kept = [trial.loss for trial in trials if isfinite(trial.loss) and trial.passed] or [0.0]
    allowed = _allowed(front)
    top: float = max([*kept, *([1.1 * allowed] if allowed else []), 1e-6])
    bottom: float = min([*kept, 0.0])
    room = (top - bottom) * 0.15
    return Scale(0, reach * 1.12, LEFT, width - RIGHT), Scale(bottom - room, top + room, HEIGHT - BOTTOM, TOP)


def _allowed(front: Findings) -> float | None:
    """The limit on the loss that the vertical axis shows."""
    held = next((trial.comparison for trial in front.trials if trial.comparison), {})
    return front.budget.max_drop if held.get("changes") else front.budget.max_flips if held.get("flips") else None


def _radius(trial: Trial, largest: float) -> float:
    return max(LEAST, MOST * sqrt(trial.figures["size_mb"] / largest))


def _axes(front: Findings, x: Scale, y: Scale, width: int) -> list[str]:
    base = HEIGHT - BOTTOM
    lines = [f"<path d='M{LEFT} {y.at(held):.1f}H{width - RIGHT}' class=grid /><text x={LEFT - 8} y={y.at(held) + 4:.1f} class=soft "
             f"text-anchor=end>{held:.3g}</text>" for held in y.ticks()]  # fmt: skip
    lines += [f"<path d='M{x.at(held):.1f} {TOP}V{base}' class=grid /><text x={x.at(held):.1f} y={base + 16} class=soft "
              f"text-anchor=middle>{held:.3g}</text>" for held in x.ticks(4 if width < NARROW else 7)]  # fmt: skip
    lines.append(f"<text x={(LEFT + width - RIGHT) / 2} y={HEIGHT - 8} text-anchor=middle>{escape(axis(front)[1])}</text>")
    middle = (TOP + base) / 2
    return [*lines, f"<text x=12 y={middle} text-anchor=middle transform='rotate(-90 12 {middle})'>{escape(losses(front))}</text>"]


def _limits(front: Findings, x: Scale, y: Scale) -> list[str]:
    """Lines of the budget, where they are on the plot."""
    lines: list[str] = []
    latency, loss = _limit(front), _allowed(front)
    if latency is not None and latency < x.high:
        lines.append(f"<path d='M{x.at(latency):.1f} {TOP}V{HEIGHT - BOTTOM}' class=limit stroke-dasharray='5 4' />")
    if loss is not None:
        lines.append(f"<path d='M{LEFT} {y.at(loss):.1f}H{x.end}' class=limit stroke-dasharray='5 4' />")
    return lines


def _covered(front: Findings, x: Scale, y: Scale) -> list[Box]:
    """Where the lines of limits are: no label stands there."""
    latency, loss = _limit(front), _allowed(front)
    across = [] if latency is None or latency >= x.high else [(x.at(latency) - 3, 0.0, x.at(latency) + 3, float(HEIGHT))]
    return across if loss is None else [*across, (0.0, y.at(loss) - 3, x.end, y.at(loss) + 3)]


def _dot(trial: Trial, spot: tuple[float, float, float], unbeaten: bool, marked: bool) -> str:
    x, y, radius = spot
    title = f"<title>{escape(str(trial.settings))}: {escape(trial.verdict)}; {_figures(trial)}</title>"
    if not trial.passed:
        return f"<path d='M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8' class=miss>{title}</path>"
    ring = f"<circle cx={x:.1f} cy={y:.1f} r={radius + 4:.1f} class=ring />" if marked else ""
    return f"{ring}<circle cx={x:.1f} cy={y:.1f} r={radius:.1f} class={'front' if unbeaten else 'beaten'}>{title}</circle>"


def _figures(trial: Trial) -> str:
    """What the axes do not show: size, memory, cost."""
    held = trial.figures
    memory = f", {figure(held['memory_mb'])} MB of memory" if "memory_mb" in held else ""
    cost = f", {figure(held[COST])} per thousand" if COST in held else ""
    return f"{figure(held['size_mb'])} MB{memory}{cost}"


def _names(front: Findings, trials: Sequence[Trial], points: set[int], width: int) -> list[tuple[int, str]]:
    """(trial, label): what was chosen first, then float32, then the front where the page is wide."""
    marks = {id(front.best_trial): front.MARK, id(front.nearest): "nearest"}
    found: list[tuple[int, str]] = []
    for trial in sorted(trials, key=lambda trial: id(trial) not in marks):
        mark, settings = marks.get(id(trial)), str(trial.settings)
        text = settings if mark is None else f"{mark}: {settings}"
        short = len(text) < width / 11
        if mark or trial.settings.as_it_was or (id(trial) in points and width > NARROW):
            found.append((id(trial), text if short else mark or trial.settings.precision))
    return found[:LABELS]
