"""A host stage as a Segment: the package's own Python, run only for a caller who trusts it.

The stage's source is a file of the package; it is executed once, in a module namespace of its own, when the session is
opened. Its function takes numpy arrays by keyword and returns a dict of arrays, or one array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np

from ..sdk.core.errors import EngineError, FormatError, TrustError
from ..sdk.core.signature import Array
from .base import Cancel
from .segments import SegmentSpec


class HostStage:
    """A trusted host stage, opened.

    Args:
        source: the file, already audited.
        spec: names and function.
        trust: the caller said that this code may run.

    Raises:
        TrustError: `trust` is False; nothing has run.
        FormatError: the source does not compile, or lacks the function.
        EngineError: the source raises while it is executed.
    """

    def __init__(self, source: Path, spec: SegmentSpec, trust: bool) -> None:
        if not trust:
            raise TrustError("Python of the package would have to run", got=spec.file,
                             fix="Read that file, then open it with trust=True (CLI: --trust).")  # fmt: skip
        self.inputs, self.outputs = spec.inputs, spec.outputs
        self._name = spec.function or "run"
        self._function = _function(source, self._name)

    def run(self, names: list[str], feeds: dict[str, Array], cancel: Cancel | None = None) -> list[Array]:
        """Call the function; its values `names` as contiguous arrays of their own. Raises EngineError."""
        if cancel is not None and cancel.cancelled:
            raise EngineError("The call was cancelled", reason="cancelled")
        try:
            result = self._function(**feeds)
        except Exception as error:  # the package's own code may raise anything; it is wrapped with its message
            raise EngineError(f"The host stage {self._name!r} failed: {type(error).__name__}: {error}") from error
        values = self._named(result)
        return [_own(values[name], feeds) for name in names]

    def _named(self, result: object) -> Mapping[str, Any]:
        if not isinstance(result, Mapping):
            if len(self.outputs) != 1:
                raise EngineError(f"The host stage {self._name!r} returned one value", expected=", ".join(self.outputs))
            return {self.outputs[0]: result}
        values = cast("Mapping[str, Any]", result)
        if missing := [name for name in self.outputs if name not in values]:
            raise EngineError(f"The host stage {self._name!r} did not return {missing[0]!r}", expected=", ".join(self.outputs))
        return values

    def close(self) -> None:
        """Nothing to free."""


_LOADING: ContextVar[str | None] = ContextVar("host stage being loaded", default=None)


def _function(source: Path, name: str) -> Callable[..., object]:
    if _LOADING.get() is not None:
        raise EngineError(
            "The host stage's file packs or opens host stages itself while it is loaded", got=_LOADING.get(),
            fix="Put what the script does below `if __name__ == '__main__':`, or keep the function in a file of its own.",
        )  # fmt: skip
    module = ModuleType(f"portside_host_{source.stem}")
    module.__file__ = str(source)
    try:
        code = compile(source.read_text(encoding="utf-8"), str(source), "exec")
    except (SyntaxError, ValueError) as error:
        raise FormatError(f"The host stage's source does not compile: {error}", got=source.name) from error
    token = _LOADING.set(source.name)
    try:
        exec(code, module.__dict__)  # noqa: S102 - the caller trusts this file, and its digest was checked
    except EngineError:  # the refusal above, said once
        raise
    except Exception as error:  # as in `run`
        raise EngineError(f"The host stage's file cannot be executed: {type(error).__name__}: {error}", got=source.name) from error
    finally:
        _LOADING.reset(token)
    function = module.__dict__.get(name)
    if not callable(function):
        raise FormatError(f"The host stage's source has no function {name!r}", got=source.name)
    return function


def _own(value: Any, feeds: Mapping[str, Array]) -> Array:
    array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
    if any(np.may_share_memory(array, feed) for feed in feeds.values()):
        return array.copy()
    return array
