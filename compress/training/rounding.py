"""Is a disagreement of two float programs more than rounding? Measured by the source against itself, computed in another order.

Training can leave a network that magnifies rounding: behind a norm whose channel hardly varies, the last bits of a sum are worth a
thousandth of the answer. The source and its program add in different orders, so such scores differ by more than the contract allows,
and neither is the better one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import torch

from ...runtimes.fidelity import OutputCheck
from ...runtimes.report import Report
from ...sdk.core import golden
from ...sdk.core.errors import ContractError
from ...sdk.core.signature import Array, Signature

Answers = Callable[[Mapping[str, Array]], dict[str, Array]]
TIMES = 4.0
"""A difference up to so many times that of the source against itself is rounding: the latter was measured on a few rows."""
MOST = 5e-3
"""No difference of scores above this is called rounding."""
ROWS = 32


def rounding_limits(error: ContractError, signature: Signature, source: Answers,
                    inputs: Mapping[str, Array]) -> dict[str, dict[str, float]]:  # fmt: skip
    """Output -> tolerances under which the disagreement is rounding; empty where anything in it is more than that.

    Args:
        error: of the program's first check, with its report.
        signature: of both.
        source: the trained model.
        inputs: golden rows.
    """
    failed = _failed(error)
    if not failed or any(check.judgement.kind != "score" for check in failed):
        return {}
    apart = noise(signature, source, inputs)
    found = {check.output: TIMES * apart.get(check.output, 0.0) for check in failed}
    rounding = all(check.judgement.max_abs <= min(found[check.output], MOST) for check in failed)
    return {name: {"atol": min(limit, MOST)} for name, limit in found.items()} if rounding else {}


def noise(signature: Signature, source: Answers, inputs: Mapping[str, Array]) -> dict[str, float]:
    """Output -> the largest difference of the source to itself, with other kernels and row by row."""
    rows = min(ROWS, golden.rows_of(signature, inputs))
    some = golden.take(signature, inputs, range(rows))
    answers = source(some)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # switching oneDNN off makes torch remark on GPUs
        with torch.backends.mkldnn.flags(enabled=False):
            others = [source(some)]
    if golden.fixed_rows(signature) is None and not signature.state:
        alone = [source(golden.take(signature, some, [row])) for row in range(rows)]
        others.append({name: np.concatenate([held[name] for held in alone]) for name, held in answers.items() if held.ndim})
    return {name: max(_apart(held, other[name]) for other in others if name in other) for name, held in answers.items()}


def _failed(error: ContractError) -> list[OutputCheck]:
    report = error.report
    if not isinstance(report, Report) or any(target.golden.fault for target in report.targets):
        return []
    return [check for target in report.targets for check in target.golden.checks if check.judgement.verdict == "failed"]


def _apart(one: Array, other: Array) -> float:
    if one.shape != other.shape or one.dtype.kind != "f":
        return 0.0
    return float(np.abs(one.astype(np.float64) - other).max(initial=0.0))
