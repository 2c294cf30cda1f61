"""Who teaches, and what they answer: packages, several of them, functions; answers by row, kept so that a killed run asks once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from safetensors.numpy import load, save

from ..runtimes.contracting import narrowed
from ..runtimes.reference import Reference
from ..runtimes.segments import EngineOptions
from ..runtimes.subjects import codec_of, opened, rows_at_once
from ..sdk.core.canonical import digest_of
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest
from ..sdk.core.errors import InputError, UnsupportedError
from ..sdk.core.package import Package
from ..sdk.core.signature import Array, Signature
from .base import PassContext
from .row_lengths import alike, lengths_of
from .whole_file import write_whole

Loss: TypeAlias = Literal["soft", "features", "embedding", "ranking"]
Function: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""Wire fields -> answers: one array of a row each, or a mapping of them by name."""
_KINDS: Mapping[str, tuple[str, ...]] = {
    "soft": ("score", "value"), "embedding": ("embedding",), "ranking": ("ranking", "score", "value"),
}  # fmt: skip
"""Kinds of outputs that a loss teaches, best first."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What the teachers say, the mean over them.

    Attributes:
        name: of the output.
        kind: of it: "score", "value", "embedding", "ranking".
        held: (rows, size) float64; scores of classes are probabilities that sum to 1.
        classes: per place among the scores what a label may be called; None where nobody decides.
        texts: names of the classes, where the teacher gives names.
    """

    name: str
    kind: str
    held: Array
    classes: tuple[Any, ...] | None = None
    texts: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Teacher:
    """One who answers.

    Attributes:
        package: a package, or None.
        function: a function, or None.
    """

    package: Package | None = None
    function: Function | None = None

    @property
    def said(self) -> str:
        """As a recipe keeps it: the digest, or the function's name."""
        if self.package is not None:
            return self.package.digest
        return f"function {getattr(self.function, '__qualname__', type(self.function).__name__)}"

    def output(self, loss: Loss, asked: str | None) -> tuple[str, str]:
        """(name, kind) of the output that is taught. Raises InputError, UnsupportedError."""
        if self.package is None:
            return asked or "score", _KINDS[loss][0]
        outputs = self.package.signature.outputs
        if asked is not None:
            spec = self.package.signature.output(asked)
            return asked, spec.kind or "score"
        for kind in _KINDS[loss]:
            if named := [spec.name for spec in outputs if spec.kind == kind and spec.dtype.startswith("f")]:
                return named[0], kind
        raise UnsupportedError(f"The teacher {self.package.name!r} has no output for the loss {loss!r}",
                               got=", ".join(f"{spec.name}: {spec.kind}" for spec in outputs), expected=", ".join(_KINDS[loss]),
                               fix="Name one with output=..., or choose another loss.")  # fmt: skip

    def answer(self, data: Data, names: Sequence[str], context: PassContext) -> dict[str, Array]:
        """These outputs for all rows, from the checkpoints where they are there. Functions are always asked."""
        if self.package is None:
            return _of_function(cast("Function", self.function), data, names)
        key = {"teacher": self.package.digest, "rows": data_digest(Data(data.inputs)), "outputs": list(names)}
        file = None if context.checkpoints is None else context.checkpoints / f"teacher-{digest_of(key)[7:31]}.safetensors"
        if (held := _kept(file, names, len(data))) is not None:
            return held
        made = _of_package(self.package, data, names, context)
        _keep(file, made)
        return made


def teachers_of(given: object, package: Package) -> tuple[Teacher, ...]:
    """The teachers that a user names: none (the package itself), one, or a list. Raises InputError, FormatError, StoreError."""
    if given is None:
        return (Teacher(package),)
    parts = cast("list[object]", list(given)) if isinstance(given, list | tuple) else [given]
    if not parts:
        raise InputError("There is no teacher", field="teacher", fix="Leave it out: the package itself teaches.")
    return tuple(_teacher(part, package) for part in parts)


def _teacher(given: object, package: Package) -> Teacher:
    if isinstance(given, Package):
        return Teacher(given)
    if isinstance(given, str) and given.startswith(("http://", "https://")):
        raise UnsupportedError("A server cannot be a teacher by its address", got=given, fix="Pass a function that asks it for answers.")
    if isinstance(given, str | Path):
        found = opened(given, package.trusted)
        if isinstance(found, Package):
            return Teacher(found)
        raise InputError("An artifact cannot teach", field="teacher", got=str(given), fix="Name the package that it was compiled from.")
    if callable(given):
        return Teacher(None, cast("Function", given))
    expected = "a package, its folder or name, or a function"
    raise InputError("This is no teacher", field="teacher", got=type(given).__name__, expected=expected)


def taught(teachers: Sequence[Teacher], data: Data, loss: Loss, asked: str | None, context: PassContext) -> Answers:
    """The mean of what the teachers say.

    Raises:
        InputError: no rows; answers of different sizes, of other rows, or that are no numbers.
        UnsupportedError: a teacher without an output for the loss.
    """
    if not len(data):
        raise InputError("There are no rows to teach on", field="data")
    held: list[Array] = []
    named: Answers | None = None
    for number, teacher in enumerate(teachers):
        context.progress(number, len(teachers), "asking the teacher")
        name, kind = teacher.output(loss, asked)
        decision = _decision(teacher, loss, kind)
        answers = teacher.answer(data, [name, *([decision] if decision else [])], context)
        scores = _numbers(answers[name], loss, kind, len(data))
        held.append(scores)
        named = named or Answers(name, kind, scores, *_classes(teacher, decision, answers, scores))
    assert named is not None  # noqa: S101 - there is a teacher
    if len({part.shape[1] for part in held}) > 1:
        raise InputError("The teachers answer in different sizes", field="teacher", got=", ".join(str(part.shape[1]) for part in held))
    return Answers(named.name, named.kind, np.mean(held, axis=0), named.classes, named.texts)


def _decision(teacher: Teacher, loss: Loss, kind: str) -> str | None:
    """The output that decides on a class, where scores of classes are taught."""
    if teacher.package is None or loss != "soft" or kind != "score":
        return None
    found = [spec.name for spec in teacher.package.signature.outputs if spec.kind == "decision" and len(spec.shape) == 1]
    return found[0] if found else None


def _classes(teacher: Teacher, decision: str | None, answers: Mapping[str, Array], scores: Array) -> tuple[Any, Any]:
    """(codes, names) of the classes by place: what was decided where a score was the highest; the place itself where it never was."""
    if teacher.package is None or decision is None:
        return None, None
    place, said = scores.argmax(axis=1), answers[decision]
    codes: list[Any] = []
    for one in range(scores.shape[1]):
        values, counts = np.unique(said[place == one], return_counts=True)
        codes.append(values[counts.argmax()].item() if len(values) else one)
    categories = teacher.package.signature.output(decision).categories
    known = categories is not None and all(0 <= int(code) < len(categories) for code in codes)
    return tuple(codes), tuple(categories[int(code)] for code in codes) if categories is not None and known else None


def _numbers(held: Array, loss: Loss, kind: str, rows: int) -> Array:
    """(rows, size) float64 of one teacher: probabilities for scores of classes. Raises InputError."""
    if held.dtype.kind not in "fiu" or not held.ndim or len(held) != rows or not np.isfinite(held).all():
        raise InputError("A teacher's answers are no finite numbers, one row for each", field="teacher", got=f"{held.dtype} {held.shape}",
                         expected=f"({rows}, ...)")  # fmt: skip
    flat = held.reshape(rows, -1).astype(np.float64)
    return probabilities(flat) if loss == "soft" and kind == "score" else flat


def probabilities(scores: Array) -> Array:
    """(rows, classes) that sum to 1, from these or from logits; one column is the chance, or the logit, of the second of two classes."""
    inside = bool((scores >= 0).all() and (scores <= 1).all())
    if scores.shape[1] == 1:
        chance = scores if inside else 1 / (1 + np.exp(-scores))
        return np.concatenate([1 - chance, chance], axis=1)
    if inside and np.abs(scores.sum(axis=1) - 1).max() < 1e-3:
        return scores / scores.sum(axis=1, keepdims=True)
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _of_package(package: Package, data: Data, names: Sequence[str], context: PassContext) -> dict[str, Array]:
    codec, signature = codec_of(package), package.signature
    if signature.state:
        raise UnsupportedError("A model with a memory cannot teach row by row", got=package.name)

    def encode(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return codec.encode(fields_read(inputs, signature, codec.fields))

    order = list(alike(len(data), rows_at_once(signature), lengths_of(signature, encode, data.inputs)))
    session, parts = Reference().open(package, engine=EngineOptions()), list[dict[str, Array]]()
    try:
        for rows in order:
            answer = session.run(narrowed(signature, encode(data.take(rows).inputs)))
            parts.append({name: answer[name] for name in names})
            context.progress(sum(len(held[names[0]]) for held in parts), len(data), "asking the teacher")
    finally:
        session.close()
    back = np.argsort(np.concatenate(order), kind="stable")
    return {name: np.concatenate([part[name] for part in parts])[back] for name in names}


def fields_read(inputs: Mapping[str, Any], signature: Signature, fields: Sequence[Any]) -> dict[str, Any]:
    """The columns that a package reads: a student may need others."""
    wanted = {field.name for field in fields} | {spec.name for spec in signature.inputs}
    return {name: held for name, held in inputs.items() if name in wanted}


def _of_function(function: Function, data: Data, names: Sequence[str]) -> dict[str, Array]:
    answer = function(data.inputs)
    found = cast("Mapping[str, Any]", answer) if isinstance(answer, Mapping) else {names[0]: answer}
    held = next(iter(found.values())) if len(found) == 1 else found.get(names[0])
    if held is None:
        raise InputError("The teaching function does not say which of its answers is meant", field="teacher", got=", ".join(found),
                         fix="Name one with output=...")  # fmt: skip
    return {names[0]: np.asarray(held)}


def _kept(file: Path | None, names: Sequence[str], rows: int) -> dict[str, Array] | None:
    if file is None or not file.is_file():
        return None
    try:
        held = load(file.read_bytes())
        found = {name: held[f"{place}"] for place, name in enumerate(names)}
    except Exception:  # whatever is wrong with the file, asking again is right
        file.unlink(missing_ok=True)
        return None
    return found if all(len(part) == rows for part in found.values()) else None


def _keep(file: Path | None, answers: Mapping[str, Array]) -> None:
    if file is not None:
        made = save({f"{place}": np.ascontiguousarray(held) for place, held in enumerate(answers.values())})
        write_whole(file, made, "What a teacher answered")


def digest_of_array(held: Array) -> str:
    """Of the numbers themselves."""
    return hashlib.sha256(np.ascontiguousarray(held).tobytes()).hexdigest()
