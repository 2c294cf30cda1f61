"""What a user says once about training: how the module is made, its loss, its schedule. Every pass that trains uses the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias, cast, get_args

from ...sdk.core.errors import InputError

LossName: TypeAlias = Literal["cross-entropy", "binary-cross-entropy", "mse", "l1", "cosine"]
Optimizer: TypeAlias = Literal["adamw", "sgd"]
LOSSES: tuple[str, ...] = get_args(LossName)
_POSITIVE = ("epochs", "batch", "lr")


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        epochs: over the data; 0.5 is half of it.
        batch: rows of a step.
        lr: the highest learning rate; it rises over `warmup` and falls to nothing on a half cosine.
        weight_decay: of the optimizer, decoupled for "adamw".
        warmup: share of all steps.
        clip: largest norm of all gradients together; 0: none.
        optimizer: "adamw", or "sgd" with momentum 0.9.
    """

    epochs: float = 5
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.0
    warmup: float = 0.05
    clip: float = 1.0
    optimizer: Optimizer = "adamw"

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "optimizer":
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not (value > 0 if item.name in _POSITIVE else 0 <= value < float("inf")):
                expected = "a number above 0" if item.name in _POSITIVE else "a number, 0 or more"
                raise InputError(f"The schedule's {item.name!r} means nothing", field=item.name, got=value, expected=expected)
        if self.optimizer not in get_args(Optimizer):
            raise InputError("There is no such optimizer", field="optimizer", got=self.optimizer, expected=", ".join(get_args(Optimizer)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Schedule:
        """Parse. Raises InputError for what no schedule has."""
        if unknown := sorted(set(data) - {item.name for item in fields(cls)}):
            raise InputError("A schedule has no such field", field=unknown[0], expected=", ".join(item.name for item in fields(cls)))
        return cls(**data)


@dataclass(frozen=True)
class Training:
    """How a packed torch module is made again, and trained on.

        ps.pack(model, ..., training=ps.Training(make_net, {"width": 64}, loss="cross-entropy"))

    The file that defines the factory travels in the package's `training/` folder, as do those of featurize and predict, and the
    weights. It runs only for a caller who trusts the package.

    Attributes:
        factory: a function at the top level of a file, or "module:name" of one in an installed package; called with **config.
        config: JSON values.
        loss: a name, or a function (what the model returns, labels) -> scalar tensor.
        schedule: of a full training; passes take a share of it unless they say otherwise.
    """

    factory: Callable[..., Any] | str
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    loss: LossName | Callable[..., Any] = "cross-entropy"
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        if isinstance(self.factory, str) and self.factory.count(":") != 1:
            raise InputError("The factory is named as module:function", field="factory", got=self.factory, expected='"my.module:make"')
        if not isinstance(self.factory, str) and not callable(cast("object", self.factory)):
            raise InputError("The factory is a function or its name", field="factory", got=type(self.factory).__name__)
        if isinstance(self.loss, str) and self.loss not in LOSSES:
            raise InputError("There is no such loss", field="loss", got=self.loss, expected=f"a function, or {', '.join(LOSSES)}")
