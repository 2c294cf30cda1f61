"""What text a traced program may hold where torch would evaluate it: sizes as expressions, operators by name, names.

torch's reader gives expressions to sympy, which evaluates any Python; looks operators up by attribute, whatever it finds;
and writes names into source that it executes. Nothing reaches it that is not spelled as below.
"""

from __future__ import annotations

import ast
import re
from keyword import iskeyword

import torch

from ...sdk.core.errors import FormatError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
"""Of a value: torch makes a Python variable of it."""
PATH = re.compile(r"[A-Za-z0-9_]{1,200}(\.[A-Za-z0-9_]{1,200}){0,30}")
"""Of a weight: torch makes attributes of modules of it."""
SYMBOL = re.compile(r"[suz][a-z]{0,2}\d{1,9}")
MOST_TEXT, MOST_DEPTH, MOST_BITS = 4000, 24, 63
_ATEN = re.compile(r"torch\.ops\.aten\.([a-z_][A-Za-z0-9_]*)\.([A-Za-z0-9_]+)")
_DUNDERS = ("__and__", "__or__", "__xor__", "__iand__", "__ior__", "__ixor__")
_ARITHMETIC = frozenset(f"_operator.{name}" for name in ("add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pos",
                                                         "eq", "ne", "lt", "le", "gt", "ge", "and_", "or_"))  # fmt: skip
_SYMBOLIC = frozenset(f"torch.sym_{name}" for name in ("not", "int", "float", "ite", "max", "min")) | {"math.trunc"}
_REFUSED = frozenset({"from_file", "_print", "_foobar", "_async_error", "record_stream", "_test_serialization_subcmul"})
"""Of torch's own operators: those that touch files or the terminal, or exist for tests."""
_TEXTS = frozenset({"mode", "padding_mode", "padding", "equation", "reduce", "rounding_mode", "approximate", "indexing", "ord", "p",
                    "UPLO", "side", "interpolation", "msg", "assert_msg"})  # fmt: skip
"""Parameters of operators that may be text."""
_FUNCTIONS = frozenset({
    "Add", "Mul", "Pow", "Max", "Min", "Mod", "PythonMod", "FloorDiv", "CeilDiv", "CleanDiv", "ModularIndexing", "PowByNatural",
    "IntTrueDiv", "FloatTrueDiv", "ToFloat", "FloorToInt", "CeilToInt", "TruncToInt", "Identity", "Abs",
    "Equality", "Unequality", "LessThan", "StrictLessThan", "GreaterThan", "StrictGreaterThan", "And", "Or", "Not",
})  # fmt: skip
_ASSUMED = frozenset({"integer", "positive", "nonnegative", "real", "finite"})


def check_name(text: str) -> None:
    """Raise FormatError unless `text` can be a variable."""
    if not NAME.fullmatch(text) or iskeyword(text) or text.startswith("__"):
        raise FormatError("The traced program holds a name that torch cannot have written", got=ascii(text)[:120])


def check_path(text: str) -> None:
    """Raise FormatError unless `text` can be the name of a weight."""
    if not PATH.fullmatch(text) or any(part.startswith("__") for part in text.split(".")):
        raise FormatError("The traced program holds a weight's name that torch cannot have written", got=ascii(text)[:120])


def check_symbol(text: str) -> None:
    """Raise FormatError unless `text` is one of torch's symbols for a size."""
    if not SYMBOL.fullmatch(text):
        raise FormatError("The traced program holds a symbol that torch cannot have written", got=ascii(text)[:120])


def check_operator(text: str) -> None:
    """Raise FormatError unless `text` names arithmetic on sizes, or an operator of torch on tensors, numbers and known texts."""
    if text in _ARITHMETIC or text in _SYMBOLIC:
        return
    found = _ATEN.fullmatch(text)
    if found is None or found[1] in _REFUSED or (found[1].startswith("__") and found[1] not in _DUNDERS) or not _plain(found[1], found[2]):
        raise FormatError("The traced program names an operator that no traced program has", got=ascii(text)[:120],
                          expected="torch.ops.aten, or arithmetic on sizes")  # fmt: skip


def _plain(name: str, overload: str) -> bool:
    """Whether torch has the operator, and it takes no text that could be a path."""
    try:
        found = getattr(getattr(torch.ops.aten, name), overload)
    except (AttributeError, RuntimeError):
        return False
    if not isinstance(found, torch._ops.OpOverload) or found.namespace != "aten":
        return False
    texts = [argument.name for argument in found._schema.arguments if "str" in str(argument.type)]
    return all(text in _TEXTS for text in texts)


def check_expression(text: str) -> None:
    """Raise FormatError unless `text` is an expression of sizes as sympy prints them, e.g. `Mul(Integer(2), Symbol('s7'))`."""
    try:
        if len(text) > MOST_TEXT:
            raise ValueError("too long")
        _check(ast.parse(text, mode="eval").body, MOST_DEPTH, powers=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise FormatError("The traced program holds a size that is not a plain expression", got=ascii(text)[:120],
                          expected=f"sums, products and quotients of symbols and integers; {error}") from error  # fmt: skip


def _check(node: ast.expr, depth: int, powers: bool) -> None:
    if depth == 0:
        raise ValueError("too deep")
    if isinstance(node, ast.Name) and node.id in ("true", "false"):
        return
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ValueError(f"a {type(node).__name__}")
    name = node.func.id
    if name in ("Integer", "Rational"):
        _check_integers(node)
    elif name == "Symbol":
        _check_symbol(node)
    elif name in _FUNCTIONS and not node.keywords and 1 <= len(node.args) <= 64:
        _check_call(node, name, depth, powers)
    else:
        raise ValueError(f"a call of {name}")


def _check_call(node: ast.Call, name: str, depth: int, powers: bool) -> None:
    """A power is of a small number, and not of a power: their values grow without bound."""
    raised = name in ("Pow", "PowByNatural")
    if raised and not (powers and len(node.args) == 2 and _small(node.args[1])):
        raise ValueError("a large power")
    for argument in node.args:
        _check(argument, depth - 1, powers and not raised)


def _small(node: ast.expr) -> bool:
    return ast.unparse(node) in {f"Integer({number})" for number in range(-8, 9)}


def _check_integers(node: ast.Call) -> None:
    wanted = 1 if isinstance(node.func, ast.Name) and node.func.id == "Integer" else 2
    if node.keywords or len(node.args) != wanted:
        raise ValueError("a number of another form")
    for argument in node.args:
        held = argument.operand if isinstance(argument, ast.UnaryOp) and isinstance(argument.op, ast.USub) else argument
        if not isinstance(held, ast.Constant) or type(held.value) is not int or held.value.bit_length() > MOST_BITS:
            raise ValueError("a number of another form")


def _check_symbol(node: ast.Call) -> None:
    name = node.args[0] if len(node.args) == 1 else None
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        raise ValueError("a symbol of another form")
    check_symbol(name.value)
    for keyword in node.keywords:
        if keyword.arg not in _ASSUMED or not isinstance(keyword.value, ast.Constant) or keyword.value.value is not True:
            raise ValueError("a symbol of another form")
