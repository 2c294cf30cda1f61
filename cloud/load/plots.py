"""Three plots of a load: percentiles against rate with the knee, what went wrong by kind, latency over time."""

from __future__ import annotations

from collections.abc import Sequence

from ...runtimes.scale import Scale
from .axes import BOTTOM, HEIGHT, LEFT, NARROW, TOP, Axis, apart, frame, line, log_scale, number, svg
from .report import Report, kinds
from .tally import Moment, Step

SHOWN = ("p50", "p90", "p99", "p99.9")
PART_S = 0.5
STYLE = """
.p50,.p90,.p99,.p999,.most{fill:none;stroke:var(--bar);stroke-width:2}.p50{opacity:.55}.p90{opacity:.75}.p99{stroke-width:3}
.p999{stroke-dasharray:5 3}.most{stroke:var(--soft);stroke-width:1.2}.mark{fill:var(--bar);stroke:none;stroke-dasharray:none}
.knee{stroke:var(--good);stroke-width:2;fill:none}svg text.knee{fill:var(--good);stroke:none;font-weight:600}
svg text.limit{fill:var(--bad);stroke:none}.step{stroke:var(--line);stroke-width:1.5;fill:none}
.k0{fill:#d98c2b}.k1{fill:#c5453a}.k2{fill:#8d5bb5}.k3{fill:#3f8f86}.k4{fill:#6d7b8a}.k5{fill:#b0679a}.k6{fill:#5d6f2f}
.key{display:inline-block;margin-right:1.1rem;white-space:nowrap}.key svg{width:11px;height:11px;margin-right:.35rem}
"""


def percentiles(report: Report, width: int) -> str:
    """Latency against rate; "" without answers."""
    steps = [step for step in sorted(report.steps, key=lambda step: step.rate) if step.latency_ms]
    if not steps:
        return ""
    deadline, end = report.aim.deadline_ms, width - 46
    x: Axis = log_scale([step.rate for step in steps], LEFT, end)
    y = log_scale([*(step.latency_ms[name] for step in steps for name in SHOWN), deadline], HEIGHT - BOTTOM, TOP)
    parts = [*frame(x, y, "requests per second", "latency, ms", width),
             f"<path d='M{LEFT} {y.at(deadline):.1f}H{end}' class=limit stroke-dasharray='5 4' />",
             f"<text x={LEFT + 6} y={y.at(deadline) - 5:.1f} class=limit>deadline {deadline:g} ms</text>"]  # fmt: skip
    parts += [_curve(steps, name, x, y) for name in SHOWN]
    heights = apart([y.at(steps[-1].latency_ms[name]) + 4 for name in SHOWN], TOP + 8, HEIGHT - BOTTOM)
    last = x.at(steps[-1].rate) + 8
    parts += [f"<text x={last:.1f} y={at:.1f}>{name}</text>" for name, at in zip(SHOWN, heights, strict=True)]
    return svg([*parts, *_knee(report, x)], "latency percentiles against the rate of requests", width)


def _curve(steps: Sequence[Step], name: str, x: Axis, y: Axis) -> str:
    points = [(x.at(step.rate), y.at(step.latency_ms[name])) for step in steps]
    said = ", ".join(f"{step.rate:,g}/s {step.latency_ms[name]:.3g} ms" for step in steps)
    return line(points, name.replace(".", ""), f"{name}: {said}")


def _knee(report: Report, x: Axis) -> list[str]:
    knee = report.found.knee
    if knee is None:
        return []
    at, left = x.at(knee), x.at(knee) > (x.start + x.end) / 2
    said = f"{number(knee)}/s {'in time' if report.found.missed is None else 'knee'}"
    place = f"x={at - 6 if left else at + 6:.1f} y={HEIGHT - BOTTOM - 8} text-anchor={'end' if left else 'start'}"
    return [f"<path d='M{at:.1f} {TOP}V{HEIGHT - BOTTOM}' class=knee />", f"<text {place} class=knee>{said}</text>"]


def failures(report: Report, width: int) -> str:
    """A bar per step: which share was late, refused, lost, by kind; "" where nothing was."""
    steps, names = sorted(report.steps, key=lambda step: step.rate), _failed(report)
    if not names:
        return ""
    shares = [[100 * _count(step, name) / max(step.sent, 1) for name in names] for step in steps]
    line_height, left, base = 26, 84, 26 * len(steps) + 6
    x = Scale(0, max(max(map(sum, shares)) * 1.05, 0.1), left, width - 14)
    parts = [f"<path d='M{x.at(held):.1f} 0V{base}' class=grid /><text x={x.at(held):.1f} y={base + 16} class=soft text-anchor=middle>"
             f"{held:.3g}%</text>" for held in x.ticks(4 if width < NARROW else 6)]  # fmt: skip
    for place, (step, row) in enumerate(zip(steps, shares, strict=True)):
        start, y = 0.0, place * line_height + 4
        parts.append(f"<text x={left - 8} y={y + 14} text-anchor=end>{number(step.rate)}/s</text>")
        for kind, share in enumerate(row):
            a, b = x.at(start), x.at(start + share)
            start += share
            if share:
                title = f"<title>{names[kind]}: {_count(step, names[kind]):,} of {step.sent:,}</title>"
                parts.append(f"<rect x={a:.1f} y={y} width={max(b - a, 1):.1f} height=18 class=k{min(kind, 6)}>{title}</rect>")
    return svg(parts, "requests that were not answered in time, by kind", width, base + 26)


def failure_keys(report: Report) -> str:
    """What the colours mean."""
    square = "<svg viewBox='0 0 10 10'><rect width=10 height=10 class=k{}></rect></svg>"
    return "".join(f"<span class=key>{square.format(min(place, 6))}{name}</span>" for place, name in enumerate(_failed(report)))


def _failed(report: Report) -> list[str]:
    late = ["late"] if any(step.answered > step.within for step in report.steps) else []
    return [*late, *kinds(report.steps)]


def _count(step: Step, name: str) -> int:
    return step.answered - step.within if name == "late" else step.errors.get(name, 0)


def over_time(report: Report, width: int) -> str:
    """Median, p99 and largest latency of every second, in the order of the run; "" without answers."""
    moments = [moment for step in report.steps for moment in _seconds(step)]
    if not moments:
        return ""
    end = width - 40
    x = Scale(0, max(moments[-1].at_s, 1.0), LEFT, end)
    y = log_scale([_at(moment, name) for moment in moments for name in ("p50_ms", "max_ms")], HEIGHT - BOTTOM, TOP + 12)
    parts = [*frame(x, y, "seconds", "latency, ms", width), *_boundaries(report, x, width)]
    curves = (("p50_ms", "p50", "p50"), ("p99_ms", "p99", "p99"), ("max_ms", "most", "max"))
    for name, kind, _ in reversed(curves):
        for step in report.steps:
            held = _seconds(step)
            parts.append(line([(x.at(moment.at_s), y.at(_at(moment, name))) for moment in held], kind, kind, dots=False))
    heights = apart([y.at(_at(moments[-1], name)) + 4 for name, _, _ in curves], TOP + 8, HEIGHT - BOTTOM)
    parts += [f"<text x={end + 6} y={at:.1f}>{said}</text>" for (_, _, said), at in zip(curves, heights, strict=True)]
    return svg(parts, "latency over time", width)


def _seconds(step: Step) -> list[Moment]:
    """The seconds that had answers, without the last bit of one: its few requests would be drawn as a spike."""
    begins = [step.moments[0].at_s - 1.0, *(moment.at_s for moment in step.moments)] if step.moments else []
    whole = [moment for begin, moment in zip(begins, step.moments, strict=False) if moment.at_s - begin > PART_S]
    return [moment for moment in whole if moment.p50_ms is not None]


def _at(moment: Moment, name: str) -> float:
    return float(getattr(moment, name))


def _boundaries(report: Report, x: Scale, width: int) -> list[str]:
    """Where each step began, and its rate where there is room."""
    begins = [(step.moments[0].at_s - min(1.0, step.seconds), step) for step in report.steps if step.moments]
    room, parts, free = 52, list[str](), 0.0
    for begin, step in begins:
        at = x.at(max(begin, 0.0))
        parts.append(f"<path d='M{at:.1f} {TOP}V{HEIGHT - BOTTOM}' class=step />")
        if at >= free and at < width - 60:
            parts.append(f"<text x={at + 3:.1f} y={TOP + 8} class=soft>{number(step.rate)}/s</text>")
            free = at + room
    return parts
