"""A missing number stays missing: what TFLite's kernels make a number of NaN is told to leave it alone.

The fast kernels answer differently on different CPUs: where there is AVX2 but no AVX-512, `log1p(NaN)` is 88.8, `exp(NaN)` 0 and
`elu(NaN)` -1; the kernels without a delegate do the same to `maximum`, `clamp` and `erf`. A program that asks `isnan` later never
hears of it. So where an input may be missing, and only downstream of it, such a result is selected: NaN where the operand is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

LOSING = frozenset({
    "log", "log1p", "log2", "log10", "exp", "exp2", "expm1", "elu", "selu", "celu", "erf", "gelu", "maximum", "minimum", "fmax", "fmin",
    "clamp", "clip", "clamp_min", "clamp_max", "hardtanh", "relu6", "hardsigmoid", "hardswish", "softplus", "pow",
})  # fmt: skip
"""Elementwise functions whose kernels were seen to lose NaN, or are lowered to ones that do."""
_QUESTIONS = frozenset({"isnan", "isfinite", "isinf", "nan_to_num"})


class MissingKept(TorchFunctionMode):
    """While it is entered, results of `LOSING` functions are NaN where an operand that may be missing is.

    Args:
        missing: the tensors that may hold NaN. What is computed from them may hold NaN as well.
    """

    def __init__(self, missing: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self._held = {id(tensor): tensor for tensor in missing}  # held, so that no id is used twice

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """The function itself, unless an operand may be missing."""
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").split(".")[0]
        operands = [tensor for tensor in _tensors((args, kwargs or {})) if id(tensor) in self._held]
        if not operands or name in _QUESTIONS:
            return result
        if name in LOSING and isinstance(result, torch.Tensor):
            for operand in operands:
                result = torch.where(torch.isnan(operand), torch.full_like(result, torch.nan), result)
        for tensor in _tensors(result):
            if tensor.is_floating_point():
                self._held[id(tensor)] = tensor
        return result


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [tensor for part in value.values() for tensor in _tensors(part)]
    if isinstance(value, (list, tuple)):
        return [tensor for part in value for tensor in _tensors(part)]
    return []
