"""Answers as callers know them: an output with categories leaves by name, as it does from every door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...sdk.core.signature import Signature
from ..records.database import Database
from ..records.reading import find, signature_of


def named(answer: Mapping[str, Any] | None, signature: Signature | None) -> dict[str, Any] | None:
    """The answer with names in place of codes, where the signature is known."""
    if answer is None or signature is None:
        return None if answer is None else dict(answer)
    names = {spec.name: spec.categories for spec in signature.outputs if spec.categories is not None}
    return {output: _name(value, names.get(output)) for output, value in answer.items()}


def signature_behind(database: Database, record: str) -> Signature | None:
    """What the deployment that wrote this record holds; None where no server has said. Raises FormatError."""
    held = find(database, record)
    return None if held is None else signature_of(database, held.name, held.deployment)


def _name(value: Any, names: tuple[str, ...] | None) -> Any:
    known = names is not None and isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names)
    return names[value] if known and names is not None else value
