"""Pruning in rounds: a share goes, the rest is trained, and again; the last round ends at the budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from torch import nn

from ..sdk.core.errors import UnsupportedError
from .base import PassContext
from .importance import Scores
from .magnitude import REMARK, holder, masks, zipped_bytes
from .narrowing import narrowed, shapes, traced
from .pruning_budget import Measure, chosen, cost, whole
from .pruning_groups import Layout
from .training.batches import Batches
from .training.norms import estimated, parted
from .training.stored import Trainee, weights_of
from .tuning import tuned

Report: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Rounds:
    """What all rounds share.

    Attributes:
        trainee: the model as it stands before a round.
        batches: rows that it is trained on.
        keep: names of modules whose channels, or weights, stay.
        steps: rounds.
        epochs: of fine-tuning, over all rounds.
        norm_rows: rows that the statistics of batch norms are taken anew on after a round; 0: they stay.
        context: seed, deadline, progress, checkpoints.
        key: of the checkpoints, as JSON.
    """

    trainee: Trainee
    batches: Batches
    keep: frozenset[str]
    steps: int
    epochs: float
    norm_rows: int
    context: PassContext
    key: Mapping[str, Any]

    def narrow(self, scores: Callable[[Layout, Rounds, int], Scores], ratio: float, measure: Measure,
               round_to: int) -> tuple[Trainee, Report]:  # fmt: skip
        """Take units away; the narrower trainee, and what became of it.

        Args:
            scores: (groups, these rounds, number of the round) -> how much each unit matters.
            ratio: share of the measure that is left at the end.
            measure: what the budget counts.
            round_to: channels become a multiple of it.
        """
        was, features = deepcopy(self.trainee.model), self.batches.of(np.arange(min(3, len(self.batches)))).features
        first = found = traced(was, features, self.keep)
        alive, now = whole(first), self
        total = cost(first, alive, measure)
        chosen(first, scores(first, now, 0), total * ratio, measure, round_to)  # a budget that cannot be kept is refused before training
        for step in range(1, self.steps + 1):
            found = found if step == 1 else traced(now.trainee.model, features, self.keep)
            alive = chosen(found, scores(found, now, step), total * ratio ** (step / self.steps), measure, round_to)
            now = replace(now, trainee=replace(now.trainee, model=narrowed(now.trainee.model, features, found, alive)))
            now._train(was, step)
        counted = {held: [round(cost(first, whole(first), held)), round(cost(found, alive, held))] for held in ("macs", "parameters")}
        return now.trainee, {**counted, "layers": shapes(was, now.trainee.model), "left": dict(first.left)}

    def thin(self, ratio: float) -> tuple[Trainee, Report]:
        """Set weights to zero, so that this share is left; the trainee, and what became of it."""
        was, before = deepcopy(self.trainee.model), zipped_bytes(weights_of(self.trainee.model))
        held = masks(was, self.keep, 1.0)
        if not held:
            raise UnsupportedError("No weight of the model can go", got="none but those that were asked for")
        for step in range(1, self.steps + 1):
            held = masks(self.trainee.model, self.keep, ratio ** (step / self.steps))
            hold = holder(self.trainee.model, held)
            hold()
            self._train(was, step, hold)
        self.context.progress(self.steps, self.steps, REMARK)
        left = [sum(mask.numel() for mask in held.values()), sum(int(mask.sum()) for mask in held.values())]
        return self.trainee, {"weights": left, "zipped_bytes": [before, zipped_bytes(weights_of(self.trainee.model))], "remark": REMARK}

    def _train(self, was: nn.Module, step: int, after: Callable[[], None] = lambda: None) -> None:
        key, saying = {**self.key, "round": step}, f"fine-tuning, round {step} of {self.steps}"
        tuned(self.trainee, was, self.batches, self.epochs / self.steps, self.context, key, after=after, saying=saying)
        rows = np.random.default_rng((self.context.seed, step)).permutation(len(self.batches))[: self.norm_rows]
        estimated(self.trainee.model, map(self.batches.of, parted(rows)))
