"""`pack`: a trained model with its featurize and predict functions becomes a Package, once, for every target.

    examples -> codec -> typed tensors -> importer -> program -> contract (program against source) -> folder or store

The steps live elsewhere (`runtimes/importers/` traces, `runtimes/contracting.py` compares); this file only puts them in
order. A program that disagrees with its source is refused: nothing is written.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..compress.training.spec import Training
from ..runtimes.contracting import Sample, build, narrowed
from ..runtimes.importers.dispatch import import_model, input_names
from ..runtimes.importers.program import ImportOptions, Program
from ..runtimes.quality import measure
from ..runtimes.reference import Reference
from ..runtimes.segments import EngineOptions
from . import pack_arguments as arguments
from .core import golden
from .core.codec.category import Categories
from .core.codec.codec import Codec
from .core.codec.step import Step
from .core.contract import Contract
from .core.data import Data
from .core.errors import InputError
from .core.expectations import Expectation, directed
from .core.infer import columns
from .core.manifest import CONTRACT, CONTRACT_TENSORS, PROFILE, Annotations, Content
from .core.package import Package, write
from .core.profile import Profile
from .core.profile_traits import traits_of
from .core.signature import MISSING_CODE, Array, Kind, Signature, TensorSpec
from .provenance import provenance
from .store import Store

_EDITED = (
    "unit", "range", "on_range", "categories", "on_unknown", "missing", "required", "default", "kind", "top_k",
    "redact", "stays_on_device",
)  # fmt: skip
"""What a user's signature decides; names, dtypes and shapes are the program's."""
_ANSWERED, _ROWS = 256, 16
"""Examples whose answers are profiled, and how many are run at once."""


@dataclass(frozen=True)
class Image:
    """An input of images of any size, up to `max` = (height, width) in pixels, resized inside the program."""

    max: tuple[int, int]


def pack(model: Any, *, name: str, examples: Any, featurize: Callable[..., Any] | None = None,
         predict: Callable[..., Any] | None = None, labels: Any = None, slices: Mapping[str, Any] | None = None,
         signature: Signature | None = None, codec: Mapping[str, Step] | None = None, image: Mapping[str, Image] | None = None,
         dynamic: Mapping[str, Mapping[int, str]] | None = None, state: Mapping[str, tuple[str, Any]] | None = None,
         host: Sequence[str] = (), kinds: Mapping[str, Kind] | None = None,
         tolerances: Mapping[str, Mapping[str, float]] | None = None, evidence: Data | None = None,
         expectations: Sequence[Expectation] = (), training: Training | None = None, licence: str | None = None,
         shareable: bool = False, out: Path | str | None = None) -> Package:  # fmt: skip
    """Pack a trained model once, for every target.

    Args:
        model: a torch module, a scikit-learn estimator or pipeline, an ONNX file, a `.tflite` file, or a plain function (a host
            stage).
        name: the package's name in stores, receipts and deployments.
        examples: real inputs, 32 rows or more: an array, a table, or a mapping from input to rows.
        featurize: typed raw tensors -> features; its parameters name the inputs; traced.
        predict: (model, features) -> named outputs; traced.
        labels: the truth per example; gives the package its metrics.
        slices: name -> group per example, e.g. {"cell": ["mono", "poly", ...]}.
        signature: what `portside.signature(examples)` inferred, edited: ranges, units, what a door does.
        codec: wire field -> step, for what cannot be a graph: decoding images, category names, tokens; and output ->
            Categories, to give the codes of an integer output their names.
        image: inputs of images of any size, up to a maximum.
        dynamic: input -> {axis: dimension name}, beyond the batch, e.g. {"tokens": {1: "sequence"}}; texts of a codec have it.
        state: output -> (input, initial value), for models with a memory.
        host: names of functions that stay Python and run beside the program.
        kinds: output -> kind, where the inferred one is wrong: "decision", "score", "value", "embedding", ...
        tolerances: output -> {limit: number}, where the kind's own is wrong, e.g. {"score": {"atol": 1e-3}}.
        evidence: held-out rows (3,000 or more where they exist), kept in the store by digest.
        expectations: tests of your own that travel along and that `audit` runs: Perturbation, Invariance, Direction.
        training: how a torch model is made again, for passes that train it: pruning, distillation, low rank. Its weights travel
            a second time, and the files of the factory and of featurize and predict.
        licence: of the examples, which travel in the contract.
        shareable: the examples may be shown on pages and in public releases.
        out: a new folder; default: the store ($PORTSIDE_HOME, else ~/.portside).

    Returns:
        The package; `package.path` is its folder.

    Raises:
        TraceError: what cannot become a program, with the line at fault and the way out.
        ContractError: the program disagrees with its source; says at which stage, which example, how far.
        InputError: examples that do not fit.
        StoreError: `out` is not empty, or there is no space.
    """
    kinds, limits, groups = kinds or {}, tolerances or {}, slices or {}
    arguments.check_places(name, out)
    arguments.check_types(featurize, predict, signature, evidence, codec=codec, image=image, dynamic=dynamic, state=state,
                          kinds=kinds, tolerances=limits, slices=groups)  # fmt: skip
    arguments.check_parts(codec or {}, image or {}, dynamic or {}, state or {}, limits)
    arguments.check_kinds(kinds, limits)
    expected = arguments.expectation_files(expectations)
    options = ImportOptions(
        examples={}, featurize=featurize, predict=predict, dynamic=_dynamic(dynamic or {}, codec or {}), state=state or {},
        image=image or {}, host=tuple(host), signature=signature,
    )  # fmt: skip
    wire = _by_name(examples, Codec.of(codec or {}), lambda: input_names(model, options))
    inward, outward = _sides(codec or {}, wire)
    given = Codec.of(inward)
    arguments.check_evidence(evidence, wire)
    arguments.check_expected(expectations, wire)
    first = given.encode(wire)
    arguments.check_examples(first)
    named = {spec.name: spec for spec in signature.inputs} if signature else None
    held = {**first, **dict(options.state.values())}
    arguments.check_columns(wire, held, dynamic=dynamic, image=image, signature=named)
    trained = _training(training, model, options)
    program = import_model(model, replace(options, examples=first))
    arguments.check_outputs(program.signature, kinds=kinds, tolerances=limits, codec=outward, expectations=directed(expectations))
    whole = _joined(given, program)
    typed = whole.encode(wire)
    described = _described(program.signature, typed, whole, signature, kinds)
    described = arguments.with_names(described, outward)
    arguments.check_rows(golden.rows_of(described, typed), labels, groups)
    content = Content(signature=described, stages=program.stages, files={}, codec=whole.steps, boundaries=program.boundaries)
    files: dict[str, bytes] = {**program.files, **whole.files, **expected, **trained}
    sample = Sample(typed, {key: np.asarray(held) for key, held in groups.items()})
    with _drafted(content, files) as draft:
        contract = build(draft, program.source, sample, limits=limits, licence=licence, shareable=shareable, inner=program.inner)
        answers = _answers(draft, typed, contract)
    head, tensors = contract.to_bytes()
    fields = {**Profile.of({**typed, **answers}, described).fields, **traits_of(typed, wire, whole, described).fields}
    files |= {CONTRACT: head, CONTRACT_TENSORS: tensors, PROFILE: Profile(fields).to_bytes()}
    remarks = [*program.notes, *_narrow_ranges(described, typed)]
    said = {"licence": licence, "notes": remarks, "metrics": _metrics(labels, answers, contract, described)}
    annotations = Annotations(name, {**provenance(), **{key: value for key, value in said.items() if value}})
    kept = Store().put_evidence(evidence) if evidence is not None else None  # not before the program is known to be right
    content = replace(content, signature=_with_kinds(described, contract), evidence=kept)
    return _published(content, files, annotations, program, out)


def _training(training: Training | None, model: object, options: ImportOptions) -> dict[str, bytes]:
    """The files of `training/`, the model made again from them; nothing without `training`."""
    if training is None:
        return {}
    from ..compress.training.stored import written  # needs torch, which a model that can be trained came with

    return written(training, model, options.featurize, options.predict, dynamic=options.dynamic, image=options.image)


def _by_name(examples: Any, codec: Codec, names: Callable[[], tuple[str, ...]]) -> dict[str, Any]:
    """Examples by wire field; a bare array or list stands for the only input."""
    if isinstance(examples, Mapping) or hasattr(examples, "columns"):
        return columns(examples)
    given = [field.name for field in codec.fields] or list(names())
    if len(given) != 1:
        raise InputError("The examples are one array and the model has several inputs", got=", ".join(given),
                         fix="Give them by name: examples={...}.")  # fmt: skip
    return {given[0]: columns(examples)["x"]}


def _sides(codec: Mapping[str, Step], wire: Mapping[str, Any]) -> tuple[dict[str, Step], dict[str, tuple[str, ...]]]:
    """Steps of wire fields, and the names of outputs' codes: Categories for a name that the examples do not have."""
    outward = {name: step for name, step in codec.items() if name not in wire and isinstance(step, Categories)}
    return {name: step for name, step in codec.items() if name not in outward}, {name: step.values for name, step in outward.items()}


def _dynamic(given: Mapping[str, Mapping[int, str]], codec: Mapping[str, Step]) -> dict[str, Mapping[int, str]]:
    """What the user says, and the length of texts that are padded to the longest of their batch."""
    found = dict(given)
    for place, (field, step) in enumerate(codec.items()):
        names = step.names(field)
        if getattr(step, "padding", None) == "longest" and not any(name in given for name in names):
            found |= {name: {1: "sequence" if place == 0 else f"{field}_sequence"} for name in names}
    return found


def _joined(given: Codec, program: Program) -> Codec:
    """The user's steps, then those that the importer adds."""
    files = {**given.files, **{path: held for path, held in program.files.items() if path.startswith("codec/")}}
    return Codec.from_steps((*given.steps, *program.codec), lambda path: files[path])


def _described(found: Signature, typed: Mapping[str, Any], codec: Codec, given: Signature | None, kinds: Mapping[str, Kind]) -> Signature:
    """The importer's signature with missing values as the examples show them, what the codec knows, and the user's edits."""
    described = codec.annotate(found)
    inputs = tuple(replace(spec, missing=spec.missing or _has_missing(spec, typed.get(spec.name))) for spec in described.inputs)
    described = replace(described, inputs=inputs)
    for spec in (*given.inputs, *given.outputs) if given else ():
        if any(held.name == spec.name for held in (*described.inputs, *described.outputs)):
            described = described.edit(spec.name, **{name: getattr(spec, name) for name in _EDITED})
    for name, kind in kinds.items():
        described.output(name)
        described = described.edit(name, kind=kind)
    return described


def _has_missing(spec: TensorSpec, values: Any) -> bool:
    """NaN among numbers, MISSING_CODE among category codes."""
    if not isinstance(values, np.ndarray) or spec.dtype == "string":
        return False
    held = cast("Array", values)
    if held.dtype.kind == "f":
        return bool(np.isnan(held).any())
    return spec.categories is not None and bool((held == MISSING_CODE).any())


def _narrow_ranges(signature: Signature, typed: Mapping[str, Any]) -> list[str]:
    """A remark for every input whose examples cover less than a tenth of the range that its signature allows."""
    remarks: list[str] = []
    for spec in signature.inputs:
        values = typed.get(spec.name)
        if spec.range is None or not isinstance(values, np.ndarray) or not np.isfinite(spec.range).all():
            continue
        finite = cast("Array", values)[np.isfinite(values)].astype(np.float64)
        seen = float(finite.max() - finite.min()) if finite.size else 0.0
        if seen < 0.1 * (spec.range[1] - spec.range[0]):
            remarks.append(f"examples of {spec.name!r} cover {seen:g} of the range {spec.range[0]:g} to {spec.range[1]:g}: "
                           "the contract says little about the rest")  # fmt: skip
    for remark in remarks:
        warnings.warn(remark, stacklevel=3)
    return remarks


@contextmanager
def _drafted(content: Content, files: Mapping[str, bytes]) -> Generator[Package]:
    """The program as a package without a contract, to compare it with its source."""
    with tempfile.TemporaryDirectory(prefix="portside-pack-") as folder:
        yield write(content, files, Path(folder) / "draft", trusted=True)


def _answers(draft: Package, typed: Mapping[str, Any], contract: Contract) -> dict[str, Array]:
    """Answers to the first examples, for profile and metrics; none of a model with a memory or a fixed batch.

    The contract's own where it holds every example. Otherwise the program's, with the engine's optimisations: they are not references.
    """
    signature = draft.signature
    if signature.state or golden.fixed_rows(signature) is not None:
        return {}
    outputs = [spec.name for spec in signature.outputs if spec.batch_axis == 0]
    there, held = golden.rows_of(signature, typed), contract.cases[0]
    if len(held.why) == there:
        return {name: held.outputs[name] for name in outputs}
    session, rows = Reference().open(draft, engine=EngineOptions()), min(there, _ANSWERED)
    parts = [
        session.run(narrowed(signature, golden.take(signature, typed, range(start, min(start + _ROWS, rows)))))
        for start in range(0, rows, _ROWS)
    ]
    session.close()
    return {name: np.concatenate([part[name] for part in parts]) for name in outputs}


def _with_kinds(signature: Signature, contract: Contract) -> Signature:
    """Outputs with the kinds by which the contract judges them."""
    for name, rule in contract.rules.items():
        signature = signature.edit(name, kind=rule.kind)
    return signature


def _metrics(labels: Any, answers: Mapping[str, Array], contract: Contract, signature: Signature) -> dict[str, Any]:
    """Metrics on the examples themselves, for the card: they were seen in training and flatter."""
    if labels is None or not answers:
        return {}
    rows = len(next(iter(answers.values())))
    answers = Codec().decode(answers, signature)  # names, as labels may be
    quality = measure(Data(inputs={"row": np.arange(rows)}, labels=np.asarray(labels)[:rows]), [answers], contract.rules, signature)
    return {"on_examples": quality.to_dict()} if quality is not None else {}


def _published(content: Content, files: Mapping[str, bytes], annotations: Annotations, program: Program, out: Path | str | None) -> Package:
    """The package in its folder, or in the store."""
    if out is not None:
        return write(content, files, Path(out), annotations, program.annotation_files, trusted=True)
    store = Store()
    with tempfile.TemporaryDirectory(prefix="portside-pack-") as folder:
        made = write(content, files, Path(folder) / "made", annotations, program.annotation_files)
        return store.pull(store.push(made, annotations.name), trust=True)
