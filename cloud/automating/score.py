"""How sure an answer is: one number in [0, 1] per row, read from the outputs as the deployment says.

| `score =` | of an output that holds | is |
|---|---|---|
| `"confidence"` | one number per row | that number |
| `"either(defect)"` | the probability of one of two classes | p or 1 - p, whichever is larger |
| `"top(probabilities)"` | a row of probabilities | the largest |
| `"margin(probabilities)"` | a row of probabilities | the largest minus the second |

    >>> import numpy as np
    >>> parse("either(defect)").of({"defect": np.array([0.1, 0.7])})
    [0.9, 0.7]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from ...sdk.core.errors import FormatError
from ...sdk.core.signature import Signature, TensorSpec

How: TypeAlias = Literal["value", "either", "top", "margin"]
HOWS: tuple[How, ...] = get_args(How)
FEW = 16
"""Numbers that are looked at one by one, which is faster than to begin with arrays: most requests are one row."""
_TEXT = re.compile(r"(?:(\w+)\()?([^()\s]+)(\))?")
_RANK: dict[How, int] = {"value": 1, "either": 1, "top": 2, "margin": 2}


@dataclass(frozen=True)
class Score:
    """An output, and how its values become one number per row."""

    output: str
    how: How = "value"

    def __str__(self) -> str:
        return self.output if self.how == "value" else f"{self.how}({self.output})"

    def of(self, outputs: Mapping[str, Any]) -> list[float]:
        """Per row, rounded to 6 decimals as records and thresholds are; NaN where the output holds it."""
        given = outputs[self.output]
        if type(given) is np.ndarray and given.ndim == 1 and given.size <= FEW and self.how in ("value", "either"):
            if self.how == "value":
                return [round(value, 6) for value in given.tolist()]
            return [round(max(value, 1 - value), 6) for value in given.tolist()]
        return [round(value, 6) for value in self._values(np.asarray(given, np.float64)).tolist()]

    def _values(self, held: Any) -> Any:
        if self.how == "value":
            return held
        if self.how == "either":
            return np.maximum(held, 1 - held)
        if self.how == "top":
            return held.max(axis=1)
        if held.shape[1] < 2:
            return held[:, 0]
        ordered = np.sort(held, axis=1)  # NaN goes last, and the margin is NaN
        return ordered[:, -1] - ordered[:, -2]


def parse(text: str) -> Score:
    """Read a setting. Raises FormatError."""
    found = _TEXT.fullmatch(text.strip())
    if found is None or (found[1] is None) != (found[3] is None) or (found[1] is not None and found[1] not in HOWS):
        raise FormatError("This is no score", got=text[:60], expected="OUTPUT, either(OUTPUT), top(OUTPUT) or margin(OUTPUT)")
    hows: dict[str | None, How] = {None: "value", **{how: how for how in HOWS}}
    return Score(found[2], hows[found[1]])


def fitting(score: Score, signature: Signature) -> Score:
    """The score, held against the outputs. Raises FormatError."""
    spec = next((spec for spec in signature.outputs if spec.name == score.output), None)
    if spec is None:
        raise FormatError("The score is of an output that there is not", got=score.output, expected=_names(signature))
    if spec.dtype not in ("f32", "f64", "f16") or spec.batch_axis != 0 or len(spec.shape) != _RANK[score.how]:
        wanted = "real numbers, one per row" if _RANK[score.how] == 1 else "real numbers, a row of them per row"
        raise FormatError(f"The score {str(score)!r} does not fit its output", got=f"{spec.dtype} {spec.shape}", expected=wanted,
                          fix=f"One number per row: \"{spec.name}\" or \"either({spec.name})\"; or \"top({spec.name})\".")  # fmt: skip
    return score


def usual(signature: Signature) -> Score:
    """The score of outputs that speak for themselves: one called confidence, or one of probabilities. Raises FormatError."""
    found = [*filter(None, map(_usual, signature.outputs))]
    if len(found) != 1:
        raise FormatError("The outputs do not say how sure an answer is", got=_names(signature),
                          fix="Name one under [automation]: score = \"confidence\", \"either(OUTPUT)\" or \"top(OUTPUT)\".")  # fmt: skip
    return found[0]


def _usual(spec: TensorSpec) -> Score | None:
    if spec.batch_axis != 0 or spec.dtype not in ("f32", "f64", "f16"):
        return None
    if spec.name == "confidence" and len(spec.shape) == 1:
        return Score(spec.name)
    return Score(spec.name, "top") if spec.name in ("probabilities", "probability") and len(spec.shape) == 2 else None


def _names(signature: Signature) -> str:
    return ", ".join(spec.name for spec in signature.outputs)
