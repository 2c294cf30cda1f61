"""featurize -> model -> predict on tensors, run eagerly as the source and traced as the program: one code path for both."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch

from ...sdk.core.errors import SourceLine, TraceError
from .frames import line_of_function
from .naming import named
from .tracing import Returned


@dataclass
class Recorder:
    """Takes down what the model returned during one run: the "model" boundary."""

    taken: dict[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])
    calls: int = 0

    def reset(self) -> None:
        """Forget the last run."""
        self.taken, self.calls = {}, 0

    def record(self, value: Any) -> None:
        """Keep the tensors of one call: "model", "model.<key>" or "model.<i>"; later calls carry their number."""
        name = "model" if self.calls == 0 else f"model@{self.calls}"
        self.taken |= tensors_in(value, name)
        self.calls += 1


@dataclass
class Pipeline:
    """The user's functions around a model.

    Attributes:
        featurize: called with the inputs by name, or None: the inputs are the features.
        predict: called with (model, features), or None: the model's outputs are the outputs.
        model: what predict receives and what is called.
        recorder: told by the model (a hook or a proxy) what it returns.
    """

    featurize: Callable[..., Any] | None
    predict: Callable[..., Any] | None
    model: Callable[..., Any]
    recorder: Recorder = field(default_factory=Recorder)

    def __call__(self, tensors: dict[str, torch.Tensor]) -> Returned:
        """Run on typed tensors by input name. Raises TraceError for outputs that are not tensors."""
        self.recorder.reset()
        features = self.features(tensors)
        result = self.predict(self.model, features) if self.predict else apply(self.model, features)
        outputs = named(result, "output", "output_{}", self.where)
        if clash := [name for name in outputs if name in tensors]:
            raise TraceError("An output has the name of an input", where=self.where, got=repr(clash[0]), fix="Rename one of them.")
        wrong = [name for name, held in outputs.items() if not isinstance(held, torch.Tensor)]
        if wrong:
            raise TraceError(f"Output {wrong[0]!r} is not a torch tensor", where=self.where, got=type(outputs[wrong[0]]).__name__,
                             fix="Return torch tensors, or declare the function as a host stage: host=[...].")  # fmt: skip
        groups = {"features": tensors_in(features, "features"), "model": dict(self.recorder.taken)}
        return Returned(outputs, {group: held for group, held in groups.items() if held})

    def features(self, tensors: Mapping[str, torch.Tensor]) -> Any:
        """What featurize makes of the inputs; without it one input stands for itself and several are a mapping."""
        if self.featurize:
            return self.featurize(**tensors)
        if len(tensors) == 1 and (self.predict or not _takes(self.model, next(iter(tensors)))):
            return next(iter(tensors.values()))
        return dict(tensors)

    @property
    def where(self) -> SourceLine | None:
        """Where the outputs come from, for messages."""
        return line_of_function(self.predict) if self.predict else None


def apply(model: Callable[..., Any], features: Any) -> Any:
    """The model on its features: a mapping by keyword where the model takes such keywords, a tuple by position."""
    if isinstance(features, Mapping):
        held = cast("Mapping[str, Any]", features)
        return model(**held) if all(_takes(model, name) for name in held) else model(*held.values())
    if isinstance(features, tuple | list):
        return model(*cast("Sequence[Any]", features))
    return model(features)


def parameters(function: Callable[..., Any], given: Sequence[str]) -> tuple[str, ...]:
    """Names that a function takes, in order: required parameters, and optional ones for which there is an example.

    A function with `*args` or `**kwargs` takes every given name.
    """
    found = inspect.signature(forward_of(function)).parameters.values()
    if any(item.kind is item.VAR_POSITIONAL for item in found):
        return tuple(given)
    named_ones = [item for item in found if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)]
    names = [item.name for item in named_ones if item.default is item.empty or item.name in given]
    open_ended = any(item.kind is item.VAR_KEYWORD for item in found)
    return tuple(dict.fromkeys([*names, *given] if open_ended else names))


def forward_of(model: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose parameters count: a module's forward, else the callable itself."""
    return model.forward if isinstance(model, torch.nn.Module) else model


def tensors_in(value: Any, name: str) -> dict[str, torch.Tensor]:
    """The tensors of a value by boundary name: `name` for one, `name.<key>` or `name.<i>` for several; others are left out."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    if isinstance(value, Mapping):
        items = list(cast("Mapping[str, Any]", value).items())
    elif isinstance(value, tuple | list):
        items = list(enumerate(cast("Sequence[Any]", value)))
    else:
        return {}
    return {f"{name}.{key}": held for key, held in items if isinstance(held, torch.Tensor)}


def _takes(model: Callable[..., Any], name: str) -> bool:
    try:
        found = inspect.signature(forward_of(model)).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(item.name == name or item.kind is item.VAR_KEYWORD for item in found)
