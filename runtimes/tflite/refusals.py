"""The converter's errors as sentences with a name in them: torch, jax and MLIR each say it their own way, over pages."""

from __future__ import annotations

import re

from ...sdk.core.errors import UnsupportedError

_OPERATOR = (
    re.compile(r"Lowering not found: (\S+)"),
    re.compile(r"failed to legalize operation '([^']+)'"),
    re.compile(r"[Uu]nsupported (?:op|operator|operation)[: ]+'?([\w.:]+)"),
)
_AT = re.compile(r"While executing %\S+ :.*?target=torch\.ops\.([\w.]+)")
_NODE = re.compile(r"While executing (%\S+)")
_LINE = re.compile(r'File "([^"]+)", line (\d+), in \w+\n\s*(\S.*)')
FIX = "Change that operation, move it into a host stage, or compile for onnx-cpu, which holds it."


def refused(error: Exception, segment: str) -> UnsupportedError:
    """What the converter could not do: the operator, its place in the program, and the user's line where it is known."""
    text = str(error).strip()
    where = _where(text)
    if (name := _operator(text)) is not None:
        return UnsupportedError(f"TFLite cannot hold the operator {name} of the segment {segment!r}{where}", fix=FIX)
    first = text.splitlines()[0][:300] if text else "no message"
    return UnsupportedError(f"The segment {segment!r} cannot be lowered to TFLite{where}: {type(error).__name__}: {first}", fix=FIX)


def _operator(text: str) -> str | None:
    found = next((match for match in (pattern.search(text) for pattern in _OPERATOR) if match), None) or _AT.search(text)
    return found[1].rstrip(".") if found else None


def _where(text: str) -> str:
    node, lines = _NODE.search(text), _LINE.findall(text)
    named = f" (at {node[1]})" if node else ""
    theirs = [line for line in lines if "/portside/" not in line[0] and "site-packages" not in line[0] and "/runtimes/" not in line[0]]
    return f"{named} in {theirs[-1][0]}:{theirs[-1][1]}: {theirs[-1][2]}" if theirs else named
