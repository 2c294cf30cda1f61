"""The device side: `portside.edge.Agent`, loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["Agent"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """The agent (PEP 562); everything else of a device is a module below."""
    if name != "Agent":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(".agent", __name__).Agent
