"""Records as people read them: codes as names of categories, rows counted, an answer beside what was right. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...sdk.core.labels import Label
from ...sdk.core.records import Record
from ...sdk.core.signature import MISSING_CODE, Signature, TensorSpec

SHOWN_ROWS = 4
"""Rows of a record in a list; its own page shows all that were kept."""


def specs(signature: Signature | None) -> dict[str, TensorSpec]:
    """The fields of a signature by name."""
    return {spec.name: spec for spec in (*signature.inputs, *signature.outputs)} if signature else {}


def named(value: Any, spec: TensorSpec | None) -> Any:
    """A kept value with names in the place of codes, at any depth; other values as they are."""
    if spec is None or spec.categories is None:
        return value
    if isinstance(value, list):
        return [named(part, spec) for part in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return spec.categories[value] if 0 <= value < len(spec.categories) else None if value == MISSING_CODE else f"(unknown {value})"
    return value


def named_all(values: Mapping[str, Any], signature: Signature | None) -> dict[str, Any]:
    """The same for a mapping of fields."""
    held = specs(signature)
    return {name: named(value, held.get(name)) for name, value in values.items()}


def rows_of(record: Record) -> int:
    """How many rows a record holds, as far as what was kept tells; at least 1."""
    lengths = [len(value) if isinstance(value, list) else value["shape"][0] for value in (*record.outputs.values(), *record.inputs.values())
               if isinstance(value, list) or (isinstance(value, dict) and value.get("shape"))]  # fmt: skip
    return max(lengths, default=1)


def wrong(record: Record, label: Label, signature: Signature | None) -> bool | None:
    """Whether an answer differs from its label in an output that is decided; None: nothing there can be compared."""
    held, compared = specs(signature), False
    for name, right in label.values.items():
        spec, answered = held.get(name), record.outputs.get(name)
        decided = spec is not None and (spec.categories is not None or spec.kind == "decision" or spec.dtype == "bool")
        if not decided or not isinstance(answered, list) or label.row >= len(answered):
            continue
        compared = True
        if answered[label.row] != right:
            return True
    return False if compared else None


def brief(record: Record, labels: Mapping[int, Label], signature: Signature | None) -> dict[str, Any]:
    """A record's line in a list. `labels`: those that count, by row."""
    receipt = record.receipt
    verdicts = [wrong(record, label, signature) for label in labels.values()]
    outputs = {name: value[:SHOWN_ROWS] if isinstance(value, list) else value for name, value in record.outputs.items()}
    return {
        "id": record.id, "server_ms": record.server_ms, "event_ms": record.event_ms, "deployment": record.name, "entity": record.entity,
        "arm": record.arm, "decided_by": record.decided_by, "exposed": record.exposed, "rows": rows_of(record),
        "model": receipt.get("model"), "reason": receipt.get("reason"), "time_ms": receipt.get("time_ms"),
        "within_deadline": receipt.get("within_deadline"), "flags": len(record.flags), "outputs": named_all(outputs, signature),
        "labelled": len(labels), "wrong": any(verdicts) if any(verdict is not None for verdict in verdicts) else None,
    }  # fmt: skip


def whole(record: Record, labels: Mapping[int, Label], signature: Signature | None) -> dict[str, Any]:
    """Everything that was kept of a record, with names."""
    held = {**brief(record, labels, signature), **record.to_dict()}
    held |= {part: named_all(getattr(record, part), signature) for part in ("inputs", "outputs")}
    held["right"] = {str(row): told(label, signature) for row, label in labels.items()}
    held["wrong_rows"] = [row for row, label in labels.items() if wrong(record, label, signature)]
    return held


def told(label: Label, signature: Signature | None) -> dict[str, Any]:
    """A label with names."""
    return {**label.to_dict(), "values": named_all(label.values, signature)}
