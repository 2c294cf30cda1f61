"""The pass that makes two small layers of a large one: products and convolutions of a lower rank, chosen by what their answers lose.

A Linear becomes two, a Conv1d or Conv2d its kernel to the rank and 1 x 1 (Denton et al., "Exploiting linear structure within convolutional
networks for efficient evaluation", NeurIPS 2014).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

import numpy as np
from torch import nn

from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest
from ..sdk.core.errors import InputError, UnsupportedError
from ..sdk.core.package import Package
from .base import Ahead, Options, PassContext
from .factoring import KINDS, factor, obstacle, spectra
from .layer_names import named
from .option_checks import check_choice, check_epochs, check_share, check_whole, words
from .ranks import Candidate, by_energy, by_rank, by_ratio
from .training.batches import Batch, Batches
from .training.foreseen import foreseen
from .training.retrace import repacked, require_float
from .training.stored import trainee_of
from .tuning import check_runs, epochs_of, tuned

REPORT = "annotations/low-rank.json"
ROWS, BATCH, ENERGY = 512, 32, 0.95
By: TypeAlias = Literal["answers", "weights"]


@dataclass(frozen=True)
class LowRank(Options):
    """Factor layers.

        LowRank(energy=0.95)
        LowRank(ratio=0.5, layers=["encoder.*"], epochs=2)

    One of `energy`, `rank` and `ratio` is given; without any, energy is 0.95. A layer is factored only where that saves parameters.

    Attributes:
        energy: share of the variance of each layer's answers that stays.
        rank: of every layer.
        ratio: parameters of the whole model, as a share of what they were; ranks follow.
        layers: names, patterns, or modules above them; empty: all.
        epochs: of fine-tuning, by the package's loss, or without labels towards the float model's answers; 0: none; None: a fifth of the
            package's schedule.
        by: what is kept: the layer's "answers" on the data, or its "weights".
        rows: rows of the data that answers are measured on.
    """

    kind: ClassVar[str] = "low-rank"
    energy: float | None = None
    rank: int | None = None
    ratio: float | None = None
    layers: Sequence[str] = ()
    epochs: float | None = None
    by: By = "answers"
    rows: int = ROWS

    def __post_init__(self) -> None:
        given = [name for name in ("energy", "rank", "ratio") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError("Ranks follow from one option alone", field=given[1], got=", ".join(given), fix="Give one of them.")
        if not given:
            object.__setattr__(self, "energy", ENERGY)
        if self.energy is not None:
            check_share("energy", self.energy, one=True)
        if self.rank is not None:
            check_whole("rank", self.rank)
        if self.ratio is not None:
            check_share("ratio", self.ratio)
        check_epochs(self.epochs)
        check_choice("by", self.by, get_args(By))
        check_whole("rows", self.rows, 2)
        object.__setattr__(self, "layers", words("layers", self.layers))

    def run(self, package: Package, data: Data, context: PassContext) -> Package:
        """The package with factored layers, derived from `package`.

        Raises:
            UnsupportedError: no training/ folder, no layer to factor, or one that `layers` names cannot be.
            TrustError: the package is not trusted.
            InputError: no rows, a name that no layer has, a `ratio` that cannot be reached.
        """
        require_float(package)
        trainee = trainee_of(package)
        batches, was = Batches(package, trainee, data), deepcopy(trainee.model)
        layers, left = self._layers(trainee.model)
        found = spectra(trainee.model, layers, self._few(batches, context), self.by == "weights")
        left |= {name: "the model does not call it" for name in layers if name not in found}
        candidates = [held.candidate(name) for name, held in found.items()]
        ranks = self._ranks(candidates, _parameters(was), package.name)
        edits = factor(trainee.model, ranks, found)
        check_runs(trainee, batches, "layers were factored")
        key = {"pass": self.to_dict(), "package": package.digest, "data": data_digest(data)}
        tuned(trainee, was, batches, epochs_of(trainee, self.epochs), context, key)
        note = _report(candidates, ranks, left, (_parameters(was), _parameters(trainee.model)))
        return repacked(package, trainee, self.to_dict(), context, edits, {REPORT: note})

    def look_ahead(self, ahead: Ahead) -> Ahead:
        """A factored network. Raises as `run` does, for what is known."""
        return foreseen(ahead, self.layers, "layers")

    def _ranks(self, candidates: Sequence[Candidate], parameters: int, name: str) -> dict[str, int]:
        if self.ratio is not None:
            found = by_ratio(candidates, parameters, self.ratio)
        else:
            found = by_rank(candidates, self.rank) if self.rank is not None else by_energy(candidates, self.energy or ENERGY)
        if not found:
            raise UnsupportedError("No layer becomes smaller as two of a lower rank", got=name, fix="Ask for less energy or a lower rank.")
        return found

    def _few(self, batches: Batches, context: PassContext) -> Iterator[Batch]:
        rows = np.random.default_rng(context.seed).permutation(len(batches))[: self.rows]
        for start in range(0, len(rows), BATCH):
            context.progress(start, len(rows), "measuring what layers answer")
            yield batches.of(rows[start : start + BATCH])

    def _layers(self, model: nn.Module) -> tuple[dict[str, nn.Module], dict[str, str]]:
        """(layers that can be factored, others -> the reason). Raises UnsupportedError for one that the user names outright."""
        asked = named(model, self.layers, "layers") if self.layers else None
        chosen = {name: layer for name, layer in model.named_modules()
                  if isinstance(layer, KINDS) and (asked is None or name in asked)}  # fmt: skip
        left = {name: why for name, layer in chosen.items() if (why := obstacle(model, layer))}
        if wrong := [name for name in self.layers if name in left]:
            raise UnsupportedError("This layer cannot be factored", got=f"{wrong[0]}: {left[wrong[0]]}", fix="Leave it out of `layers`.")
        if not chosen:
            raise UnsupportedError("There is no Linear, Conv1d or Conv2d to factor", got=", ".join(self.layers) or "the whole model")
        return {name: layer for name, layer in chosen.items() if name not in left}, left


def _parameters(model: nn.Module) -> int:
    return sum(held.numel() for held in model.parameters())


def _report(candidates: Sequence[Candidate], ranks: Mapping[str, int], left: Mapping[str, str], parameters: tuple[int, int]) -> bytes:
    """What became of each layer, as JSON."""
    layers = {held.name: {"rank": ranks[held.name], "of": len(held.shares), "energy": round(held.share(ranks[held.name]), 6),
                          "parameters": [held.whole, held.cost(ranks[held.name])]}
              for held in candidates if held.name in ranks}  # fmt: skip
    others = {held.name: "no rank that saves parameters keeps enough" for held in candidates if held.name not in ranks}
    said = {"layers": layers, "left": {**others, **left}, "parameters": list(parameters)}
    return json.dumps(said, indent=1, sort_keys=True, allow_nan=False).encode()
