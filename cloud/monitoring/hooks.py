"""Hooks of a deployment's owner, loaded: an object with methods of `Monitor`, or one function. Runs in the hook's own process."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ...sdk.core.errors import FormatError

KINDS = ("record", "label", "window")


def load(use: str, folder: Path) -> Mapping[str, Callable[..., Any]]:
    """What a hook can be told: "record", "label", "window" -> the function to call.

    Args:
        use: "module:object".
        folder: where modules are looked for first.

    Raises:
        FormatError: there is no such object, or it is no hook.
    """
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module, _, name = use.partition(":")
    try:
        held: Any = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise FormatError(f"The hook cannot be loaded: {error}", got=use,
                          expected="module:object, importable beside the deployment file") from error  # fmt: skip
    found = _function(held) if inspect.isfunction(held) else _methods(held() if inspect.isclass(held) else held)
    if not found:
        raise FormatError("This is no hook", got=use, expected="a function whose first parameter is named record, label or window, or an "
                                                               "object with on_record, on_label or on_window")  # fmt: skip
    return found


def _function(held: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """One function: the name of its first parameter says what it is told."""
    names = list(inspect.signature(held).parameters)
    kind = names[0] if names and names[0] in KINDS else None
    if kind is None:
        return {}
    takes = len(names) if kind != "record" else 1
    return {kind: (lambda *given: held(*given[:takes])) if takes < 2 else held}


def _methods(held: Any) -> dict[str, Callable[..., Any]]:
    found = {kind: getattr(held, f"on_{kind}", None) for kind in KINDS}
    return {kind: method for kind, method in found.items() if callable(method)}
