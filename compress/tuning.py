"""Fine-tuning after a pass: with the package's own loss where there are labels, else towards the answers of the model as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..sdk.core.errors import UnsupportedError
from .base import PassContext
from .training.batches import Batch, Batches
from .training.fit import Fit, Objective
from .training.stored import Trainee

SHARE = 0.2
"""Epochs of fine-tuning where a pass does not say: this part of a full training's."""


def tuned(trainee: Trainee, was: nn.Module, batches: Batches, epochs: float, context: PassContext, key: Mapping[str, Any], *,
          after: Callable[[], None] = lambda: None, saying: str = "fine-tuning") -> None:  # fmt: skip
    """Train a changed model in place, by the package's schedule.

    Args:
        trainee: its model is trained, and left in eval mode.
        was: the model before the pass, in eval mode; its answers are the targets where there are no labels.
        batches: rows.
        epochs: 0: nothing happens.
        context: seed, deadline, progress, checkpoints.
        key: what the result depends on, as JSON.
        after: called after every step.
        saying: what is being done, for progress.
    """
    if not epochs:
        return
    schedule = replace(trainee.schedule, epochs=epochs)
    Fit(trainee.model, objective(trainee, was, batches.data.labels is not None), batches, schedule, context, key, after, saying).run()


def epochs_of(trainee: Trainee, epochs: float | None) -> float:
    """What a pass asks for, or its share of a full training."""
    return trainee.schedule.epochs * SHARE if epochs is None else epochs


def objective(trainee: Trainee, was: nn.Module, labelled: bool) -> Objective:
    """Batch -> loss: the package's own on labels, or how far the answers are from what they were."""

    def loss(batch: Batch) -> Tensor:
        return trainee.loss(trainee.model(*batch.features), batch.required())

    def apart(batch: Batch) -> Tensor:
        with torch.no_grad():
            targets = list(tensors_of(was(*batch.features)))
        pairs = zip(tensors_of(trainee.model(*batch.features)), targets, strict=True)
        return torch.stack([distance(one, two, trainee.setup.loss) for one, two in pairs]).sum()

    return loss if labelled else apart


def distance(answers: Tensor, targets: Tensor, loss: object) -> Tensor:
    """How far answers are from targets, in the sense of a named loss; else the squared error as a share of the targets' variance."""
    if loss == "cross-entropy":
        return functional.kl_div(answers.log_softmax(1), targets.log_softmax(1), reduction="batchmean", log_target=True)
    if loss == "binary-cross-entropy":
        return functional.binary_cross_entropy_with_logits(answers, targets.sigmoid())
    if loss == "cosine":
        return (1 - functional.cosine_similarity(answers, targets, dim=-1)).mean()
    return functional.mse_loss(answers, targets) / targets.var().clamp(min=1e-12)


def tensors_of(answers: object) -> Iterator[Tensor]:
    """Float tensors of what a model returns, in order."""
    if isinstance(answers, Tensor):
        if answers.is_floating_point():
            yield answers
        return
    parts: Any = cast("Mapping[str, object]", answers).values() if isinstance(answers, Mapping) else answers
    for part in parts if isinstance(parts, list | tuple) or isinstance(answers, Mapping) else ():
        yield from tensors_of(part)


def check_runs(trainee: Trainee, batches: Batches, what: str) -> None:
    """Raises UnsupportedError where the changed model does not run: it relies on what the pass changed."""
    try:
        with torch.no_grad():
            trainee.model(*next(iter(batches.in_order(2))).features)
    except Exception as error:  # the user's own code may raise anything; it is wrapped with its message
        raise UnsupportedError(f"The model does not run after {what}", got=f"{type(error).__name__}: {error}"[:300],
                               fix="Leave the layers out that its own code looks into.") from error  # fmt: skip
