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

    def source(arrays: Mapping[str, Array]) -> dict[str, Array]:
        with steady(modules):
            return {name: to_array(tensor) for name, tensor in pipeline(tensors_of(arrays, inputs, image)).outputs.items()}

    return source


def inner_of(pipeline: Pipeline, inputs: Sequence[Input], image: Mapping[str, Any], boundaries: Mapping[str, Sequence[str]],
             modules: Sequence[torch.nn.Module] = ()) -> Source:  # fmt: skip
    """The source's own values at the program's boundaries, by the names that the program gives them."""

    def inner(arrays: Mapping[str, Array]) -> dict[str, Array]:
        with steady(modules):
            groups = pipeline(tensors_of(arrays, inputs, image)).boundaries
        pairs = (zip(names, groups.get(group, {}).values(), strict=False) for group, names in boundaries.items())
        return {name: to_array(tensor) for group in pairs for name, tensor in group}

    return inner


def tensors_of(arrays: Mapping[str, Array], inputs: Sequence[Input], image: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Typed arrays by input name as tensors of native dtypes. Raises InputError for an input that is missing."""
    dtypes: dict[str, DType] = {item.spec.name: item.spec.dtype for item in inputs}
    held = complete(arrays, image)
    if missing := [name for name in dtypes if name not in held]:
        raise InputError("An input is missing", field=missing[0], expected=", ".join(dtypes))
    return {name: torch.from_numpy(np.array(held[name], NUMPY[dtype])).to(TORCH[dtype]) for name, dtype in dtypes.items()}


def to_array(tensor: torch.Tensor) -> Array:
    """A tensor as numpy in its Signature dtype."""
    return np.asarray(tensor.detach().cpu().to(TORCH[dtype_of_tensor(tensor)]).numpy())


def rehearse(inputs: Sequence[Input], source: Source, modules: Sequence[torch.nn.Module] = ()) -> None:
    """Run the source twice on two rows before tracing, so that its own faults are told apart from those of tracing.

    Raises:
        TraceError: it fails, returns something else than tensors, draws random numbers, writes to a module's buffer, or
            answers differently the second time.
    """
    _refuse_text(inputs)
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


def _refuse_text(inputs: Sequence[Input]) -> None:
    if text := [item for item in inputs if item.spec.dtype == "string"]:
        raise InputError("A traced program reads numbers, and these examples are text or objects", field=text[0].spec.name,
                         got=repr(text[0].example.ravel()[0])[:80],
                         fix="Give numbers, or a codec for this field: codec={...: ps.codec.Categories([...])}.")  # fmt: skip
