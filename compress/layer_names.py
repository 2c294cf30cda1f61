"""Layers that a user names: by dotted name, by a module above them, or by a pattern such as "encoder.*.output"."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from ..sdk.core.errors import InputError


def named(model: nn.Module, patterns: Sequence[str], field: str) -> frozenset[str]:
    """Dotted names of all modules that a pattern names, and of those below them.

    Args:
        model: whose modules are meant.
        patterns: names, or patterns with * and ?.
        field: the option that they come from.

    Raises InputError for a pattern that names nothing.
    """
    known = [name for name, _ in model.named_modules() if name]
    for pattern in patterns:
        if not any(matches(name, pattern) for name in known):
            raise InputError("No layer has this name", field=field, got=pattern, expected=", ".join(known[:12]))
    return frozenset(name for name in known if any(matches(name, pattern) for pattern in patterns))


def matches(name: str, pattern: str) -> bool:
    """The pattern names this module or one above it."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")

