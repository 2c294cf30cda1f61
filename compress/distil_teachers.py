"""Who teaches, and what they answer: packages, several of them, functions; answers by row, kept so that a killed run asks once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np

from ..runtimes.contracting import narrowed
from ..runtimes.reference import Reference
from ..runtimes.segments import EngineOptions
from ..runtimes.subjects import codec_of, opened, rows_at_once
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest
from ..sdk.core.errors import InputError, UnsupportedError
from ..sdk.core.package import Package
from ..sdk.core.signature import Array, Signature
from .base import PassContext
from .distil_answers import KINDS, Answers, Loss, classes, numbers
from .distil_columns import served
from .distil_endpoint import Endpoint, is_address
from .distil_functions import file_digest, function_key, names_object, object_of
from .kept_steps import KeptSteps
from .row_lengths import alike, lengths_of

Function: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""Wire fields -> answers: one array of a row each, or a mapping of them by name."""
_EXPECTED = "a package, its folder or name, a function, FILE.py:OBJECT, or http://HOST:PORT/predict"


@dataclass(frozen=True, eq=False)
class Teacher:
    """One who answers: a package, a function or an endpoint.

    Attributes:
        package: a package, or None.
        function: a function, or None.
        endpoint: a server, or None.
        word: FILE.py:OBJECT, where a function is named so.
    """

    package: Package | None = None
    function: Function | None = None
    endpoint: Endpoint | None = None
    word: str | None = None

    @property
    def said(self) -> str:
        """As a recipe keeps it: the digest, the address, or the function's name."""
        if self.package is not None:
            return self.package.digest
        if self.endpoint is not None:
            return self.endpoint.said
        return f"function {self.word or getattr(self.function, '__qualname__', type(self.function).__name__)}"

    @property
    def key(self) -> object:
        """By what its answers are known again."""
        if self.package is not None:
            return self.package.digest
        return function_key(self.function) if self.word is None else [self.word, file_digest(self.word)]

    def teach(self, data: Data, loss: Loss, asked: str | None, kind: str | None, context: PassContext) -> Answers:
        """What it says about all rows; `kind`, as the student needs it, holds where the teacher does not say one. Raises as `taught`."""
        if self.endpoint is not None:
            return served(self.endpoint, data, loss, asked, kind, context)
        name, found = self.output(loss, asked, kind)
        decision = _decision(self, loss, found)
        answers = self.answer(data, [name, *([decision] if decision else [])], context)
        scores = numbers(answers[name], loss, found, len(data))
        if self.package is None or decision is None:
            return Answers(name, found, scores)
        return Answers(name, found, scores, *classes(answers[decision], scores, self.package.signature.output(decision).categories))

    def output(self, loss: Loss, asked: str | None, wanted: str | None = None) -> tuple[str, str]:
        """(name, kind) of the output that is taught; a function's is what is `wanted`. Raises InputError, UnsupportedError."""
        if self.package is None:
            return asked or "score", (wanted if loss == "soft" else None) or KINDS[loss][0]
        outputs = self.package.signature.outputs
        if asked is not None:
            spec = self.package.signature.output(asked)
            return asked, spec.kind or "score"
        for kind in KINDS[loss]:
            if named := [spec.name for spec in outputs if spec.kind == kind and spec.dtype.startswith("f")]:
                return named[0], kind
        raise UnsupportedError(f"The teacher {self.package.name!r} has no output for the loss {loss!r}",
                               got=", ".join(f"{spec.name}: {spec.kind}" for spec in outputs), expected=", ".join(KINDS[loss]),
                               fix="Name one with output=..., or choose another loss.")  # fmt: skip

    def answer(self, data: Data, names: Sequence[str], context: PassContext) -> dict[str, Array]:
        """These outputs for all rows, from the checkpoints where they are there."""
        key = {"teacher": self.key, "rows": data_digest(Data(data.inputs)), "outputs": list(names)}
        if self.package is not None:
            return _of_package(self.package, data, names, context, key)
        steps = KeptSteps.of(context, here=False)
        made = steps.series("teacher", key).step(lambda: _of_function(cast("Function", self.function), data, names))
        steps.flush()  # an answer may have cost more than time
        return {**made}


def teachers_of(given: object, package: Package) -> tuple[Teacher, ...]:
    """The teachers that a user names: none (the package itself), one, or a list. Raises InputError, FormatError, StoreError."""
    if given is None:
        return (Teacher(package),)
    parts = _parts(given)
    if not parts:
        raise InputError("There is no teacher", field="teacher", fix="Leave it out: the package itself teaches.")
    return tuple(_teacher(part, package) for part in parts)


def _parts(given: object) -> list[object]:
    return cast("list[object]", list(given)) if isinstance(given, list | tuple) else [given]


def check_teachers(given: object) -> None:
    """Addresses and files that a recipe names, looked at before any work and without running anything. Raises InputError."""
    for part in _parts(given):
        if is_address(part):
            Endpoint(cast("str", part))
        elif names_object(part):
            file_digest(cast("str", part))


def keys_of(given: object) -> list[object]:
    """By what functions among the teachers are known again; empty where there are none. Raises InputError for a file that is gone."""
    parts = [part for part in _parts(given) if not isinstance(part, Package | Path)]
    named = [file_digest(part) for part in parts if isinstance(part, str) and not is_address(part) and names_object(part)]
    return [*named, *(function_key(part) for part in parts if callable(part))]


def _teacher(given: object, package: Package) -> Teacher:
    if isinstance(given, Package):
        return Teacher(given)
    if is_address(given):
        return Teacher(endpoint=Endpoint(cast("str", given)))
    if names_object(given):
        return _of_file(cast("str", given))
    if isinstance(given, str | Path):
        found = opened(given, package.trusted)
        if isinstance(found, Package):
            return Teacher(found)
        raise InputError("An artifact cannot teach", field="teacher", got=str(given), fix="Name the package that it was compiled from.")
    if callable(given):
        return Teacher(None, cast("Function", given))
    raise InputError("This is no teacher", field="teacher", got=type(given).__name__, expected=_EXPECTED)


def _of_file(word: str) -> Teacher:
    """Who stands in a user's file: a package, or a function. Raises InputError."""
    found = object_of(word)
    if isinstance(found, Package):
        return Teacher(found)
    if callable(found) and not isinstance(found, type):
        return Teacher(function=cast("Function", found), word=word)
    raise InputError("This is no teacher", field="teacher", got=f"{word}: {type(found).__name__}", expected="a package, or a function")


def taught(teachers: Sequence[Teacher], data: Data, loss: Loss, asked: str | None, context: PassContext,
           kind: str | None = None) -> Answers:  # fmt: skip
    """The mean of what the teachers say.

    Args:
        teachers: one or more.
        data: rows.
        loss: what the answers are for.
        asked: name of the output; None: the first, or only, one that the loss can teach.
        context: keeps answers, hears of progress.
        kind: "score" or "value", as the student needs it: what functions and servers do not say. None: nobody knows.

    Raises:
        InputError: no rows; answers of different sizes or kinds, of other rows, or that are no numbers.
        UnsupportedError: a teacher without an output for the loss.
        EngineError: a server that does not answer.
    """
    if not len(data):
        raise InputError("There are no rows to teach on", field="data")
    held: list[Answers] = []
    for number, teacher in enumerate(teachers):
        context.progress(number, len(teachers), "asking the teacher")
        held.append(teacher.teach(data, loss, asked, kind, context))
    if len({(part.kind, part.held.shape[1]) for part in held}) > 1:
        said = ", ".join(f"{part.kind} ({part.held.shape[1]})" for part in held)
        raise InputError("The teachers answer in different sizes or kinds", field="teacher", got=said)
    return replace(held[0], held=np.mean([part.held for part in held], axis=0))


def _decision(teacher: Teacher, loss: Loss, kind: str) -> str | None:
    """The output that decides on a class, where scores of classes are taught."""
    if teacher.package is None or loss != "soft" or kind != "score":
        return None
    found = [spec.name for spec in teacher.package.signature.outputs if spec.kind == "decision" and len(spec.shape) == 1]
    return found[0] if found else None


def _of_package(package: Package, data: Data, names: Sequence[str], context: PassContext, key: Mapping[str, Any]) -> dict[str, Array]:
    codec, signature = codec_of(package), package.signature
    if signature.state:
        raise UnsupportedError("A model with a memory cannot teach row by row", got=package.name)

    def encode(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return codec.encode(fields_read(inputs, signature, codec.fields))

    order = list(alike(len(data), rows_at_once(signature), lengths_of(signature, encode, data.inputs)))
    steps = KeptSteps.of(context)
    session, kept, parts = Reference().open(package, engine=EngineOptions()), steps.series("teacher", key), list[Mapping[str, Array]]()

    def asked(rows: Array) -> dict[str, Array]:
        answer = session.run(narrowed(signature, encode(data.take(rows).inputs)))
        context.progress(sum(len(held[names[0]]) for held in parts) + len(rows), len(data), "asking the teacher")
        return {name: answer[name] for name in names}

    try:
        for rows in order:
            parts.append(kept.step(lambda rows=rows: asked(rows)))
    finally:
        session.close()
    steps.flush()
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


def digest_of_array(held: Array) -> str:
    """Of the numbers themselves."""
    return hashlib.sha256(np.ascontiguousarray(held).tobytes()).hexdigest()
