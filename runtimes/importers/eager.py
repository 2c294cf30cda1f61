"""Run a source eagerly as its user would: eval mode, no gradients, one thread, native dtypes; numpy in, numpy out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ...sdk.core.errors import InputError, TraceError
from ...sdk.core.signature import NUMPY, Array, DType
from .dtypes import TORCH
from .frames import line_of_function
from .inputs import Input, complete, dimension_sizes, values
from .pipeline import Pipeline
from .program import Source
from .tracing import dtype_of_tensor
from .traps import explaining


@contextmanager
def steady(modules: Sequence[torch.nn.Module] = ()) -> Generator[None]:
    """Eval mode, no gradients, one thread; what was set before is set again afterwards."""
    training = [part for module in modules for part in module.modules() if part.training]
    threads = torch.get_num_threads()
    for part in training:
        part.training = False
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(threads)
        for part in training:
            part.training = True


def source_of(pipeline: Pipeline, inputs: Sequence[Input], image: Mapping[str, Any], modules: Sequence[torch.nn.Module] = ()) -> Source:
    """The source as a function of typed arrays by input name."""
    dtypes: dict[str, DType] = {item.spec.name: item.spec.dtype for item in inputs}

    def source(arrays: Mapping[str, Array]) -> dict[str, Array]:
        held = complete(arrays, image)
        if missing := [name for name in dtypes if name not in held]:
            raise InputError("An input is missing", field=missing[0], expected=", ".join(dtypes))
        tensors = {name: torch.from_numpy(np.array(held[name], NUMPY[dtype])).to(TORCH[dtype]) for name, dtype in dtypes.items()}
        with steady(modules):
            return {name: to_array(tensor) for name, tensor in pipeline(tensors).outputs.items()}

    return source


def to_array(tensor: torch.Tensor) -> Array:
    """A tensor as numpy in its Signature dtype."""
    return np.asarray(tensor.detach().cpu().to(TORCH[dtype_of_tensor(tensor)]).numpy())


def rehearse(pipeline: Pipeline, inputs: Sequence[Input], source: Source) -> None:
    """Run the source twice on two rows before tracing, so that its own faults are told apart from those of tracing.

    Raises:
        TraceError: it fails, returns something else than tensors, or answers differently the second time.
    """
    sizes = dimension_sizes(inputs) | {"batch": 2}
    with explaining("The functions fail on the examples"):
        first, second = (source(values(inputs, sizes)) for _ in range(2))
    if different := [name for name in first if not _same(first[name], second[name])]:
        functions = [function for function in (pipeline.featurize, pipeline.predict) if function]
        where = next((line for line in map(_line_of_random, functions) if line), None)
        raise TraceError(f"The source answers differently the second time: output {different[0]!r} depends on a random number",
                         where=where, fix="Draw random numbers once outside the functions, or take them as an input.")  # fmt: skip


def _same(first: Array, second: Array) -> bool:
    return first.shape == second.shape and bool(np.array_equal(first, second, equal_nan=first.dtype.kind == "f"))


def _line_of_random(function: Callable[..., Any]) -> Any:
    """The function's first line that speaks of chance; None where there is none or no source."""
    start = line_of_function(function)
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return start
    for offset, text in enumerate(lines):
        if "rand" in text or "shuffle" in text:
            return type(start)(start.file, first + offset, text.strip()) if start else None
    return None
