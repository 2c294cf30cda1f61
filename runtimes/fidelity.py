"""Run cases through a session and judge every output: the half of verification that a device can do by itself.

Cases of one sequence are run in order, each fed the state that the one before left. An output's rows are pooled over the
cases whose shapes agree, judged, and the parts merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..sdk.core.contract import Case, Rule
from ..sdk.core.decisions import Judgement, Verdict, combine, judge, merge
from ..sdk.core.errors import PortsideError
from ..sdk.core.signature import Array, Signature
from .base import Session

EDGE_RULES = ("margin", "missing", "unknown", "infinite", "dims")
"""Golden rows chosen because they are hard: they say nothing about the rate of flips, and lossy decisions leave them out."""
_SHOWN = 8


@dataclass(frozen=True)
class Example:
    """The row farthest off: where it is, both answers as text, and how far apart they are."""

    case: int
    row: int
    why: str
    reference: str
    got: str
    off: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class OutputCheck:
    """What was found for one output, and its worst example."""

    output: str
    judgement: Judgement
    worst: Example | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"output": self.output, "judgement": self.judgement.to_dict(), "worst": self.worst.to_dict() if self.worst else None}


@dataclass(frozen=True)
class Fidelity:
    """Every output of a session against references. Truthy only when all passed.

    Attributes:
        checks: one per output.
        rows: rows that were run.
        fault: the session raised instead of answering: where and what; then the verdict is "failed".
    """

    checks: tuple[OutputCheck, ...] = ()
    rows: int = 0
    fault: str | None = None

    @property
    def verdict(self) -> Verdict:
        """ "passed", "failed" or "not enough data"."""
        return "failed" if self.fault else combine([check.judgement.verdict for check in self.checks])

    @property
    def faults(self) -> tuple[str, ...]:
        """A line for everything that is not simply passed; for what failed with its worst example."""
        judged = [(check, check.judgement) for check in self.checks if check.judgement.verdict != "passed"]
        lines = [f"{check.output} {found.verdict} ({found.note}){_at(check.worst) if found.verdict == 'failed' else ''}"
                 for check, found in judged]  # fmt: skip
        return (*([self.fault] if self.fault else []), *lines)

    def __bool__(self) -> bool:
        return self.verdict == "passed"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        checks = [check.to_dict() for check in self.checks]
        return {"verdict": self.verdict, "rows": self.rows, "fault": self.fault, "outputs": checks}


def _at(worst: Example | None) -> str:
    return f"; case {worst.case} row {worst.row}: reference {worst.reference}, got {worst.got}, {worst.off}" if worst else ""


@dataclass
class _Pool:
    """Answers to one output of cases whose shapes agree, still to be judged together."""

    reference: list[Array] = field(default_factory=list[Array])
    got: list[Array] = field(default_factory=list[Array])
    firm: list[Array] = field(default_factory=list[Array])
    where: list[tuple[int, int, str]] = field(default_factory=list[tuple[int, int, str]])
    slices: list[Mapping[str, tuple[str, ...]]] = field(default_factory=list[Mapping[str, tuple[str, ...]]])


def check(session: Session, cases: Iterable[Case], rules: Mapping[str, Rule], lossy: bool = False, sampled: bool = False) -> Fidelity:
    """Judge a session's answers to cases.

    Args:
        session: its signature says where rows are.
        cases: with reference outputs; consumed one at a time.
        rules: output name -> Rule. Outputs without a rule are not judged.
        lossy: the artifact computes below float32.
        sampled: the rows are a sample of what the model will meet (an evidence set, not golden rows chosen for being
            hard): lossy decisions are then judged on all rows, otherwise on firm rows that were not chosen at the edge.
    """
    signature, rows = session.info.signature, 0
    rules = {spec.name: rules[spec.name] for spec in signature.outputs if spec.name in rules}
    pools: dict[str, dict[Any, _Pool]] = {name: {} for name in rules}
    for index, (case, outputs) in enumerate(answers(session, cases)):
        if isinstance(outputs, str):
            return Fidelity(rows=rows, fault=f"case {index} ({_reason(case, 0)}): {outputs}")
        rows += case.rows
        for name in rules:
            if name in case.outputs:
                _add(pools[name], signature, name, index, case, outputs, keep=_keep(rules[name], name, case, lossy and not sampled))
    return Fidelity(tuple(_judged(name, rules[name], list(held.values()), lossy) for name, held in pools.items()), rows)


def answers(session: Session, cases: Iterable[Case]) -> Iterator[tuple[Case, dict[str, Array] | str]]:
    """Each case with what the session answered, or with what it raised, as text."""
    signature = session.info.signature
    sequence: str | None = None
    state: dict[str, Array] = {}
    for case in cases:
        if case.sequence is None or case.sequence != sequence:
            state = {}
        sequence = case.sequence
        try:
            outputs = session.run({**case.inputs, **state})
        except PortsideError as error:
            yield case, str(error)
            return
        state = {pair.input: outputs[pair.output] for pair in signature.state} if sequence is not None else {}
        yield case, outputs


def rows_first(array: Array, axis: int | None) -> Array:
    """The array with its batch axis in front; one row where it has none."""
    return array[None] if axis is None or not array.ndim else np.moveaxis(array, axis, 0)


def batch_axis(signature: Signature, output: str) -> int | None:
    """The axis of an output that counts rows."""
    spec = signature.output(output)
    return spec.batch_axis if spec.shape else None


def _keep(rule: Rule, name: str, case: Case, edges_out: bool) -> Array | None:
    """Rows that count; None for all."""
    if not edges_out or rule.kind != "decision":
        return None
    usual = np.array([not reason.startswith(EDGE_RULES) for reason in case.why])
    firm = case.firm.get(name)
    return usual if firm is None else usual & firm


def _add(pools: dict[Any, _Pool], signature: Signature, name: str, index: int, case: Case,
         outputs: Mapping[str, Array], keep: Array | None) -> None:  # fmt: skip
    axis = batch_axis(signature, name)
    reference = rows_first(np.asarray(case.outputs[name]), axis)
    got = rows_first(np.asarray(outputs[name]), axis) if name in outputs else np.zeros(0)
    rows = len(reference)
    firm = case.firm.get(name, np.ones(rows, bool))
    where = [(index, row, _reason(case, row)) for row in range(rows)]
    slices = {key: groups for key, groups in case.slices.items() if len(groups) == rows}
    if keep is not None and len(keep) == rows and got.shape == reference.shape:
        reference, got, firm = reference[keep], got[keep], firm[keep]
        where = [place for place, kept in zip(where, keep, strict=True) if kept]
        slices = {key: tuple(np.asarray(groups)[keep]) for key, groups in slices.items()}
    key = (reference.shape[1:], got.shape[1:], str(got.dtype), got.shape == reference.shape or index, tuple(slices))
    pool = pools.setdefault(key, _Pool())
    for held, value in ((pool.reference, reference), (pool.got, got), (pool.firm, firm), (pool.slices, slices)):
        held.append(value)  # type: ignore[arg-type]
    pool.where += where


def _judged(name: str, rule: Rule, pools: list[_Pool], lossy: bool) -> OutputCheck:
    parts: list[Judgement] = []
    for pool in pools:
        groups = {key: np.concatenate([np.asarray(held[key]) for held in pool.slices]) for key in pool.slices[0]}
        parts.append(judge(rule, np.concatenate(pool.reference), np.concatenate(pool.got), np.concatenate(pool.firm), lossy, groups))
    whole = merge(rule, parts)
    largest = max(parts, key=lambda part: part.rows, default=whole)
    return OutputCheck(name, replace(whole, slices=largest.slices), _example(pools, whole.worst_row))


def _example(pools: list[_Pool], row: int | None) -> Example | None:
    if row is None:
        return None
    for pool in pools:
        if row < len(pool.where):
            case, place, why = pool.where[row]
            reference, got = np.concatenate(pool.reference), np.concatenate(pool.got)
            if row >= len(got):
                return Example(case, place, why, shown(reference[row]), "nothing", "no answer")
            return Example(case, place, why, shown(reference[row]), shown(got[row]), apart(reference[row], got[row]))
        row -= len(pool.where)
    return None


def shown(value: Any) -> str:
    """A few numbers of an answer, for people."""
    held = np.asarray(value)
    flat = held.ravel()
    text = ", ".join(f"{item:.6g}" if held.dtype.kind == "f" else str(item) for item in flat[:_SHOWN].tolist())
    return text if flat.size == 1 else f"[{text}{', ...' if flat.size > _SHOWN else ''}]"


def apart(reference: Any, got: Any) -> str:
    """How far two answers are apart, for people: the largest difference of numbers, how many parts of other answers differ."""
    one, other = np.asarray(reference), np.asarray(got)
    if one.shape != other.shape:
        return f"shape {one.shape} became {other.shape}"
    if one.dtype.kind == "f" and other.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            off = np.where(np.isnan(one) & np.isnan(other) | (one == other), 0.0, np.abs(one.astype(np.float64) - other.astype(np.float64)))
        return "NaN on one side" if np.isnan(off).any() else f"off by {off.max(initial=0.0):.3g}"
    differ = int((one != other).sum())
    return "the same" if not differ else "another answer" if one.size == 1 else f"{differ} of {one.size} differ"


def _reason(case: Case, row: int) -> str:
    return case.why[row] if row < len(case.why) else ""
