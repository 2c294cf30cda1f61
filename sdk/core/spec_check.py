"""Types of the fields of a tensor in a manifest: what was written by others is checked before anybody computes with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from .errors import FormatError

MAX_SIDE = 1 << 15
"""Longest side of a picture in pixels."""
Test: TypeAlias = "Callable[[Any], bool]"


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _side(value: Any) -> bool:
    return _count(value) and 0 < value <= MAX_SIDE


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _one_of(*allowed: str) -> Test:
    return lambda value: isinstance(value, str) and value in allowed


def _or_none(test: Test) -> Test:
    return lambda value: value is None or test(value)


def _list(test: Test, length: int | None = None) -> Test:
    def check(value: Any) -> bool:
        if not isinstance(value, list | tuple):
            return False
        items = cast("list[Any]", value)
        return length in (None, len(items)) and all(map(test, items))

    return check


SPEC: Mapping[str, tuple[Test, str]] = {
    "name": (_text, "text"),
    "shape": (_list(lambda size: _count(size) or _text(size)), "a list of sizes and names"),
    "batch_axis": (_or_none(_count), "an axis or null"),
    "unit": (_or_none(_text), "text"),
    "range": (_or_none(_list(_number, 2)), "two numbers"),
    "on_range": (_one_of("flag", "reject", "clamp"), "flag, reject or clamp"),
    "categories": (_or_none(_list(_text)), "a list of names"),
    "on_unknown": (_one_of("flag", "reject"), "flag or reject"),
    "missing": (_flag, "true or false"),
    "required": (_flag, "true or false"),
    "default": (_or_none(lambda value: isinstance(value, bool | int | float | str)), "a number, text, true or false"),
    "top_k": (_or_none(_count), "a count"),
    "canvas": (_or_none(_list(_side, 2)), f"height and width in pixels, at most {MAX_SIDE}"),
    "redact": (_flag, "true or false"),
    "stays_on_device": (_flag, "true or false"),
}
STATE: Mapping[str, tuple[Test, str]] = {"output": (_text, "text"), "input": (_text, "text"), "shape": SPEC["shape"]}


def check_fields(data: object, fields: Mapping[str, tuple[Test, str]], what: str) -> Mapping[str, Any]:
    """`data`, if it is an object whose known fields have their types. Raises FormatError naming the field."""
    if not isinstance(data, Mapping):
        raise FormatError(f"{what} in the manifest is not an object", got=str(data)[:80])
    held = cast("Mapping[str, Any]", data)
    for name, (test, expected) in fields.items():
        if name in held and not test(held[name]):
            raise FormatError(f"{what} in the manifest has a malformed {name!r}", got=repr(held[name])[:80], expected=expected)
    return held
