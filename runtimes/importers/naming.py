"""Names of what a function returns: one tensor, a mapping or a tuple becomes an ordered mapping from names to tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...sdk.core.errors import SourceLine, TraceError


def named(value: Any, single: str, numbered: str, where: SourceLine | None = None) -> dict[str, Any]:
    """The tensors of a returned value by name.

    Args:
        value: a tensor; a mapping or dataclass-like output (`transformers`) by its keys; a named tuple by its fields; or
            a tuple by position.
        single: name of the only tensor.
        numbered: name of the i-th of several, with "{}" for i.
        where: the function that returned it, for messages.

    Raises:
        TraceError: something in it is not a tensor, or a key is not text.
    """
    found = dict(_items(value, single, numbered))
    for name, held in found.items():
        if not isinstance(name, str):
            raise TraceError("An output's name is not text", where=where, got=repr(name), fix="Use text keys in the returned dict.")
        if not _is_tensor(held):
            raise TraceError(
                f"Output {name!r} is not a tensor", where=where, got=_kind(held), expected="a tensor with one row per input row",
                fix="Return tensors only: leave the entry out, or wrap a constant with torch.full((len(x),), value).",
            )  # fmt: skip
    if not found:
        raise TraceError("A function returns no outputs", where=where, got=repr(value)[:80], fix="Return at least one tensor.")
    return found


def _items(value: Any, single: str, numbered: str) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(cast("Mapping[Any, Any]", value).items())
    if isinstance(value, tuple | list):
        held = cast("Sequence[Any]", value)
        fields = cast("tuple[str, ...]", getattr(value, "_fields", ()))
        return list(zip(fields, held, strict=True)) if fields else [(numbered.format(index), item) for index, item in enumerate(held)]
    return [(single, value)]


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _kind(value: Any) -> str:
    return "None" if value is None else f"{type(value).__name__} {value!r}"[:80]
