"""The pass that trains a module while its numbers are rounded to int8, so that every target's int8 loses less.

What is rounded is what the plan of int8-static says of the program, with the codes that the lowering makes. The result is a float
program of the trained weights with that plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias, get_args

from ..sdk.core.data import Data
from ..sdk.core.errors import InputError
from ..sdk.core.package import Package
from ..sdk.core.temporary import temporary_folder
from .base import Ahead, Options, PassContext
from .foresight import check_nodes
from .histogram import METHODS, Method
from .option_checks import check, check_choice, check_epochs, number, words
from .qat_course import Course, Settled
from .quantize import Plans
from .training.batches import Batches
from .training.foreseen import foreseen
from .training.retrace import require_float
from .training.stored import trainee_of
from .tuning import epochs_of

LR_SHARE = 0.25
"""Learning rate where the pass does not say: this part of a full training's."""
Towards: TypeAlias = Literal["labels", "float", "both"]
Learning: TypeAlias = Literal["learned", "moving"]


@dataclass(frozen=True)
class QAT(Options):
    """Quantization-aware training.

        QAT()
        QAT(epochs=3, keep=["head.3"], towards="both")

    Attributes:
        epochs: None: a fifth of the package's schedule.
        lr: highest learning rate; None: a quarter of the schedule's.
        keep: "stage/node" ids, or names of modules, that stay float32.
        calibration: how ranges of activations begin: "min-max", "percentile", "entropy".
        ranges: how they go on: "learned" with the weights, or "moving" averages of what batches hold.
        freeze_ranges: share of the steps, the last ones, in which ranges stand still.
        per_channel: weights have a scale per output channel.
        towards: "labels": the package's own loss; "float": the answers that the float model gives; "both": the sum. None: labels where the
            data has them.
    """

    kind: ClassVar[str] = "qat"
    epochs: float | None = None
    lr: float | None = None
    keep: Sequence[str] = ()
    calibration: Method = "min-max"
    ranges: Learning = "learned"
    freeze_ranges: float = 0.5
    per_channel: bool = True
    towards: Towards | None = None

    def __post_init__(self) -> None:
        check_epochs(self.epochs)
        check("lr", self.lr, self.lr is None or (number(self.lr) and 0 < self.lr < float("inf")), "a number above 0")
        check_choice("calibration", self.calibration, METHODS)
        check_choice("ranges", self.ranges, get_args(Learning))
        check("freeze_ranges", self.freeze_ranges, number(self.freeze_ranges) and 0 <= self.freeze_ranges <= 1, "a share, 0 to 1")
        check("per_channel", self.per_channel, self.per_channel in (True, False), "true or false")
        if self.towards is not None:
            check_choice("towards", self.towards, get_args(Towards))
        object.__setattr__(self, "keep", words("keep", self.keep))

    def run(self, package: Package, data: Data, context: PassContext) -> Package:
        """The package with trained weights and a plan, derived from `package`.

        Raises:
            UnsupportedError: no training/ folder, no node that can be int8, none that can be trained so.
            TrustError: the package is not trusted.
            InputError: no rows, no labels where they are needed, the package has a plan already.
        """
        require_float(package)
        trainee = trainee_of(package)
        batches = Batches(package, trainee, data)
        self._check_labels(data)
        towards = self.towards or ("float" if data.labels is None else "labels")
        lr = trainee.schedule.lr * LR_SHARE if self.lr is None else self.lr
        settled = Settled(epochs_of(trainee, self.epochs), lr, self.keep, self.calibration, self.ranges == "learned", self.freeze_ranges,
                          self.per_channel, towards)  # fmt: skip
        with temporary_folder("portside-qat-") as work:
            return Course(package, trainee, batches, settled, self.to_dict(), context, work).run()

    def look_ahead(self, ahead: Ahead) -> Ahead:
        """A trained network with a plan. Raises as `run` does, for what is known."""
        self._check_labels(ahead.data)
        found = foreseen(ahead, [word for word in self.keep if "/" not in word])
        if ahead.package is not None:
            check_nodes([word for word in self.keep if "/" in word], Plans(ahead.package).known, changed=True)
        return replace(found, lowered=True)

    def _check_labels(self, data: Data) -> None:
        if self.towards in ("labels", "both") and data.labels is None:
            raise InputError("This needs labels", field="data", fix='Pass Data(inputs=..., labels=...), or towards="float".')
