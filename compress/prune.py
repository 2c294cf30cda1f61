"""The pass that makes layers narrower: channels, neurons and heads go, in steps, with fine-tuning between.

Iterative pruning as in Molchanov et al., "Pruning convolutional neural networks for resource efficient inference", ICLR 2017.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest
from ..sdk.core.errors import InputError
from ..sdk.core.package import Package
from .base import Ahead, Options, PassContext
from .importance import IMPORTANCES, Importance, Scores, at_random, by_norms, by_taylor, by_weights
from .layer_names import named
from .option_checks import check_choice, check_epochs, check_share, check_whole, words
from .pruning_budget import MEASURES, Measure
from .pruning_groups import Layout
from .pruning_rounds import Rounds
from .separating import joined, separated
from .training.batches import Batch, Batches
from .training.foreseen import foreseen
from .training.retrace import repacked, require_float
from .training.stored import trainee_of
from .tuning import epochs_of, objective

REPORT = "annotations/prune.json"
ROWS, BATCH = 512, 8


@dataclass(frozen=True)
class Prune(Options):
    """Make a model narrower.

        Prune(0.5)
        Prune(0.3, importance="taylor", budget="parameters", steps=5, epochs=10, keep=["stem"])

    Attributes:
        ratio: share of the budget that is left.
        importance: what goes first: the smallest weights ("l1", "l2"), what the loss misses least on the data ("taylor", needs labels),
            the smallest scales of batch norms ("bn-scale"), or a "random" choice.
        budget: "macs" (products of layers with weights, per row) or "parameters".
        steps: prune and fine-tune this often, each time by the same share.
        epochs: of fine-tuning in all; 0: none; None: a fifth of the package's schedule.
        structured: channels, neurons and heads go, and the model shrinks. False: single weights become zero, which gives no speed.
        keep: layers, patterns or modules above them whose channels stay.
        round_to: channels that are left are a multiple of it.
        rows: rows of the data that "taylor" looks at.
        norm_rows: rows that the statistics of batch norms are taken anew on, after each round; 0: they stay, and follow training alone.
    """

    kind: ClassVar[str] = "prune"
    ratio: float = 0.5
    importance: Importance = "l2"
    budget: Measure = "macs"
    steps: int = 3
    epochs: float | None = None
    structured: bool = True
    keep: Sequence[str] = ()
    round_to: int = 8
    rows: int = ROWS
    norm_rows: int = ROWS

    def __post_init__(self) -> None:
        check_share("ratio", self.ratio)
        check_choice("importance", self.importance, IMPORTANCES)
        check_choice("budget", self.budget, MEASURES)
        check_whole("steps", self.steps)
        check_epochs(self.epochs)
        check_choice("structured", self.structured, (True, False))
        check_whole("round_to", self.round_to)
        check_whole("rows", self.rows, 2)
        check_whole("norm_rows", self.norm_rows, 0)
        object.__setattr__(self, "keep", words("keep", self.keep))
        if not self.structured and self.importance not in ("l1", "l2"):
            raise InputError("Single weights go by their size alone", field="importance", got=self.importance, expected="l1 or l2")

    def run(self, package: Package, data: Data, context: PassContext) -> Package:
        """The narrower package, derived from `package`.

        Raises:
            UnsupportedError: no training/ folder, nothing that can go, a model that cannot be traced.
            TrustError: the package is not trusted.
            InputError: no rows, a name that no layer has, a budget that cannot be kept, "taylor" without labels.
        """
        require_float(package)
        self._check_labels(data)
        trainee = trainee_of(package)
        batches = Batches(package, trainee, data)
        key = {"pass": self.to_dict(), "package": package.digest, "data": data_digest(data)}
        taken = separated(trainee.model, batches.of(np.arange(min(3, len(batches)))).features, self.keep) if self.structured else {}
        keep, epochs = named(trainee.model, self.keep, "keep"), epochs_of(trainee, self.epochs)
        start = Rounds(trainee, batches, keep, self.steps, epochs, self.norm_rows, context, key)
        made, said = start.narrow(self._scores, self.ratio, self.budget, self.round_to) if self.structured else start.thin(self.ratio)
        note = json.dumps(said, indent=1, sort_keys=True, allow_nan=False).encode()
        return repacked(package, made, self.to_dict(), context, joined(made.model, taken), {REPORT: note})

    def look_ahead(self, ahead: Ahead) -> Ahead:
        """A narrower network. Raises as `run` does, for what is known."""
        self._check_labels(ahead.data)
        return foreseen(ahead, self.keep)

    def _check_labels(self, data: Data) -> None:
        if self.importance == "taylor" and data.labels is None:
            raise InputError("What the loss misses shows on labels alone", field="importance", got="taylor",
                             fix='Pass Data(inputs=..., labels=...), or use importance="l2".')  # fmt: skip

    def _scores(self, layout: Layout, rounds: Rounds, step: int) -> Scores:
        """How much each unit matters before this step."""
        model, groups = rounds.trainee.model, layout.groups
        if self.importance == "random":
            return at_random(groups, (rounds.context.seed, step))
        if self.importance == "bn-scale":
            return by_norms(groups, model.state_dict())
        if self.importance == "taylor":
            return by_taylor(groups, model, self._few(rounds, step), objective(rounds.trainee, model, labelled=True))
        return by_weights(groups, model.state_dict(), 1 if self.importance == "l1" else 2)

    def _few(self, rounds: Rounds, step: int) -> Iterator[Batch]:
        batches = rounds.batches
        rows = np.random.default_rng((rounds.context.seed, step)).permutation(len(batches))[: self.rows]
        for start in range(0, len(rows), BATCH):
            yield batches.of(rows[start : start + BATCH])
