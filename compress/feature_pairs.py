"""Which layers of a student learn from which of a teacher: those that a user names, or those that both have under one name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from ..sdk.core.errors import InputError
from .option_checks import check, number
from .tuning import tensors_of

BLOCKS = 4
"""Layers that are taught where nobody names them, the last before the head among them."""
NAMES = 12
"""Names that a refusal lists, the most alike first."""
_MAPS = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)
_ROWS = (nn.Linear, nn.LayerNorm)


@dataclass(frozen=True)
class Glimpse:
    """What a layer answered to a few rows.

    Attributes:
        shape: of its first float tensor.
        axis: of the features in it.
        calls: how often it was called.
    """

    shape: tuple[int, ...]
    axis: int
    calls: int

    def fits(self, other: Glimpse) -> bool:
        """The answers can be compared: rows by rows, maps of any size with maps, sequences with those as long."""
        one, two = self.shape, other.shape
        if len(one) != len(two) or len(one) < 2 or one[0] != two[0]:
            return False
        return (self.axis == 1) == (other.axis == 1) and (len(one) != 3 or self.axis == 1 or one[1] == two[1])


@dataclass(frozen=True)
class Pair:
    """A layer that learns and the one that it learns from, by dotted name, with the axes of their features."""

    student: str
    teacher: str
    own: int
    other: int


def check_features(features: object, weight: object, loss: str) -> None:
    """Raises InputError for options of the loss "features" that mean nothing, or that stand beside another loss."""
    held: Any = features
    named = isinstance(features, Mapping) and bool(held) and all(isinstance(name, str) and name for pair in held.items() for name in pair)
    check("features", features, features is None or named, '{"layer of the student": "layer of the teacher"}, or nothing')
    check("features", features, features is None or loss == "features", 'loss="features"')
    check("feature_weight", weight, number(weight) and 0 < weight < float("inf"), "a number above 0")  # type: ignore[operator]
    check("feature_weight", weight, weight == 1 or loss == "features", 'loss="features"')


def glimpsed(model: nn.Module, features: tuple[Any, ...]) -> dict[str, Glimpse]:
    """Dotted name -> what each layer answered, in the order in which they were done; those without a float tensor are missing."""
    found: dict[str, Glimpse] = {}

    def watch(name: str) -> Any:
        def seen(module: nn.Module, _: object, answer: object) -> None:
            if (held := next(tensors_of(answer), None)) is not None:
                calls = found.pop(name).calls if name in found else 0
                found[name] = Glimpse(tuple(held.shape), axis_of(module, held), calls + 1)

        return seen

    hooks = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad():
            model(*features)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def axis_of(module: nn.Module, answer: Tensor) -> int:
    """Where the features are: the second axis of maps, the last of sequences and vectors; the module's last layer tells, and its width."""
    if answer.ndim < 3:
        return answer.ndim - 1
    last = next((held for held in reversed([*module.modules()]) if _weighted(held)), None)
    rows = isinstance(last, _ROWS) or (answer.ndim == 3 and not isinstance(last, _MAPS))
    likely, other = (answer.ndim - 1, 1) if rows else (1, answer.ndim - 1)
    weight = getattr(last, "weight", None)
    if not isinstance(weight, Tensor) or answer.shape[likely] == len(weight) or answer.shape[other] != len(weight):
        return likely
    return other


def pairs_of(asked: Mapping[str, str] | None, student: nn.Module, own: Mapping[str, Glimpse],
             other: Mapping[str, Glimpse]) -> tuple[Pair, ...]:  # fmt: skip
    """The pairs that are taught.

    Args:
        asked: layer of the student -> layer of the teacher; None: found by name.
        student: the model.
        own, other: what layers of student and teacher answered to the same rows.

    Raises InputError for layers that do not exist, are never called or cannot be compared; where no name is in both.
    """
    found = {name: name for name in _shared(student, own, other)} if asked is None else asked
    if not found:
        raise InputError("Student and teacher have no inner layer of one name", field="features",
                         got=", ".join(own), expected=", ".join(other),
                         fix='Name pairs: features={"layer of the student": "layer of the teacher"}.')  # fmt: skip
    for one, two in found.items():
        _exists(one, own, "student")
        _exists(two, other, "teacher")
        if not own[one].fits(other[two]):
            raise InputError("The answers of these layers cannot be compared", field="features",
                             got=f"{one}: {own[one].shape}, {two}: {other[two].shape}",
                             expected="maps and maps, vectors and vectors, or sequences of one length")  # fmt: skip
    return tuple(Pair(one, two, own[one].axis, other[two].axis) for one, two in found.items())


def _exists(name: str, known: Mapping[str, Glimpse], whose: str) -> None:
    if name not in known:
        near = get_close_matches(name, known, NAMES, 0.0)
        raise InputError(f"The {whose} has no layer of this name that answers with a tensor", field="features", got=name,
                         expected=", ".join(near))  # fmt: skip


def _shared(student: nn.Module, own: Mapping[str, Glimpse], other: Mapping[str, Glimpse]) -> list[str]:
    """Blocks that both have under one name, evenly from the first to the last before the head."""
    layers = [name for name, module in student.named_modules() if name and _weighted(module)]
    called = [name for name in own if name in layers]
    known = {name for name, held in own.items() if name in other and held.calls == other[name].calls == 1 and held.fits(other[name])}
    found = set(_blocks(student, "", known, called[-1] if called else "", len(layers) / 2))
    order = [name for name in own if name in found]
    return [order[place] for place in sorted({ceil((step + 1) * len(order) / BLOCKS) - 1 for step in range(BLOCKS)}) if place >= 0]


def _blocks(module: nn.Module, path: str, known: set[str], head: str, most: float) -> Iterator[str]:
    """The outermost known modules with weights that hold neither the head nor more than `most` layers."""
    for name, child in module.named_children():
        whole = f"{path}{name}"
        layers = sum(_weighted(held) for held in child.modules())
        if whole in known and 0 < layers <= most and not f"{head}.".startswith(f"{whole}."):
            yield whole
        elif layers:
            yield from _blocks(child, f"{whole}.", known, head, most)


def _weighted(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))
