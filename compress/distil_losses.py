"""What a torch student is trained to: softened probabilities, embeddings or an order of scores that a teacher gave.

- soft: Hinton et al., "Distilling the Knowledge in a Neural Network" (2015): both sides at a temperature T, the gap times T squared;
  for values the squared error as a share of their variance.
- embedding: one minus the cosine to the teacher's vector, through a linear projection where the sizes differ, which is then dropped.
- ranking: several scores in a row are items of a list (ListNet; Cao et al., ICML 2007); one score in a row is compared with those of
  the batch, pair by pair (RankNet; Burges et al., ICML 2005), with the teacher's own certainty as the goal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..sdk.core.errors import InputError, UnsupportedError
from .distil_teachers import Answers, Loss
from .training.batches import Batch
from .training.stored import Trainee

Gap = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Goals:
    """The loss of a student.

    Attributes:
        trainee: the student.
        answers: what the teachers say.
        gap: (the student's answer, the teachers') -> scalar.
        given: batch -> (what the model returns, the student's answer).
        weight: of the gap; the rest is the student's own loss on labels.
        extra: modules that are trained along and dropped.
    """

    trainee: Trainee
    answers: Answers
    gap: Gap
    given: Callable[[Batch], tuple[Any, Tensor]]
    weight: float
    extra: dict[str, nn.Module]

    def __call__(self, batch: Batch) -> Tensor:
        """The loss of a batch."""
        target = torch.from_numpy(self.answers.held[batch.rows].astype(np.float32))
        raw, answer = self.given(batch)
        gap = self.gap(answer, target)
        if self.weight == 1 or batch.labels is None:
            return gap
        return self.weight * gap + (1 - self.weight) * self.trainee.loss(raw, batch.labels)


def goals_of(trainee: Trainee, answers: Answers, loss: Loss, first: Batch, *, temperature: float, weight: float, seed: int) -> Goals:
    """The objective of a loss, tried on a first batch.

    Raises UnsupportedError where the student gives nothing that the loss could use; InputError for sizes that do not fit.
    """
    given = _returned(trainee) if loss == "soft" else _named(trainee, answers.name)
    with torch.no_grad():
        answer = given(first)[1]
    size, taught = answer.reshape(len(first.rows), -1).shape[1], answers.held.shape[1]
    if loss == "embedding":
        extra = {"projection": _projection(size, taught, seed)} if size != taught else {}
        through = extra.get("projection", nn.Identity())
        return Goals(trainee, answers, lambda one, two: apart(through(one.flatten(1)), two), given, weight, extra)
    if loss == "soft" and answers.kind == "score":
        _fits(size in (taught, taught - 1 if taught == 2 else taught), size, taught)
        return Goals(trainee, answers, lambda one, two: softened(one, two, temperature), given, weight, {})
    _fits(size == taught, size, taught)
    variance = max(float(answers.held.var()), 1e-12)
    if loss == "soft":
        return Goals(trainee, answers, lambda one, two: functional.mse_loss(one.reshape(two.shape), two) / variance, given, weight, {})
    scale = variance**0.5
    return Goals(trainee, answers, listwise if taught > 1 else lambda one, two: pairwise(one, two, scale), given, weight, {})


def softened(answers: Tensor, chances: Tensor, temperature: float) -> Tensor:
    """T^2 times the divergence of the student's softened classes from the teacher's.

    Args:
        answers: (batch, classes) logits, or one logit of the second of two classes.
        chances: (batch, classes) that sum to 1.
        temperature: T.
    """
    logits = answers.reshape(len(chances), -1)
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], 1)
    target = (chances.clamp(min=1e-8).log() / temperature).softmax(1)
    return functional.kl_div((logits / temperature).log_softmax(1), target, reduction="batchmean") * temperature**2


def listwise(answers: Tensor, scores: Tensor) -> Tensor:
    """Cross entropy of the chances to come first, teacher's scores in units of each row's deviation."""
    spread = scores.std(1, keepdim=True).clamp(min=1e-6)
    target = ((scores - scores.mean(1, keepdim=True)) / spread).softmax(1)
    return -(target * answers.reshape(scores.shape).log_softmax(1)).sum(1).mean()


def pairwise(answers: Tensor, scores: Tensor, scale: float) -> Tensor:
    """Over all pairs of a batch: is the first above the second, as surely as the teacher is, whose scores are in units of `scale`."""
    one, two = answers.reshape(-1), scores.reshape(-1) / scale
    apart, sure = one[:, None] - one[None], torch.sigmoid(two[:, None] - two[None])
    return functional.binary_cross_entropy_with_logits(apart, sure)


def apart(one: Tensor, two: Tensor) -> Tensor:
    """One minus the cosine, the mean over rows."""
    return (1 - functional.cosine_similarity(one, two, dim=1)).mean()


def _projection(size: int, taught: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Linear(size, taught, bias=False)


def _returned(trainee: Trainee) -> Callable[[Batch], tuple[Any, Tensor]]:
    """What the model itself returns: logits, or values."""

    def given(batch: Batch) -> tuple[Any, Tensor]:
        raw = trainee.model(*batch.features)
        if not isinstance(raw, Tensor):
            raise UnsupportedError("The student's model returns no single tensor to teach", got=type(raw).__name__,
                                   fix='Let it return logits, or use loss="embedding" or "ranking" on a named output.')  # fmt: skip
        return raw, raw

    return given


def _named(trainee: Trainee, name: str) -> Callable[[Batch], tuple[Any, Tensor]]:
    """The output of this name, as predict makes it; without predict what the model returns."""
    if trainee.predict is None:
        return _returned(trainee)
    predict = trainee.predict

    def given(batch: Batch) -> tuple[Any, Tensor]:
        taken: list[Any] = []
        hook = trainee.model.register_forward_hook(lambda module, inputs, raw: taken.append(raw))
        try:
            made: Any = predict(trainee.model, batch.features[0] if len(batch.features) == 1 else batch.features)
        finally:
            hook.remove()
        answer: Any = made.get(name) if isinstance(made, dict) else made
        if not isinstance(answer, Tensor) or (torch.is_grad_enabled() and not answer.requires_grad):
            raise UnsupportedError(f"The student has no output {name!r} that can be taught",
                                   got=", ".join(made) if isinstance(made, dict) else type(made).__name__,
                                   fix="Give its outputs the teacher's names.")  # fmt: skip
        return (taken[0] if taken else None), answer

    return given


def _fits(holds: bool, size: int, taught: int) -> None:
    if not holds:
        raise InputError("Student and teacher answer in different sizes", field="student", got=size, expected=taught,
                         fix="Give the student's last layer the teacher's classes.")  # fmt: skip
