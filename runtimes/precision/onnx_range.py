"""Whether weights are lowered with 7 bits, and what is said of int8 files on CPUs whose kernels saturate. Decisions alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

from ...sdk.core.errors import UnsupportedError
from ..hardware import Sums

OPTION = "reduce_range"
Reduce: TypeAlias = Literal["auto", "on", "off"]
REDUCE: tuple[Reduce, ...] = get_args(Reduce)
_CUT = "CPUs without VNNI cut sums of two products of int8 at 16 bits"


def reduced(option: object, sums: Sums) -> tuple[bool, tuple[str, ...]]:
    """(weights have 7 bits, what the artifact says about it).

    Args:
        option: "auto" follows the CPU that compiles.
        sums: of that CPU.

    Raises UnsupportedError for another option.
    """
    if option not in REDUCE:
        raise UnsupportedError(f"The option {OPTION} has no such value", got=option, expected=", ".join(REDUCE))
    if option == "on" or (option == "auto" and sums == "saturating"):
        why = "asked for" if option == "on" else "this artifact was compiled on such a CPU"
        return True, (f"weights have 7 bits, as {_CUT}: {why}",)
    if sums == "saturating":
        return False, (f"{_CUT}, as the one that compiled this: answers here and on a CPU with VNNI differ; {OPTION}=on avoids it",)
    return False, ()


def warning_of(precision: Mapping[str, Any], sums: Sums) -> str | None:
    """What to warn of where an artifact is loaded; None where its answers are those of the file.

    Args:
        precision: what the artifact records of its plan.
        sums: of the CPU that loads it.
    """
    achieved: Sequence[str] = [*precision.get("achieved", {})]
    if sums != "saturating" or precision.get("reduced") or not any(held.startswith("int8") for held in achieved):
        return None
    return (f"This int8 artifact may answer otherwise here than where it was verified: {_CUT}, and this is one. "
            f"Verify it on this machine, or compile it with {OPTION}=on.")  # fmt: skip
