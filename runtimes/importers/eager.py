"""Run a source eagerly as its user would: eval mode, no gradients, one thread, native dtypes; numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ...sdk.core.errors import InputError, TraceError
from ...sdk.core.signature import NUMPY, Array, DType
from .dtypes import TORCH
from .inputs import BATCH, Input, complete, dimension_sizes, values
from .pipeline import Pipeline
from .program import Source
from .tracing import dtype_of_tensor
from .traps import explaining, watching_chance


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


def rehearse(inputs: Sequence[Input], source: Source, modules: Sequence[torch.nn.Module] = ()) -> None:
    """Run the source twice on two rows before tracing, so that its own faults are told apart from those of tracing.

    Raises:
        TraceError: it fails, returns something else than tensors, draws random numbers, writes to a module's buffer, or
            answers differently the second time.
    """
    sizes = dimension_sizes(inputs)
    sizes |= {BATCH: 2} if BATCH in sizes else {}
    described = ", ".join(f"{dim}={size}" for dim, size in sizes.items())
    fix = "Draw random numbers once outside the functions, or take them as an input."
    buffers = [(name, buffer, buffer._version) for module in modules for name, buffer in module.named_buffers()]
    with explaining(f"The functions fail on the examples ({described or 'as they are'})"):
        with watching_chance() as lines:
            first = source(values(inputs, sizes))
        second = source(values(inputs, sizes))
    if lines:
        raise TraceError("A random number is drawn in the path of the tensors", where=lines[0], fix=fix)
    if written := [name for name, buffer, version in buffers if buffer._version != version]:
        raise TraceError("The model changes its own buffer while it runs", got=written[0],
                         fix="Return the new value as an output and declare the pair: state={output: (input, initial)}.")  # fmt: skip
    if different := [name for name in first if not _same(first[name], second[name])]:
        what = f"The source answers differently the second time: output {different[0]!r} depends on chance or on earlier calls"
        raise TraceError(what, fix=fix)


def _same(first: Array, second: Array) -> bool:
    return first.shape == second.shape and bool(np.array_equal(first, second, equal_nan=first.dtype.kind == "f"))
