"""A scikit-learn estimator as a student: fitted on what the teachers answer, then a package by its own importer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..runtimes.contracting import Sample, build, narrowed
from ..runtimes.importers.dispatch import import_model
from ..runtimes.importers.program import ImportOptions
from ..runtimes.reference import Reference
from ..runtimes.subjects import contract_of
from ..sdk.core.codec.codec import Codec
from ..sdk.core.contract import Contract
from ..sdk.core.data import Data
from ..sdk.core.errors import InputError, UnsupportedError
from ..sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, PROFILE, Content
from ..sdk.core.package import Package, write
from ..sdk.core.profile import Profile
from ..sdk.core.signature import MISSING_CODE, Array
from ..sdk.core.temporary import temporary_folder
from .distil_teachers import Answers
from .retold import sample_of

_LEAST = 1e-3
"""Chances below this do not become rows of their own."""


def estimator_of(word: str, options: Mapping[str, Any]) -> Any:
    """A fresh estimator by its name, e.g. "sklearn.tree:DecisionTreeClassifier". Raises InputError for what is none."""
    module, _, name = word.partition(":")
    if module.split(".")[0] != "sklearn":
        raise InputError("Only estimators of scikit-learn have a name", field="student", got=word, expected="sklearn.MODULE:CLASS",
                         fix="Pass the estimator itself.")  # fmt: skip
    try:
        made = getattr(import_module(module), name)(**options)
    except (ImportError, AttributeError, TypeError) as error:
        raise InputError("There is no such estimator", field="student", got=f"{word}: {error}") from error
    if not hasattr(made, "fit"):
        raise InputError("This is no estimator", field="student", got=word)
    return made


def fitted(student: Any, data: Data, answers: Answers, weight: float) -> Any:
    """A copy of the estimator, fitted on the teachers' answers and, for the rest of the weight, on labels.

    Classes are taught by their chances: a row for each class that has one, weighted by it, where the estimator takes weights;
    otherwise the likeliest class.

    Raises InputError for labels or a task that do not fit; what the estimator itself refuses is wrapped.
    """
    x, model = _table(data.inputs), deepcopy(student)
    classes = answers.kind == "score"
    if decides(model) != classes:
        raise InputError("Teacher and student do different tasks", field="student", got=type(student).__name__,
                         expected="a classifier" if classes else "a regressor")  # fmt: skip
    try:
        if not classes:
            return model.fit(x, _values(data, answers, weight))
        return _classified(model, x, _chances(data, answers, weight), answers)
    except (ValueError, TypeError) as error:
        raise InputError(f"The student cannot be fitted: {str(error)[:200]}", field="student", got=type(student).__name__) from error


def decides(model: Any) -> bool:
    """It is a classifier."""
    return hasattr(model, "predict_proba") or getattr(model, "_estimator_type", None) == "classifier"


def _classified(model: Any, x: Any, chances: Array, answers: Answers) -> Any:
    names = np.array(answers.texts or answers.classes or tuple(range(chances.shape[1])))
    taken = _weights(model)
    if taken is None:
        return model.fit(x, names[chances.argmax(axis=1)])
    rows, places = np.nonzero(chances > _LEAST)
    return model.fit(x[rows] if isinstance(x, np.ndarray) else x.iloc[rows], names[places], **{taken: chances[rows, places]})


def _weights(model: Any) -> str | None:
    """The name by which `fit` takes weights of rows, through a pipeline; None where it does not."""
    steps = getattr(model, "steps", None)
    last = steps[-1][1] if steps else model
    if "sample_weight" not in inspect.signature(last.fit).parameters:
        return None
    return f"{steps[-1][0]}__sample_weight" if steps else "sample_weight"


def _chances(data: Data, answers: Answers, weight: float) -> Array:
    """(rows, classes): the teachers' chances with the labels' share."""
    if data.labels is None or weight == 1:
        return answers.held
    known = {name: place for names in (answers.texts or (), answers.classes or range(answers.held.shape[1]))
             for place, name in enumerate(names)}  # fmt: skip
    places = np.array([known.get(label, -1) for label in np.asarray(data.labels).tolist()])
    if (places < 0).any():
        raise InputError("A label is none of the teacher's classes", field="labels", got=str(np.asarray(data.labels)[np.argmin(places)]),
                         expected=", ".join(map(str, known)))  # fmt: skip
    return weight * answers.held + (1 - weight) * np.eye(answers.held.shape[1])[places]


def _values(data: Data, answers: Answers, weight: float) -> Array:
    held = answers.held
    if data.labels is not None:
        held = weight * held + (1 - weight) * np.asarray(data.labels).reshape(held.shape)
    return held[:, 0] if held.shape[1] == 1 else held


def _table(inputs: Mapping[str, Any]) -> Any:
    """The one matrix, or a DataFrame of columns."""
    single = next(iter(inputs.values()))
    if len(inputs) == 1 and isinstance(single, np.ndarray) and cast("Array", single).ndim == 2:
        return cast("Array", single)
    pandas = import_module("pandas")  # a student that reads columns by name needs it anyway
    return pandas.DataFrame({name: list(held) if isinstance(held, list) else held for name, held in inputs.items()})


def packed(model: Any, package: Package, step: Mapping[str, Any], out: Path) -> Package:
    """The fitted student as a package: inputs and golden rows of `package`, a program and a contract of its own.

    Args:
        model: fitted.
        package: whose golden rows, name and licence it takes.
        step: the pass as data.
        out: folder that does not exist yet.

    Raises:
        UnsupportedError: an estimator or an input that has no lowering.
        ContractError: the program disagrees with the estimator.
    """
    held = contract_of(package)
    sample = sample_of(package.signature, held)
    wire = _wire(package, sample)
    program = import_model(model, ImportOptions(examples=wire))
    files = {path: data for path, data in program.files.items() if path.startswith("codec/")}
    codec = Codec.from_steps(program.codec, lambda path: files[path])
    typed = codec.encode(wire)
    content = Content(signature=codec.annotate(program.signature), stages=program.stages, files={}, codec=codec.steps,
                      boundaries=program.boundaries, recipe=(dict(step),))  # fmt: skip
    parts: dict[str, bytes] = {**program.files, **codec.files}
    limits = {name: dict(rule.limits) for name, rule in held.rules.items() if any(spec.name == name for spec in program.signature.outputs)}
    with temporary_folder("portside-distil-") as work:
        draft = write(content, parts, work / "draft", trusted=True)
        contract = build(draft, program.source, Sample(typed, sample.slices), limits=limits, licence=held.licence,
                         shareable=held.shareable, inner=program.inner)  # fmt: skip
        profile = _profile(draft, typed)
    head, tensors = contract.to_bytes()
    parts |= {CONTRACT: head, CONTRACT_TENSORS: tensors, PROFILE: profile.to_bytes()}
    content = replace(content, signature=_with_kinds(content, contract))
    annotations = replace(package.manifest.annotations, files={})
    return write(content, parts, out, annotations, program.annotation_files, trusted=package.trusted)


def _wire(package: Package, sample: Sample) -> dict[str, Any]:
    """Golden rows as a caller sends them: codes of categories as their names again."""
    others = [step["kind"] for step in package.content.codec if step["kind"] != "categories"]
    if others:
        raise UnsupportedError("An estimator reads columns and arrays, and this package's codec makes more of them", got=", ".join(others),
                               fix="Let a torch package be the student.")  # fmt: skip
    coded = {name for step in package.content.codec for name in step["produces"]}
    found: dict[str, Any] = {}
    for name, held in sample.inputs.items():
        names = package.signature.input(name).categories if name in coded else None
        found[name] = held if names is None else [names[code] if code >= 0 else None for code in _known(held).tolist()]
    return found


def _known(codes: Array) -> Array:
    return np.where(codes >= 0, codes, MISSING_CODE)


def _profile(draft: Package, typed: Mapping[str, Any]) -> Profile:
    session = Reference().open(draft)
    try:
        return Profile.of({**typed, **session.run(narrowed(draft.signature, typed))}, draft.signature)
    finally:
        session.close()


def _with_kinds(content: Content, contract: Contract) -> Any:
    signature = content.signature
    for name, rule in contract.rules.items():
        signature = signature.edit(name, kind=rule.kind)
    return signature
