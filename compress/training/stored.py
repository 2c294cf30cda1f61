"""The `training/` folder of a package: what training needs, written when the package is packed and proven to give the model again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from ...sdk.core.errors import FormatError, InputError, PortsideError, TrustError, UnsupportedError
from ...sdk.core.package import Package
from .losses import NAMED, Loss
from .sources import FOLDER, Named, captured, loaded
from .spec import Schedule, Training
from .structure import Edit, with_edits, with_weights

ABOUT, WEIGHTS = f"{FOLDER}training.json", f"{FOLDER}weights.safetensors"
VERSION = 1
Function = Callable[..., Any]


@dataclass(frozen=True)
class Setup:
    """What `training.json` states.

    Attributes:
        factory, config: make the module.
        featurize, predict: around it; None: there is none.
        loss: a name, or the user's function.
        schedule: of a full training.
        edits: what passes changed in the module, see `structure.py`.
        dynamic: input -> {axis: dimension}, as `pack` was given.
        image: input -> largest (height, width), as `pack` was given.
    """

    factory: Named
    config: Mapping[str, Any]
    featurize: Named | None
    predict: Named | None
    loss: str | Named
    schedule: Schedule
    edits: tuple[Edit, ...] = ()
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict[str, Mapping[int, str]])
    image: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    def to_bytes(self) -> bytes:
        """The file."""
        functions = {key: held.to_dict() if (held := getattr(self, key)) else None for key in ("factory", "featurize", "predict")}
        data = {
            "version": VERSION, **functions, "config": dict(self.config),
            "loss": self.loss if isinstance(self.loss, str) else self.loss.to_dict(), "schedule": self.schedule.to_dict(),
            "edits": [dict(edit) for edit in self.edits],
            "dynamic": {name: {str(axis): dim for axis, dim in axes.items()} for name, axes in self.dynamic.items()},
            "image": {name: list(size) for name, size in self.image.items()},
        }  # fmt: skip
        return json.dumps(data, indent=1, sort_keys=True, allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Setup:
        """Parse. Raises FormatError."""
        try:
            held: dict[str, Any] = json.loads(data)
            if held["version"] != VERSION:
                raise FormatError("The package's training is of another version", got=held["version"], expected=VERSION)
            named = {key: Named.from_dict(held[key]) if held[key] is not None else None for key in ("factory", "featurize", "predict")}
            loss = held["loss"] if isinstance(held["loss"], str) else Named.from_dict(held["loss"])
            dynamic = {name: {int(axis): str(dim) for axis, dim in axes.items()} for name, axes in held["dynamic"].items()}
            image = {name: (int(size[0]), int(size[1])) for name, size in held["image"].items()}
            return cls(cast("Named", named["factory"]), held["config"], named["featurize"], named["predict"], loss,
                       Schedule.from_dict(held["schedule"]), tuple(held["edits"]), dynamic, image)  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError("The package's training.json is malformed", got=f"{type(error).__name__}: {error}"[:200]) from error


@dataclass(frozen=True)
class Trainee:
    """A package's module, made again, with everything that training it needs.

    Attributes:
        model: in eval mode, with the package's weights; a pass may change it.
        featurize, predict: the functions around it.
        loss: (what the model returns, labels) -> scalar.
        setup: what the package states.
    """

    model: nn.Module
    featurize: Function | None
    predict: Function | None
    loss: Loss
    setup: Setup

    @property
    def schedule(self) -> Schedule:
        """Of a full training."""
        return self.setup.schedule


def written(training: Training, model: object, featurize: Function | None, predict: Function | None, *,
            dynamic: Mapping[str, Mapping[int, str]] | None = None,
            image: Mapping[str, Any] | None = None) -> dict[str, bytes]:  # fmt: skip
    """Path -> bytes of the `training/` folder, after the model was made again from it.

    Args:
        training: what the user says.
        model: trained; a torch module.
        featurize, predict: as given to `pack`.
        dynamic, image: as given to `pack`.

    Raises InputError for what cannot travel, or does not give the model again; FormatError where a file does not run by itself.
    """
    if not isinstance(model, nn.Module):
        raise InputError("Only a torch module can be trained further", field="training", got=type(model).__name__,
                         fix="Leave training= out; estimators are shrunk without it.")  # fmt: skip
    files: dict[str, bytes] = {}
    named = {key: None if held is None else captured(held, key, files)
             for key, held in (("factory", training.factory), ("featurize", featurize), ("predict", predict))}  # fmt: skip
    loss = training.loss if isinstance(training.loss, str) else captured(training.loss, "loss", files)
    sizes = {name: (int(held.max[0]), int(held.max[1])) for name, held in (image or {}).items()}
    setup = Setup(cast("Named", named["factory"]), _plain(training.config), named["featurize"], named["predict"], loss, training.schedule,
                    (), dynamic or {}, sizes)  # fmt: skip
    files |= {ABOUT: setup.to_bytes(), WEIGHTS: weights_of(model)}
    try:
        rebuilt(setup, files.__getitem__, resize=False)
    except PortsideError as error:
        raise InputError("The model cannot be made again from its factory", field="training", got=str(error)) from error
    return files


def trainee_of(package: Package) -> Trainee:
    """The module of a package, made again.

    Raises:
        UnsupportedError: the package has no `training/` folder.
        TrustError: the caller does not trust the package; nothing has run.
        FormatError: the folder does not give a module.
    """
    require_training(package)
    return rebuilt(Setup.from_bytes(package.read(ABOUT)), package.read)


def require_training(package: Package) -> None:
    """Raises UnsupportedError for a package without a `training/` folder, TrustError where the caller does not trust it."""
    if ABOUT not in package.content.files:
        raise UnsupportedError(f"Package {package.name!r} cannot be trained: it has no training/ folder",
                               fix="Pack it with training=ps.Training(factory, config).")  # fmt: skip
    if not package.trusted:
        raise TrustError(f"Training {package.name!r} runs Python of its own", got=ABOUT,
                         fix="Read its training/ folder, then open it with trust=True (CLI: --trust).")  # fmt: skip


def rebuilt(setup: Setup, read: Callable[[str], bytes], resize: bool = True) -> Trainee:
    """A trainee from what a `training/` folder holds, layers resized to their weights. Raises FormatError, MissingExtraError."""
    factory = loaded(setup.factory, read)
    try:
        model = factory(**setup.config)
    except Exception as error:  # the user's own code may raise anything; it is wrapped with its message
        raise FormatError(f"The factory failed: {type(error).__name__}: {error}", got=setup.factory.name) from error
    if not isinstance(model, nn.Module):
        raise FormatError("The factory made no torch module", got=type(model).__name__)
    with_weights(with_edits(model, setup.edits), load(read(WEIGHTS)), resize)
    featurize, predict = (None if held is None else loaded(held, read) for held in (setup.featurize, setup.predict))
    loss = NAMED[setup.loss] if isinstance(setup.loss, str) else loaded(setup.loss, read)
    return Trainee(model.eval(), featurize, predict, loss, setup)


def changed(trainee: Trainee, edits: Sequence[Edit] = ()) -> dict[str, bytes]:
    """Files of the `training/` folder that differ after a pass: weights, and edits beside those there were."""
    setup = replace(trainee.setup, edits=(*trainee.setup.edits, *edits))
    return {ABOUT: setup.to_bytes(), WEIGHTS: weights_of(trainee.model)}


def weights_of(model: nn.Module) -> bytes:
    """The state of a module as safetensors; tensors that share memory are written each."""
    state: dict[str, Tensor] = {name: held.detach().clone().contiguous() for name, held in model.state_dict().items()}
    with torch.no_grad():
        return save(state)


def _plain(config: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return cast("Mapping[str, Any]", json.loads(json.dumps(dict(config), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise InputError("The factory's config is no JSON", field="config", got=str(error)) from error
