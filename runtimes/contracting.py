"""Make the contract of a program: golden rows by rule, references from the source, and the proof that both agree.

The source answers on its native dtype; the program answers on the reference runtime. A program that disagrees with its
source on a firm row is refused with the stage at fault, the example and the distance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from ..sdk.core import golden
from ..sdk.core.contract import Case, Contract
from ..sdk.core.decisions import judge
from ..sdk.core.errors import ContractError
from ..sdk.core.kinds import rules_of
from ..sdk.core.package import Package
from ..sdk.core.signature import NUMPY, Array, Signature
from .faults import Inner, refusal
from .fidelity import batch_axis, check, rows_first
from .firm import Firmness
from .golden_calls import Call, long_calls, main_calls, more_calls
from .reference import Reference

Source = Callable[[Mapping[str, Array]], dict[str, Array]]
_NARROWING_ROWS = 1024
_ALONE = 4
_TWICE = 4
"""Rows that the source is asked a second time."""
_FLOATS = ("f32", "f64", "f16")


@dataclass(frozen=True)
class Sample:
    """Rows to choose golden ones from.

    Attributes:
        inputs: input name -> typed tensor of native dtype (behind the codec), rows along the signature's batch axis;
            a list of arrays for images of different sizes.
        slices: name -> group per row.
    """

    inputs: Mapping[str, Any]
    slices: Mapping[str, Array] = field(default_factory=dict[str, Array])


def build(package: Package, source: Source, sample: Sample, *, limits: Mapping[str, Mapping[str, float]] | None = None,
          licence: str | None = None, shareable: bool = False, wanted: int | None = None, seed: int = 0,
          inner: Inner | None = None) -> Contract:  # fmt: skip
    """The contract of a package that has none yet.

    Args:
        package: the program, written and trusted where it has host stages; its signature's kinds win.
        source: typed tensors of native dtype -> outputs by name.
        sample: rows to choose from.
        limits: output -> tolerances that differ from the defaults.
        licence, shareable: of the golden inputs.
        wanted: golden rows, within 32 and 256; default: 64, or 32 where a row is larger than 4 KiB.
        seed: of the random choices; the same seed gives the same contract.
        inner: typed tensors -> the source's values at the package's boundaries, to name the stage at fault.

    Raises:
        ContractError: the program does not answer like its source, or the source answers differently each time;
            `report` has the figures.
    """
    signature, firmness = package.signature, Firmness(package, _discrete(package.signature))
    session = Reference().open(package)
    try:
        row_bytes = _row_bytes(signature, source, sample.inputs)
        wanted = golden.usual(row_bytes) if wanted is None else wanted
        calls = main_calls(signature, sample.inputs, sample.slices, row_bytes, firmness, wanted, seed)
        rows = sum(len(call.why) for call in calls)
        notes = [f"{rows} golden rows, fewer than {golden.FEWEST}"] if rows < golden.FEWEST else []
        cases = list(_answered(signature, source, firmness, calls))
        if signature.state and _unmoved(signature, cases):
            calls = long_calls(signature, sample.inputs, min(golden.MOST, golden.BYTES // max(_bytes(cases[0]), 1)))
            cases = list(_answered(signature, source, firmness, calls))
            notes += ["every golden row has the same answer: give examples that move it"] if _unmoved(signature, cases) else []
        rules = rules_of(signature, {spec.name: _references(signature, spec.name, cases) for spec in signature.outputs}, limits)
        _check_steady(signature, source, calls[0])
        used = sum(_bytes(case) for case in cases)
        for call in more_calls(signature, source, calls, notes):
            for case in _answered(signature, source, firmness, [call]):
                used += _bytes(case)
                if used <= golden.BYTES:
                    cases.append(case)
        found = check(session, cases, rules)
        if found.verdict == "failed":
            raise refusal(package, found, cases, inner)
        contract = Contract(tuple(cases), rules, licence, shareable, _narrowing(signature, source, sample.inputs))
        return replace(contract, notes=(*notes, *_alone(signature, source, calls[0], contract)))
    finally:
        session.close()
        firmness.close()


def narrowed(signature: Signature, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Typed inputs in the dtypes of the program's rim, as the door narrows them."""
    dtypes = {spec.name: NUMPY[spec.rim_dtype] for spec in signature.inputs}
    return {name: values.astype(dtypes[name]) if _numeric(values) else values for name, values in inputs.items()}


def _discrete(signature: Signature) -> list[str]:
    kinds = ("decision", "ranking", "sequence")
    return [spec.name for spec in signature.outputs if spec.kind in kinds or (spec.kind is None and spec.dtype not in _FLOATS)]


def _numeric(values: Any) -> bool:
    return isinstance(values, np.ndarray) and cast("Array", values).dtype.kind not in "OUS"


def _answered(signature: Signature, source: Source, firmness: Firmness, calls: Iterable[Call]) -> Iterable[Case]:
    """Cases from calls: references of the source, firm rows of the program; a sequence's state goes from step to step."""
    state: dict[str, Array] = {}
    sequence: str | None = None
    for call in calls:
        state = state if call.sequence is not None and call.sequence == sequence else dict(call.state)
        sequence = call.sequence
        outputs = source({**call.inputs, **state})
        rim = narrowed(signature, call.inputs)
        firm = firmness.mask({**rim, **narrowed(signature, state)})
        kept = {name: mask for name, mask in firm.items() if not mask.all()}
        references = {spec.name: np.asarray(outputs[spec.name]).astype(NUMPY[spec.dtype], copy=False) for spec in signature.outputs}
        yield Case(_stored(rim), references, kept, call.why, call.slices, call.sequence)
        state = {pair.input: outputs[pair.output] for pair in signature.state}


def _unmoved(signature: Signature, cases: Sequence[Case]) -> bool:
    """Every case has the same answer, memory aside: short sequences of a model with a long memory say nothing about it."""
    state = {pair.output for pair in signature.state}
    names = [spec.name for spec in signature.outputs if spec.name not in state]
    return bool(names) and all(np.array_equal(case.outputs[name], cases[0].outputs[name]) for case in cases for name in names)


def _stored(inputs: Mapping[str, Any]) -> dict[str, Array]:
    """Inputs as arrays; images of one size that came as a list are stacked."""
    return {name: cast("Array", values) if isinstance(values, np.ndarray) else np.stack(list(values)) for name, values in inputs.items()}


def _references(signature: Signature, name: str, cases: Iterable[Case]) -> list[Array]:
    return [rows_first(case.outputs[name], batch_axis(signature, name)) for case in cases]


def _row_bytes(signature: Signature, source: Source, inputs: Mapping[str, Any]) -> float:
    """Stored bytes of one row: inputs at the rim, and outputs of a first call."""
    rows = golden.rows_of(signature, inputs)
    held = narrowed(signature, golden.take(signature, inputs, range(min(rows, golden.FEWEST))))
    sizes = [np.asarray(one).nbytes for values in held.values() for one in (values if isinstance(values, list) else [values])]
    return sum(sizes) / max(min(rows, golden.FEWEST), 1) + sum(8.0 for _ in signature.outputs)


def _bytes(case: Case) -> int:
    return sum(np.asarray(array).nbytes for array in (*case.inputs.values(), *case.outputs.values()))


def _check_steady(signature: Signature, source: Source, call: Call) -> None:
    """The source must answer a few rows the same twice, bit by bit; a random number in it would be frozen into the program."""
    whole = signature.state or golden.fixed_rows(signature) is not None
    few = call.inputs if whole else golden.take(signature, call.inputs, range(min(_TWICE, len(call.why))))
    once, again = (source({**few, **call.state}) for _ in range(2))
    for spec in signature.outputs:
        first, second = (np.asarray(answer[spec.name]).astype(NUMPY[spec.dtype], copy=False) for answer in (once, again))
        if first.shape != second.shape or not np.array_equal(first, second, equal_nan=first.dtype.kind == "f"):
            raise ContractError(f"The source answers differently the second time: output {spec.name!r}",
                                fix="Remove the random number from featurize, the model or predict (dropout: model.eval()).")  # fmt: skip


def _narrowing(signature: Signature, source: Source, inputs: Mapping[str, Any]) -> dict[str, int]:
    """Decisions of the source that change when its inputs are narrowed to the rim's dtypes and nothing else."""
    wide = any(spec.dtype == "f64" for spec in signature.inputs)
    names = [name for name in _discrete(signature) if batch_axis(signature, name) is not None]
    if not wide or not names or signature.state or golden.fixed_rows(signature) is not None:
        return {}
    some = golden.take(signature, inputs, range(min(golden.rows_of(signature, inputs), _NARROWING_ROWS)))
    dtypes = {spec.name: NUMPY[spec.dtype] for spec in signature.inputs}
    there = {name: values.astype(dtypes[name]) if _numeric(values) else values for name, values in narrowed(signature, some).items()}
    native, narrow = source(some), source(there)
    return {name: int(_differing(signature, name, native, narrow).sum()) for name in names}


def _differing(signature: Signature, name: str, first: Mapping[str, Array], second: Mapping[str, Array]) -> Array:
    one, two = (rows_first(np.asarray(held[name]), batch_axis(signature, name)) for held in (first, second))
    return (one != two).reshape(len(one), -1).any(axis=1)


def _alone(signature: Signature, source: Source, call: Call, contract: Contract) -> list[str]:
    """A note when the source's answer to a row depends on its batch-mates."""
    case, rows = contract.cases[0], len(call.why)
    if rows < 2 or call.sequence is not None or golden.fixed_rows(signature) is not None:
        return []
    for row in range(min(_ALONE, rows)):
        single = source(golden.take(signature, call.inputs, [row]))
        for name, rule in contract.rules.items():
            axis = batch_axis(signature, name)
            if axis is None:
                continue
            reference = rows_first(case.outputs[name], axis)[row : row + 1]
            got = rows_first(np.asarray(single[name]).astype(reference.dtype, copy=False), axis)
            firm = case.firm.get(name, np.ones(rows, bool))[row : row + 1]
            if reference.shape == got.shape and not judge(rule, reference, got, firm):
                return [f"the source's {name!r} depends on the other rows of a batch; the contract holds for its own batches"]
    return []
