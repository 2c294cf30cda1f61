"""Targets side by side, as HTML: a table and plots of what differs, what it costs and what the weights are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .parity import figure, weights_text

_HEAD = ("target", "rows", "firm flips", "fragile flips", "largest", "mean", "weights", "size", "cold start", "p50", "p95", "memory",
         "verdict")  # fmt: skip
_WIDTH, _LABEL, _LINE = 420, 96, 26
_SHADES = (0.85, 0.55, 0.35, 0.2)


def side_by_side(targets: Sequence[Mapping[str, Any]]) -> str:
    """Table and plots for the targets of one package (`TargetReport.to_dict()` each)."""
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in _row(target)) + "</tr>" for target in targets)
    head = "".join(f"<th>{name}</th>" for name in _HEAD)
    plots = [_differences(targets), _sizes(targets), *_costs(targets)]
    return (f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"
            f"<div class=plots>{''.join(f'<figure>{plot}</figure>' for plot in plots if plot)}</div>")  # fmt: skip


def _row(target: Mapping[str, Any]) -> list[str]:
    name, outcome = escape(target["target"]), target["outcome"]
    verdict = f"<span class='verdict {outcome.split()[0]}'>{escape(outcome)}</span>"
    if target["refused"] or target.get("unproven"):
        return [name, *[""] * (len(_HEAD) - 2), verdict]
    found, took = target["parity"], target["timings"]
    off = found["difference"]
    shown = [f"{off['largest']:.1e}", f"{off['mean']:.1e}"] if off else ["", ""]
    weights = escape(weights_text(target["weights_bytes"]))
    costs = [_cost(took, pick) for pick in ("cold_start_ms", "p50_ms", "p95_ms", "memory_mb")]
    return [name, str(found["rows"]), _flips(found["firm"]), _flips(found["fragile"]), *shown, weights,
            f"{target['size_bytes'] / 1e6:.2f} MB", *costs, verdict]  # fmt: skip


def _flips(held: Mapping[str, Any] | None) -> str:
    if held is None:
        return "<span class=note>decides nothing</span>"
    if not held["rows"]:
        return "<span class=note>no such rows</span>"
    return f"{held['flips']} of {held['rows']} <span class=note>[{100 * held['low']:.2g}%, {100 * held['high']:.2g}%]</span>"


def _cost(took: Mapping[str, Any] | None, name: str) -> str:
    if took is None:
        return ""
    held = took[name] if name in took else _one_row(took)[name]
    return "" if held is None else f"{figure(held)} {'MB' if name == 'memory_mb' else 'ms'}"


def _costs(targets: Sequence[Mapping[str, Any]]) -> list[str]:
    held = [(target["target"], target["timings"]) for target in targets if target["timings"]]
    latency = [(name, _one_row(took)["p50_ms"], _one_row(took)["p95_ms"]) for name, took in held]
    cold = [(name, took["cold_start_ms"], None) for name, took in held if took["cold_start_ms"] is not None]
    memory = [(name, took["memory_mb"], None) for name, took in held if took["memory_mb"] is not None]
    return [_bars("Latency of one row: p50, and p95 as whisker", "ms", latency),
            _bars("Cold start, from a fresh process or page to the first answer", "ms", cold),
            _bars("Peak memory", "MB", memory)]  # fmt: skip


def _one_row(took: Mapping[str, Any]) -> Mapping[str, Any]:
    """The latency of the fewest rows that were timed."""
    return took["latency"][min(took["latency"], key=int)]


def _bars(title: str, unit: str, rows: Sequence[tuple[str, float, float | None]]) -> str:
    """One bar per target from zero, with a whisker where there is an upper figure."""
    if not rows:
        return ""
    top = max(max(value, high or 0.0) for _, value, high in rows) or 1.0
    texts = [figure(value) + (f" / {figure(high)}" if high is not None else "") + f" {unit}" for _, value, high in rows]
    scale = (_WIDTH - _LABEL - _space(texts)) / top
    lines: list[str] = []
    for place, ((name, value, high), text) in enumerate(zip(rows, texts, strict=True)):
        y, x = place * _LINE + 4, _LABEL + value * scale
        whisker = "" if high is None else f"<path d='M{x:.1f} {y + 9}H{_LABEL + high * scale:.1f}m0 -5v10' class=whisker />"
        end = max(x, _LABEL + (high or 0.0) * scale)
        lines.append(f"{_label(name, y)}<rect x={_LABEL} y={y} width={max(value * scale, 1):.1f} height=18 class=bar />{whisker}"
                     f"<text x={end + 6:.1f} y={y + 14} class=soft>{text}</text>")  # fmt: skip
    return _svg(title, len(rows) * _LINE + 6, lines)


def _sizes(targets: Sequence[Mapping[str, Any]]) -> str:
    """Bytes per target; the part of the weights in shades, largest dtype first."""
    held = [target for target in targets if target["size_bytes"]]
    if not held:
        return ""
    texts = [f"{figure(target['size_bytes'] / 1e6)} MB" for target in held]
    scale = (_WIDTH - _LABEL - _space(texts)) / max(max(target["size_bytes"], sum(target["weights_bytes"].values())) for target in held)
    lines: list[str] = []
    for place, (target, text) in enumerate(zip(held, texts, strict=True)):
        y, x = place * _LINE + 4, float(_LABEL)
        lines.append(_label(target["target"], y))
        lines.append(f"<rect x={_LABEL} y={y} width={max(target['size_bytes'] * scale, 1):.1f} height=18 class=frame />")
        for shade, (name, size) in zip(_SHADES, sorted(target["weights_bytes"].items(), key=lambda item: -item[1]), strict=False):
            lines.append(f"<rect x={x:.1f} y={y} width={size * scale:.1f} height=18 class=bar opacity={shade}><title>{escape(name)}: "
                         f"{figure(size / 1e6)} MB</title></rect>")  # fmt: skip
            x += size * scale
        end = max(_LABEL + target["size_bytes"] * scale, x)
        lines.append(f"<text x={end + 6:.1f} y={y + 14} class=soft>{text}</text>")
    return _svg("Size: weights filled, the engine and the rest empty", len(held) * _LINE + 6, lines)


def _differences(targets: Sequence[Mapping[str, Any]]) -> str:
    """Largest and mean difference against the limit, on a log scale from 1e-9 of the limit's unit."""
    held = [(target["target"], target["parity"]["difference"]) for target in targets if target["parity"]["difference"]]
    if not held:
        return ""
    low, high = -9.0, max(math.log10(max(off["limit"], off["largest"], 1e-9)) for _, off in held) + 0.5
    scale = (_WIDTH - _LABEL - 20) / (high - low)

    def at(value: float) -> float:
        return _LABEL + (max(math.log10(value), low) - low) * scale if value > 0 else _LABEL

    height, lines = len(held) * _LINE + 24, list[str]()
    for decade in range(-9, math.floor(high) + 1, 2):
        x = _LABEL + (decade - low) * scale
        lines.append(f"<path d='M{x:.1f} 0V{height - 20}' class=grid />"
                     f"<text x={x:.1f} y={height - 6} class=soft text-anchor=middle>1e{decade}</text>")  # fmt: skip
    for place, (name, off) in enumerate(held):
        y = place * _LINE + 14
        lines.append(_label(name, y - 10) + f"<path d='M{at(off['mean']):.1f} {y}H{at(off['largest']):.1f}' class=whisker />"
                     f"<circle cx={at(off['mean']):.1f} cy={y} r=4 class=hollow />"
                     f"<circle cx={at(off['largest']):.1f} cy={y} r=5 class=dot />"
                     f"<path d='M{at(off['limit']):.1f} {y - 10}v20' class=limit />")  # fmt: skip
    names = sorted({off["output"] for _, off in held})
    return _svg(f"Difference of {', '.join(names)}: mean (hollow), largest (filled), limit (red)", height, lines)


def _space(texts: Sequence[str]) -> float:
    """What the longest text behind a bar needs, at 12 px."""
    return 12 + 7.0 * max(map(len, texts))


def _label(name: str, y: float) -> str:
    return f"<text x={_LABEL - 8} y={y + 14:.1f} text-anchor=end>{escape(name)}</text>"


def _svg(title: str, height: float, lines: Sequence[str]) -> str:
    label = escape(title, quote=True)
    return (f"<figcaption>{escape(title)}</figcaption><svg viewBox='0 0 {_WIDTH} {height:.0f}' role=img aria-label='{label}'>"
            f"{''.join(lines)}</svg>")  # fmt: skip
