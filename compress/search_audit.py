"""The part of a search's page that shows what one trial lost: figures, slices, flipped rows, numbers that moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from .trials import Trial

Row = Callable[[int], str]
"""A row of the data as HTML."""
SLICES, EXAMPLES = 10, 8


def audit(trial: Trial, row: Row | None) -> list[str]:
    """Figures with paired intervals, the worst slices, flipped rows."""
    held = trial.comparison
    parts = [f"<p class=note>{escape(note)}.</p>" for note in held.get("notes", ())]
    if held.get("changes"):
        head = ("metric", "before", "after", "drop, paired 95%")
        parts.append(grid(head, [(escape(name), *_change(change)) for name, change in held["changes"].items()]))
    parts += _slices(held)
    for flips in held.get("flips", ()):
        parts += _flips(flips, row)
    if held.get("drifts"):
        rows = [(escape(drift["output"]), drift["kind"], _figures(drift), str(drift["infinite"])) for drift in held["drifts"]]
        parts += ["<h3>Numbers that moved</h3>", grid(("output", "kind", "by", "infinitely far"), rows)]
    return parts


def _slices(held: Mapping[str, Any]) -> list[str]:
    if not held.get("changes") or not held.get("slices"):
        return []
    primary = next(iter(held["changes"]))
    counts, every = held["counts"], list(held["slices"].items())
    rows = [(escape(key), str(counts[key]), *(_change(change[primary]) if change else ("not enough data", "", "")))
            for key, change in every[:SLICES]]  # fmt: skip
    more = f"<p class=note>And {len(every) - SLICES} more.</p>" if len(every) > SLICES else ""
    return [
        f"<h3>Slices by {escape(primary)}, worst first</h3>",
        grid(("slice", "rows", "before", "after", "drop, paired 95%"), rows),
        more,
    ]


def _flips(flips: Mapping[str, Any], row: Row | None) -> list[str]:
    rate = flips["rate"]
    broken = f"; {flips['broken']} of them are rows with NaN" if flips["broken"] else ""
    parts = [f"<h3>{escape(flips['output'])}: {flips['count']} of {rate['rows']} decisions differ</h3>",
             f"<p class=note>At most {100 * flips['upper_bound']:.3g}% by the 95% bound{broken}.</p>"]  # fmt: skip
    examples = flips["examples"][:EXAMPLES]
    if examples:
        cells = [(str(held["row"]), row(held["row"]) if row else "", escape(_where(held)), escape(held["label"] or "-"),
                  escape(_answer(held, "before")), escape(_answer(held, "after"))) for held in examples]  # fmt: skip
        parts.append(grid(("row", "input", "slices", "label", "before", "after"), cells, "examples"))
    return parts


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """A table; cells are HTML already, heads are text."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table class='{kind}'><tr>{top}</tr>{lines}</table></div>"


def _change(held: Mapping[str, Any]) -> tuple[str, str, str]:
    return estimate(held["before"]), estimate(held["after"]), estimate(held["drop"])


def estimate(held: Mapping[str, Any]) -> str:
    """A figure with its interval."""
    low, high = (_number(held[key]) for key in ("low", "high"))
    return f"{_number(held['value'])} <span class=note>[{low}, {high}]</span>"


def _figures(drift: Mapping[str, Any]) -> str:
    return ", ".join(f"{escape(name)} {_number(held)}" for name, held in drift["figures"].items()) or "-"


def _answer(held: Mapping[str, Any], side: str) -> str:
    score = held[f"{side}_score"]
    return held[side] if score is None else f"{held[side]} ({score})"


def _where(held: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={group}" for name, group in held["slices"].items()) or "-"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
