"""The answers a person may pick from, found among a model's outputs.

The output that is decided has categories, is a code, or is a number. Its probabilities are another output: one of shape
(batch, K) where K is how many answers there are, or one number per row: the probability of the answer given (or, of an output called
"score" beside two classes, that of the second).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...sdk.core.errors import InputError
from ...sdk.core.records import plain
from ...sdk.core.signature import Array, Signature, TensorSpec
from .item import Candidate

MOST = 9
"""Candidates that have a key of their own."""


def decided_output(signature: Signature) -> str:
    """The output that people decide where the deployment does not say: the only decision, else the first output. Raises InputError."""
    seen = [spec for spec in signature.outputs if not (spec.redact or spec.stays_on_device)]
    if not seen:
        raise InputError("There is no output that a person may see", expected="one that is not redacted")
    return next((spec.name for spec in seen if spec.kind == "decision"), seen[0].name)


def given(outputs: Mapping[str, Array], signature: Signature, output: str, row: int) -> Any:
    """The model's own value of an output for one row, JSON-ready."""
    return _row(outputs[output], signature.output(output), row)


def candidates_of(outputs: Mapping[str, Array], signature: Signature, output: str, row: int, most: int = MOST) -> tuple[Candidate, ...]:
    """The answers of one row, the likeliest first, the model's own always among them.

    Args:
        outputs: as the model gave them, codes and not names: name -> batch.
        output: the one that is decided.
        most: at most so many.

    Raises FormatError where there is no such output.
    """
    spec = signature.output(output)
    said = _row(outputs[output], spec, row)
    if said is None:
        return ()
    if not isinstance(said, int) or isinstance(said, bool) or said < 0:
        return (Candidate(said, _shown(said, spec), _single(outputs, signature, output, row)),)
    shares = _shares(outputs, signature, output, row, said)
    codes = sorted(shares, key=lambda code: (-_or(shares[code], -1.0), code != said, code))
    chosen = codes[:most] if said in codes[:most] else [*codes[: most - 1], said]
    return tuple(Candidate(code, _shown(code, spec), shares[code]) for code in chosen)


def _shares(outputs: Mapping[str, Array], signature: Signature, output: str, row: int, said: int) -> dict[int, float | None]:
    """Code -> probability, of every answer that is known."""
    spec = signature.output(output)
    count = len(spec.categories) if spec.categories else _count(spec)
    for other in signature.outputs:
        values = None if other.name == output or other.batch_axis != 0 else outputs.get(other.name)
        if values is not None and _is_distribution(shares := np.asarray(values[row]), count) and said < len(shares):
            return {code: float(value) for code, value in enumerate(shares)}
    known: dict[int, float | None] = dict.fromkeys(range(count or 0))
    known[said] = share = _single(outputs, signature, output, row)
    if len(known) == 2 and 1 - said in known and share is not None:
        known[1 - said] = 1 - share
    return known


def _count(spec: TensorSpec) -> int | None:
    """How many codes there are, where the signature's range says it."""
    if spec.range is None or spec.dtype.startswith("f") or spec.range[0] != 0 or not 0 < spec.range[1] < 20:
        return None
    return int(spec.range[1]) + 1


def _is_distribution(values: Array, count: int | None) -> bool:
    if values.ndim != 1 or values.dtype.kind != "f" or len(values) < 2 or count not in (None, len(values)):
        return False
    return bool(np.all((values >= 0) & (values <= 1))) and abs(float(values.sum()) - 1) < 0.01


def _single(outputs: Mapping[str, Array], signature: Signature, output: str, row: int) -> float | None:
    """The probability of the answer given, where one output is just that."""
    for spec in signature.outputs:
        if spec.name == output or spec.kind not in ("score", None) or spec.batch_axis != 0 or spec.name not in outputs:
            continue
        values = np.asarray(outputs[spec.name][row])
        if values.size == 1 and values.dtype.kind == "f" and 0 <= float(values.ravel()[0]) <= 1:
            share = float(values.ravel()[0])
            said = np.asarray(outputs[output][row]).ravel()
            return 1 - share if spec.name == "score" and said.size == 1 and said[0] == 0 else share
    return None


def _row(array: Array, spec: TensorSpec, row: int) -> Any:
    """One row's value, JSON-ready: NaN is None."""
    value = np.asarray(array) if spec.batch_axis is None else np.take(np.asarray(array), row, axis=spec.batch_axis)
    return plain(value.reshape(())) if value.size == 1 else plain(value)


def _shown(value: Any, spec: TensorSpec) -> str:
    names = spec.categories
    if names is not None and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    unit = f" {spec.unit}" if spec.unit else ""
    return f"{value:.6g}{unit}" if isinstance(value, float) else f"{value}{unit}"


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
