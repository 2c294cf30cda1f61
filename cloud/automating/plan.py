"""What a deployment says of automation, held against its model: the dial with its thresholds, the score, the slices. Made before a
service exists, so that what does not fit ends the command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ...sdk.core.errors import FormatError
from ...sdk.core.signature import Signature, TensorSpec
from ..automation import BLIND, Dial
from ..deployment.automation import Automation
from ..deployment.review import Review
from ..review.candidates import decided_output
from .score import Score, fitting, parse, usual
from .thresholds import REST, Fitted, check_fitted, check_promise, read_thresholds

Columns: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Slice:
    """Rows in which a field has a value.

    Attributes:
        name: "field=value".
        field, value: of an input or output, as typed tensors and records hold it: a code where it has categories.
        output: the field is an output.
    """

    name: str
    field: str
    value: Any
    output: bool


@dataclass(frozen=True)
class Plan:
    """The `[automation]` section of one deployment, ready to be used.

    Attributes:
        dial: with the thresholds in it.
        score: None: no level needs one.
        output: what is decided.
        slices: in the order in which they are tried.
        fitted: the file of thresholds; None: there is none.
        queue: checks that may wait to be written.
    """

    dial: Dial
    score: Score | None
    output: str
    slices: tuple[Slice, ...] = ()
    fitted: Fitted | None = None
    queue: int = 1000

    def names(self, inputs: Columns, outputs: Columns, rows: int) -> Sequence[str | None]:
        """The slice of every row; None: it is in none."""
        found: list[str | None] = [None] * rows
        for held in self.slices:
            values = (outputs if held.output else inputs).get(held.field)
            if values is None or isinstance(values, Mapping):  # a record described a large tensor, and did not keep it
                continue
            for row, value in enumerate(np.asarray(values).tolist()[:rows]):
                if found[row] is None and value == held.value:
                    found[row] = held.name
        return found


def plan_of(settings: Automation, review: Review, signature: Signature, package: str, folder: Path, default: bool,
            thresholds: bool = True) -> Plan:  # fmt: skip
    """The plan of a deployment.

    Args:
        settings, review: its sections.
        signature, package: of its champion.
        folder: where the file of thresholds is looked for.
        default: its chain ends with a default.
        thresholds: read their file; False where they are to be fitted anew.

    Raises FormatError for what does not fit.
    """
    _check_waiting(settings, review, default)
    output = review.output or decided_output(signature)
    if output not in [spec.name for spec in signature.outputs]:
        raise FormatError("[review] names an output that there is not", got=output,
                          expected=", ".join(spec.name for spec in signature.outputs))  # fmt: skip
    score = score_of(settings, signature)
    fitted = _fitted(settings, package, str(score), output, folder) if thresholds else None
    slices = tuple(slice_of(name, signature) for name in settings.slices)
    return Plan(_dial(settings, fitted), score, output, slices, fitted, settings.queue)


def score_of(settings: Automation, signature: Signature) -> Score | None:
    """The score that the section asks for; None where no level needs one and the outputs do not say. Raises FormatError."""
    if settings.score is not None:
        return fitting(parse(settings.score), signature)
    try:
        return usual(signature)
    except FormatError:
        if "partial" in settings.levels or settings.target_error is not None:
            raise
        return None


def slice_of(name: str, signature: Signature) -> Slice:
    """"field=value" as what tensors hold. Raises FormatError."""
    field, _, text = name.partition("=")
    found = {spec.name: (spec, False) for spec in signature.inputs} | {spec.name: (spec, True) for spec in signature.outputs}
    if field not in found:
        raise FormatError("A slice is of a field that there is not", got=name, expected=", ".join(found))
    spec, output = found[field]
    if spec.batch_axis != 0 or len(spec.shape) != 1:
        raise FormatError("A slice is of a field with one value per row", got=f"{name}, whose shape is {spec.shape}")
    return Slice(name, field, _value(text, spec, name), output)


def _value(text: str, spec: TensorSpec, name: str) -> Any:
    if spec.categories is not None:
        if text not in spec.categories:
            raise FormatError(f"A slice names a category that {spec.name!r} has not", got=name, expected=", ".join(spec.categories[:20]))
        return spec.categories.index(text)
    if spec.dtype == "string":
        return text
    if spec.dtype == "bool" and text in ("true", "false"):
        return text == "true"
    if spec.dtype in ("i8", "u8", "i32", "i64") and text.lstrip("-").isdigit():
        return int(text)
    raise FormatError(f"{spec.name!r} has no such value to be sliced by", got=name,
                      expected="a category, a whole number, true or false, or text")  # fmt: skip


def _dial(settings: Automation, fitted: Fitted | None) -> Dial:
    def threshold(name: str) -> float | None:
        return settings.threshold if settings.threshold is not None else None if fitted is None else fitted.value(name)

    slices = {
        name: Dial(level, threshold(name), settings.slices[name].check_share or settings.check_share, waiting)
        for name, level, waiting in settings.dials() if name
    }  # fmt: skip
    return Dial(settings.level, threshold(REST), settings.check_share, settings.while_waiting, slices)


def _fitted(settings: Automation, package: str, score: str, output: str, folder: Path) -> Fitted | None:
    """The file, where there is one and it is to be used. Raises FormatError where it does not hold what is promised."""
    if settings.threshold is not None or settings.target_error is None:
        return None
    path = folder / settings.thresholds
    fitted = read_thresholds(path)
    if fitted is not None:
        check_fitted(fitted, path, package, score, output)
        for name, found in fitted.slices.items():
            check_promise(found, path, name, settings.target_error, settings.delta, settings.people_error)
    return fitted


def _check_waiting(settings: Automation, review: Review, default: bool) -> None:
    """Raise FormatError where what a caller is to get meanwhile, or after a deadline, is not there."""
    if any(waiting == "default" for _, _, waiting in settings.dials()) and not default:
        raise FormatError("[automation] while_waiting = \"default\" needs a default, and the chain has none",
                          fix="End the chain with [[failover.chain]] default = { ... }.")  # fmt: skip
    blind = [level for _, level, _ in settings.dials() if level in BLIND]
    if blind and review.deadline_s is not None and review.on_expiry == "model":
        raise FormatError(f"At level {blind[0]!r} nobody is given the model's answer, so it cannot be the answer after a deadline",
                          got="[review] on_expiry = \"model\"", fix="Say on_expiry = \"none\", or name the values.")  # fmt: skip
