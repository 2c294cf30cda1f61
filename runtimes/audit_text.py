"""An audit as lines for a terminal, from `Audit.to_dict()`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .report import table

_SLICES, _EXAMPLES = 12, 5


def lines(found: Mapping[str, Any]) -> list[str]:
    """The audit, most important first: verdict, gates, metrics, slices, flips, drift, expectations, notes."""
    title = f"{found['name']} ({found['target']}) against {found['ancestor'][:19]} on {found['rows']} rows: "
    asked = found["gates"] or found["expectations"]
    text = [title + (found["verdict"] if asked else "nothing was asked to hold")]
    if found["gates"]:
        text += ["", *gate_lines(found["gates"])]
    if found["changes"]:
        rows = [("all", str(found["labelled"]), name, *_change(held)) for name, held in found["changes"].items()]
        rows += [row for key, held in list(found["slices"].items())[:_SLICES] for row in _slice(key, found["counts"][key], held)]
        text += ["", *table(("slice", "rows", "metric", "before", "after", "drop, paired 95%"), rows)]
        text += [f"  and {len(found['slices']) - _SLICES} more slices"] if len(found["slices"]) > _SLICES else []
    for held in found["flips"]:
        text += ["", *_flips(held)]
    if found["drifts"]:
        rows = [(held["output"], held["kind"], _figures(held), str(held["infinite"])) for held in found["drifts"]]
        text += ["", *table(("output", "kind", "moved by", "infinitely far"), rows)]
        text += [line for held in found["drifts"] for line in _moved(held)] if not found["flips"] else []
    if found["expectations"]:
        rows = [(held["name"], _estimate(held["subject"]), _estimate(held["ancestor"]), f"{held['gate']['limit']:g}",
                 held["gate"]["verdict"], held["gate"]["note"]) for held in found["expectations"]]  # fmt: skip
        text += ["", *table(("expectation", "against it here", "in the ancestor", "limit", "verdict", ""), rows)]
    return [*text, *([""] if found["notes"] else []), *(f"  note: {note}" for note in found["notes"])]


def gate_lines(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Gates (`Gate.to_dict()` each) with what was held against their limits."""
    return table(("gate", "limit", "95% bound", "verdict", ""), [_gate(gate) for gate in gates])


def _gate(gate: Mapping[str, Any]) -> tuple[str, ...]:
    measured = gate["measured"]
    bound = "-" if measured is None else f"{float(measured):.3g}"
    return gate["name"], f"{gate['limit']:g}", bound, gate["verdict"], "; ".join(filter(None, (gate["where"], gate["note"])))


def _slice(key: str, rows: int, held: Any) -> list[tuple[str, ...]]:
    if isinstance(held, str):
        return [(key, str(rows), held, "-", "-", "-")]
    return [(key, str(rows), name, *_change(change)) for name, change in held.items()]


def _change(held: Mapping[str, Any]) -> tuple[str, str, str]:
    return _estimate(held["before"]), _estimate(held["after"]), _estimate(held["drop"])


def _flips(held: Mapping[str, Any]) -> list[str]:
    rate = held["rate"]
    text = [f"  {held['output']}: {held['count']} of {rate['rows']} decisions differ, at most {100 * held['upper_bound']:.3g}% (95%)"]
    text[0] += f"; {held['broken']} of them are rows with NaN" if held["broken"] else ""
    rows = [(str(row["row"]), _where(row["slices"]), row["label"] or "-", _shown(row, "before"), _shown(row, "after"))
            for row in held["examples"][:_EXAMPLES]]  # fmt: skip
    return text + (table(("row", "slices", "label", "before", "after"), rows) if rows else [])


def _moved(held: Mapping[str, Any]) -> list[str]:
    """The rows that moved most, of a model that decides nothing."""
    rows = [(str(row["row"]), _where(row["slices"]), row["label"] or "-", row["before"], row["after"], _number(row["distance"]))
            for row in held.get("examples", ())[:_EXAMPLES]]  # fmt: skip
    head = ("row", "slices", "label", "before", "after", "by")
    return [f"  {held['output']}, the rows that moved most:", *table(head, rows)] if rows else []


def _shown(row: Mapping[str, Any], side: str) -> str:
    score = row[f"{side}_score"]
    return row[side] if score is None else f"{row[side]} ({score})"


def _where(slices: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={group}" for name, group in slices.items()) or "-"


def _figures(held: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in held["figures"].items()) or "-"


def _estimate(held: Mapping[str, Any]) -> str:
    return f"{_number(held['value'])} [{_number(held['low'])}, {_number(held['high'])}]"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
