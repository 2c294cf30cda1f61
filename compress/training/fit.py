"""The loop that every pass trains with: one schedule, a checkpoint per epoch, the same result however often it was interrupted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, cos, pi
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from ...sdk.core.canonical import canonical_json
from ..base import PassContext
from ..whole_file import drop, sealed, unsealed, write_whole
from .batches import Batch, Batches
from .losses import checked
from .spec import Schedule

_STEP = "step"
"""Where a checkpoint has the count of steps that are done; all other names have a slash."""
Objective: TypeAlias = Callable[[Batch], Tensor]
"""A step's batch -> the loss; it calls the models itself, so that teachers and features are its own affair."""


@dataclass
class Fit:
    """One training run.

    Args:
        model: trained in place; left in eval mode.
        objective: batch -> loss.
        batches: rows.
        schedule: how long and how fast.
        context: seed, deadline, progress, checkpoints.
        key: of the checkpoint: everything that the result depends on, as JSON.
        after: called after every step, e.g. to hold pruned weights at zero.
        saying: what is being done, for progress.
        extra: further trained modules (a projection of features) by name.
    """

    model: nn.Module
    objective: Objective
    batches: Batches
    schedule: Schedule
    context: PassContext
    key: Mapping[str, Any] | None = None
    after: Callable[[], None] = lambda: None
    saying: str = "training"
    extra: Mapping[str, nn.Module] | None = None

    def run(self) -> float:
        """Train to the end or the deadline; the mean loss of the last epoch. Raises InputError where the loss is no number."""
        schedule, per_epoch = self.schedule, self.batches.steps(self.schedule.batch)
        total = max(1, ceil(schedule.epochs * per_epoch))
        optimizer, step, mean = self._optimizer(), 0, float("nan")
        state = Checkpoint(self._file(), self._modules(), optimizer)
        step = state.restore()
        with seeded(), training(self._modules()):
            for epoch in range(step // per_epoch, ceil(total / per_epoch)):
                torch.manual_seed(hash((self.context.seed, epoch)) % 2**63)
                losses: list[float] = []
                for place, batch in enumerate(self.batches.epoch(schedule.batch, self.context.seed, epoch), epoch * per_epoch):
                    if place >= total or self.context.late:
                        break
                    losses.append(self._step(optimizer, batch, place, total))
                    self.context.progress(place + 1, total, f"{self.saying}, loss {losses[-1]:.4g}")
                mean = sum(losses) / len(losses) if losses else mean
                if self.context.late:
                    break
                state.save((epoch + 1) * per_epoch)
        return mean

    def _step(self, optimizer: torch.optim.Optimizer, batch: Batch, place: int, total: int) -> float:
        for group in optimizer.param_groups:
            group["lr"] = self.schedule.lr * rate(place, total, self.schedule.warmup)
        optimizer.zero_grad(set_to_none=True)
        loss = checked(self.objective(batch))
        loss.backward()
        if self.schedule.clip:
            nn.utils.clip_grad_norm_(self._parameters(), self.schedule.clip)
        optimizer.step()
        self.after()
        return float(loss.detach())

    def _modules(self) -> dict[str, nn.Module]:
        return {"model": self.model, **(self.extra or {})}

    def _parameters(self) -> list[nn.Parameter]:
        return [held for module in self._modules().values() for held in module.parameters() if held.requires_grad]

    def _optimizer(self) -> torch.optim.Optimizer:
        schedule = self.schedule
        if schedule.optimizer == "sgd":
            return torch.optim.SGD(self._parameters(), schedule.lr, momentum=0.9, weight_decay=schedule.weight_decay)
        return torch.optim.AdamW(self._parameters(), schedule.lr, weight_decay=schedule.weight_decay)

    def _file(self) -> Path | None:
        if self.context.checkpoints is None or self.key is None:
            return None
        whole = {**self.key, "schedule": self.schedule.to_dict(), "seed": self.context.seed, "rows": len(self.batches)}
        return self.context.checkpoints / f"{hashlib.sha256(canonical_json(whole)).hexdigest()[:24]}.checkpoint"


def rate(step: int, total: int, warmup: float) -> float:
    """Share of the highest learning rate at a step: up over `warmup`, then down a half cosine (Loshchilov and Hutter, ICLR 2017)."""
    rising = warmup * total
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1 + cos(pi * (step - rising) / max(1.0, total - rising)))


@contextmanager
def seeded() -> Generator[None]:
    """Leave torch's own random numbers as they were."""
    with torch.random.fork_rng(devices=[]):
        yield


@contextmanager
def training(modules: Mapping[str, nn.Module]) -> Generator[None]:
    """Modules in train mode, gradients on where a parameter is to be trained; eval mode afterwards, whatever happens."""
    for module in modules.values():
        module.train()
    try:
        with torch.enable_grad():
            yield
    finally:
        for module in modules.values():
            module.eval()


class Checkpoint:
    """One file: weights, the optimizer's tensors, and the step; written whole or not at all, and read only where no byte of it changed.

    Args:
        file: None: nothing is kept.
        modules: by name.
        optimizer: of their parameters.
    """

    def __init__(self, file: Path | None, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> None:
        self._file, self._modules, self._optimizer = file, modules, optimizer

    def save(self, step: int) -> None:
        """Keep the state after this many steps."""
        if self._file is None:
            return
        tensors = {f"{name}/{key}": held.clone().contiguous() for name, module in self._modules.items()
                   for key, held in module.state_dict().items()}  # fmt: skip
        held = self._optimizer.state_dict()["state"]
        tensors |= {f"optimizer/{place}/{key}": torch.as_tensor(value).clone() for place, own in held.items() for key, value in own.items()
                    if value is not None}  # fmt: skip
        write_whole(self._file, sealed(save({**tensors, _STEP: torch.tensor(step)})), "A checkpoint of training")

    def restore(self) -> int:
        """Take up what was kept: steps done; 0 where nothing was. One that is damaged, or another model's, is removed, with a warning."""
        if self._file is None or not self._file.is_file():
            return 0
        try:
            tensors = load(unsealed(self._file.read_bytes()))
            step = int(tensors.pop(_STEP))
            self._load(tensors)
        except Exception as error:  # whatever is wrong with the file, training anew is right
            drop(self._file, error)
            return 0
        return step

    def _load(self, tensors: Mapping[str, Tensor]) -> None:
        states = {name: {key.split("/", 1)[1]: held for key, held in tensors.items() if key.startswith(f"{name}/")}
                  for name in self._modules}  # fmt: skip
        for name, module in self._modules.items():
            fresh = module.state_dict()
            if {key: held.shape for key, held in fresh.items()} != {key: held.shape for key, held in states[name].items()}:
                raise ValueError(name)
        for name, module in self._modules.items():
            module.load_state_dict(states[name])
        whole = self._optimizer.state_dict()
        own: dict[int, dict[str, Tensor]] = {}
        for key, held in tensors.items():
            if key.startswith("optimizer/"):
                _, place, field = key.split("/")
                own.setdefault(int(place), {})[field] = held
        self._optimizer.load_state_dict({"state": own, "param_groups": whole["param_groups"]})
