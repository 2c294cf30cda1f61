"""The form of a traced program's text, field by field: what is not named here is refused before torch sees any of it.

The graph, its values and its signature are torch's own schema without what Portside never writes: no graphs inside
graphs, no custom objects, no devices but the CPU, no metadata but the names of ONNX nodes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from ...sdk.core.errors import FormatError
from .exported_grammar import check_expression, check_name, check_operator, check_path, check_symbol

Check: TypeAlias = Callable[[Any], None]
MOST = 200_000
"""Entries of any list or mapping."""
_INFINITE = ("Infinity", "-Infinity", "NaN")
_ONNX_NAME = re.compile(r"[A-Za-z0-9_./]{1,200}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def fail(what: str, got: object) -> FormatError:
    """The FormatError of a value that does not have its form."""
    shown = ascii(got)[:120] if isinstance(got, str | int | float | None) else type(got).__name__  # lists may be too deep to show
    return FormatError(f"The traced program is malformed: {what}", got=shown)


def exactly(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these keys and no others."""
    checks = {**required, **(optional or {})}

    def check(data: Any) -> None:
        if not isinstance(data, dict):
            raise fail("not an object", data)
        held = cast("dict[str, Any]", data)
        if set(held) - set(checks) or set(required) - set(held):
            raise fail("other fields than it should have", ", ".join(sorted(held))[:120])
        for key, value in held.items():
            checks[key](value)

    return check


def union(**cases: Check) -> Check:
    """An object with one of these keys."""

    def check(data: Any) -> None:
        if not isinstance(data, dict) or len(cast("dict[str, Any]", data)) != 1:
            raise fail("not one of several things", data)
        ((key, value),) = cast("dict[str, Any]", data).items()
        if key not in cases:
            raise fail("a kind of thing that no traced program has", key)
        cases[key](value)

    return check


def many(item: Check) -> Check:
    """A list of these."""

    def check(data: Any) -> None:
        if not isinstance(data, list) or len(cast("list[Any]", data)) > MOST:
            raise fail("not a list", data)
        for value in cast("list[Any]", data):
            item(value)

    return check


def mapping(key: Check, item: Check) -> Check:
    """An object from any such key to these."""

    def check(data: Any) -> None:
        if not isinstance(data, dict) or len(cast("dict[str, Any]", data)) > MOST:
            raise fail("not an object", data)
        for name, value in cast("dict[str, Any]", data).items():
            key(name)
            item(value)

    return check


def text(inner: Callable[[str], None]) -> Check:
    """Text that `inner` accepts."""

    def check(data: Any) -> None:
        if not isinstance(data, str):
            raise fail("not text", data)
        inner(data)

    return check


def optional(item: Check) -> Check:
    """None, or this."""
    return lambda data: None if data is None else item(data)


def only(*values: object) -> Check:
    """One of these very values."""

    def check(data: Any) -> None:
        if not any(type(data) is type(value) and data == value for value in values):
            raise fail("another value than it may have", data)

    return check


def whole(low: int = -(1 << 63), high: int = (1 << 63) - 1) -> Check:
    """An integer, 64 bits at most."""

    def check(data: Any) -> None:
        if type(data) is not int or not low <= data <= high:
            raise fail("not an integer of 64 bits", data)

    return check


def real(data: Any) -> None:
    """A number, or the name of one that JSON has not."""
    if type(data) not in (int, float) and data not in _INFINITE:
        raise fail("not a number", data)


def matching(pattern: re.Pattern[str]) -> Callable[[str], None]:
    """Text of exactly this pattern."""

    def check(data: str) -> None:
        if not pattern.fullmatch(data):
            raise fail("text of another form", data)

    return check


def short(data: str) -> None:
    """Text of no more than a line, which only operators read."""
    if len(data) > 1000 or not data.isprintable():
        raise fail("text of another form", data)


def _custom(data: str) -> None:
    """Names of ONNX nodes, as JSON of their own."""
    try:
        held: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise fail("metadata that is not JSON", data) from error
    _ONNX(held)


_ONNX = exactly({}, {"onnx": many(text(matching(_ONNX_NAME))), "trees": only(True)})
_FLAG, _INT, _SMALL, _NAME, _PATH = only(True, False), whole(), whole(0, 64), text(check_name), text(check_path)
_FLAGS, _INTS, _REALS = many(_FLAG), many(_INT), many(real)
_TENSOR = exactly({"name": _NAME})
_EXPRESSION = exactly({"expr_str": text(check_expression)}, {"hint": optional(union(as_int=_INT, as_bool=_FLAG, as_float=real))})
_SYM_INT = union(as_expr=_EXPRESSION, as_int=_INT)
_SIZE = union(as_name=_NAME, as_int=_INT)
_SYM_REAL, _SYM_FLAG = union(as_name=_NAME, as_float=real), union(as_name=_NAME, as_bool=_FLAG)
_CPU = exactly({"type": only("cpu")}, {"index": only(None)})
_MAYBE = union(as_tensor=_TENSOR, as_none=_FLAG)
_META = exactly({
    "dtype": _SMALL, "sizes": many(_SYM_INT), "requires_grad": only(False), "device": _CPU, "strides": many(_SYM_INT),
    "storage_offset": _SYM_INT, "layout": only(7),
})  # fmt: skip
_ARGUMENT = union(
    as_none=_FLAG, as_tensor=_TENSOR, as_tensors=many(_TENSOR), as_int=_INT, as_ints=_INTS, as_float=real, as_floats=_REALS,
    as_string=text(short), as_sym_int=_SIZE, as_sym_ints=many(_SIZE), as_sym_float=_SYM_REAL, as_sym_floats=many(_SYM_REAL),
    as_sym_bool=_SYM_FLAG, as_sym_bools=many(_SYM_FLAG), as_scalar_type=_SMALL, as_memory_format=_SMALL, as_layout=only(7), as_device=_CPU,
    as_bool=_FLAG, as_bools=_FLAGS, as_optional_tensor=_MAYBE, as_optional_tensors=many(_MAYBE), as_int_lists=many(_INTS),
)  # fmt: skip
_NODE = exactly({
    "target": text(check_operator),
    "inputs": many(exactly({"name": text(short), "arg": _ARGUMENT}, {"kind": optional(whole(1, 2))})),
    "outputs": many(_ARGUMENT),
    "metadata": exactly({}, {"custom": text(_custom)}),
}, {"name": optional(_NAME)})  # fmt: skip
_READ = union(as_tensor=_TENSOR)
_GRAPH = exactly({
    "inputs": many(_READ), "outputs": many(_READ), "nodes": many(_NODE), "tensor_values": mapping(_NAME, _META),
    "sym_int_values": mapping(_NAME, _SYM_INT), "sym_bool_values": mapping(_NAME, union(as_expr=_EXPRESSION, as_bool=_FLAG)),
    "sym_float_values": mapping(_NAME, union(as_expr=_EXPRESSION, as_float=real)),
})  # fmt: skip
_INPUT = union(
    user_input=exactly({"arg": _READ}),
    parameter=exactly({"arg": _TENSOR, "parameter_name": _PATH}),
    buffer=exactly({"arg": _TENSOR, "buffer_name": _PATH, "persistent": _FLAG}),
    tensor_constant=exactly({"arg": _TENSOR, "tensor_constant_name": _PATH}),
)
_SIGNATURE = exactly({"input_specs": many(_INPUT), "output_specs": many(union(user_output=exactly({"arg": _READ})))})
_STORED = exactly({"tensor": text(short), "transposed": _FLAG})
_PROGRAM = exactly({
    "format": only(1), "torch": text(short), "graph": _GRAPH, "signature": _SIGNATURE, "weights": mapping(_PATH, _STORED),
    "ranges": mapping(text(check_symbol), exactly({"min_val": optional(_INT), "max_val": optional(_INT)})),
    "program": exactly({"stages": many(text(matching(_SHA256))), "weights": optional(text(matching(_SHA256)))}),
    "rim": exactly({"inputs": many(text(short)), "outputs": many(text(short))}),
})  # fmt: skip


def audit(program: Mapping[str, Any]) -> None:
    """Raise FormatError for anything that `exported.py` does not write."""
    _PROGRAM(program)
