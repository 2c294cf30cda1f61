"""What a module computes in one forward pass, call by call: functions of torch, each with the module that it is called in.

A function of torch is found whoever calls it, a layer or the user's own code (`+`, `torch.relu`), so that no module is rewritten.
What a function calls in turn is its own affair: `multi_head_attention_forward` is one call, and a scripted module is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

Key: TypeAlias = "tuple[str, str, int]"
"""Dotted name of the module, name of the function, and which of its calls there it is: the same in every forward pass."""
CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
PRODUCTS = ("linear", "matmul", "__matmul__", "mm", "addmm")


class Calls(TorchFunctionMode):
    """While it is entered, every call goes through `call`. To be entered around one forward pass.

    Args:
        model: whose modules give calls their names.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model
        self._inside: list[str] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._hooks: list[RemovableHandle] = []

    def call(self, key: Key, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What the caller gets."""
        del key
        return function(*args, **kwargs)

    def __enter__(self) -> Calls:
        self._inside, self._counts = [""], Counter()
        for name, module in self._model.named_modules():
            self._hooks.append(module.register_forward_pre_hook(self._entering(name)))
            self._hooks.append(module.register_forward_hook(self._leaving, always_call=True))
        super().__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        while self._hooks:
            self._hooks.pop().remove()

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        name = str(getattr(func, "__name__", func))
        place = (self._inside[-1], name)
        self._counts[place] += 1
        return self.call((*place, self._counts[place]), func, args, kwargs or {})

    def _entering(self, name: str) -> Callable[..., None]:
        return lambda *_: self._inside.append(name)

    def _leaving(self, *_: Any) -> None:
        self._inside.pop()


@dataclass(frozen=True)
class Call:
    """One call that was seen.

    Attributes:
        key: of it.
        reads: the tensors among its arguments, as objects.
        made: its result, as an object; later calls may have changed what it holds.
        value: what the result held.
    """

    key: Key
    reads: tuple[Tensor, ...]
    made: Tensor
    value: Tensor

    @property
    def weight(self) -> Tensor | None:
        """What a convolution or a product multiplies by; None for another function."""
        place = 2 if self.key[1] == "addmm" else 1
        known = self.key[1] in (*CONVOLUTIONS, *PRODUCTS) and len(self.reads) > place
        return self.reads[place] if known else None


class _Seen(Calls):
    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.calls: list[Call] = []

    def call(self, key: Key, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        made = function(*args, **kwargs)
        if isinstance(made, Tensor):
            reads = tuple(held for held in _flat((*args, *kwargs.values())) if isinstance(held, Tensor))
            self.calls.append(Call(key, reads, made, made.detach().clone()))
        return made


def seen(model: nn.Module, features: tuple[Any, ...]) -> tuple[list[Call], Any]:
    """(calls whose result is a tensor, in order; what the model returned), without gradients."""
    mode = _Seen(model)
    with torch.no_grad(), mode:
        answers = model(*features)
    return mode.calls, answers


def _flat(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(held for value in values for held in (value if isinstance(value, list | tuple) else (value,)))
