"""Run a user's expectations (sdk/core/expectations.py) on a subject and on its ancestor, and judge the subject.

An answer *changes* where a decision is another one; a model without decisions where another output moves by more than a lossy
artifact may (sdk/core/measures.py). Only rows that the change reaches count: a swap of two categories says nothing about a third.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..sdk.core import distances
from ..sdk.core.contract import Rule
from ..sdk.core.data import Data
from ..sdk.core.errors import InputError
from ..sdk.core.expectations import FILE, Direction, Expectation, from_bytes
from ..sdk.core.gates import Gate, judge, unjudged
from ..sdk.core.input_changes import changed, touched
from ..sdk.core.measures import limit_of, measure
from ..sdk.core.package import Package
from ..sdk.core.signature import Array, Signature
from ..sdk.core.statistics import Estimate, clopper_pearson, lower_bound, upper_bound
from .artifact import Artifact
from .base import Session
from .flipped import comparable, decides
from .paired import Answers, answered, by_row, newly_nan

_SLACK = 1e-6
"""A fall below this share of an output's scale is rounding."""
Hits: TypeAlias = "tuple[int, int]"
"""Rows that go against an expectation, of so many that its change reaches."""


@dataclass(frozen=True)
class Outcome:
    """One expectation, run on both.

    Attributes:
        name: what was expected, in words.
        subject, ancestor: share of rows against it, with exact intervals.
        gate: the verdict on the subject.
    """

    name: str
    subject: Estimate
    ancestor: Estimate
    gate: Gate

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"name": self.name, "subject": self.subject.to_dict(), "ancestor": self.ancestor.to_dict(), "gate": self.gate.to_dict()}


def stored(subject: Package | Artifact) -> tuple[Expectation, ...]:
    """The expectations that travel with a package or artifact. Raises FormatError for ones that cannot be read."""
    listed = subject.content.files if isinstance(subject, Package) else subject.files
    return from_bytes(subject.read(FILE)) if FILE in listed else ()


def run(expectation: Expectation, sessions: tuple[Session, Session], answers: tuple[Answers, Answers], data: Data,
        rules: Mapping[str, Rule], rows: int) -> Outcome:  # fmt: skip
    """Run it on both.

    Args:
        expectation: what must hold.
        sessions: the ancestor's and the subject's.
        answers: theirs to the rows as they are.
        data: the rows.
        rules: how each output is judged.
        rows: rows of a batch.

    Raises InputError for a field or output that is not there.
    """
    signature = sessions[1].info.signature
    ancestor, subject = (hits(expectation, session, held, data, rules, rows, signature)
                         for session, held in zip(sessions, answers, strict=True))  # fmt: skip
    return outcome(expectation, ancestor, subject)


def hits(expectation: Expectation, session: Session, answers: Answers, data: Data, rules: Mapping[str, Rule], rows: int,
         signature: Signature) -> Hits:  # fmt: skip
    """One side of it: (rows against it, rows that the change reaches); `signature` says which numbers are allowed."""
    inputs = _allowed(changed(expectation, data.inputs), signature)
    reached = touched(data.inputs, inputs, len(data))
    if not reached.any():
        return 0, 0
    against = _against(expectation, answers, answered(session, Data(inputs), rows), rules)[reached]
    return int(against.sum()), int(reached.sum())


def outcome(expectation: Expectation, ancestor: Hits, subject: Hits) -> Outcome:
    """The verdict on what the two sides did."""
    name, limit, (found, count) = str(expectation), expectation.at_most, subject
    if not count:
        gate = unjudged(name, limit, "it changes no row of the data")
    else:
        gate = judge(name, limit, lower_bound(found, count), upper_bound(found, count), count)
    return Outcome(name, clopper_pearson(*subject), clopper_pearson(*ancestor), gate)


def _allowed(inputs: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """Numbers back inside the range that the signature allows, so that a change does not end at the door."""
    ranges = {spec.name: spec.range for spec in signature.inputs if spec.range is not None}
    return {
        name: np.clip(held, *ranges[name]).astype(held.dtype)
        if name in ranges and isinstance(held, np.ndarray) and held.dtype.kind in "iuf" else held
        for name, held in inputs.items()
    }  # fmt: skip


def _against(expectation: Expectation, before: Answers, after: Answers, rules: Mapping[str, Rule]) -> Array:
    """(rows,) bool: the answer goes against the expectation. A NaN that the change brings does."""
    broken = np.any([*newly_nan(before, after).values(), np.zeros(before.rows, bool)], axis=0)
    if isinstance(expectation, Direction):
        return _wrong_way(expectation, before, after, rules) | broken
    names = [name for name, why in comparable(before, after, rules).items() if not why]
    decisions = [name for name in names if decides(name, rules[name], before)]
    if decisions:
        return np.any([by_row(name, before, after, distances.differs) > 0 for name in decisions], axis=0) | broken
    return np.any([_moved(name, before, after, rules[name]) for name in names] or [broken], axis=0) | broken


def _moved(name: str, before: Answers, after: Answers, rule: Rule) -> Array:
    """Rows beyond what the kind allows lossy artifacts, row by row."""
    limits = {"value": limit_of(rule, "p95", "value") * rule.scale, "score": limit_of(rule, "p99", "score"),
              "embedding": 1 - limit_of(rule, "lossy_cosine", "embedding")}  # fmt: skip
    limit = limits.get(rule.kind, 0.0)
    return by_row(name, before, after, lambda one, two: measure(rule, one, two).distance) > limit


def _wrong_way(expectation: Direction, before: Answers, after: Answers, rules: Mapping[str, Rule]) -> Array:
    one, two = (_column(expectation, held) for held in (before, after))
    rule = rules.get(expectation.output)
    slack = _SLACK * (rule.scale if rule is not None and rule.kind == "value" else 1.0)
    with np.errstate(invalid="ignore"):
        return (one - two) * (-1 if expectation.falls else 1) > slack


def _column(expectation: Direction, answers: Answers) -> Array:
    """(rows,) float64 of the output that a direction is about."""
    name, column = expectation.output, expectation.column
    if name not in answers.names:
        raise InputError("An expectation names an output that is not there", got=name, expected=", ".join(answers.names))
    held = answers.joined(name)
    flat = None if held is None else held.reshape(len(held), -1)
    if flat is None or flat.dtype.kind not in "biuf" or (column is None and flat.shape[1] != 1) or (column or 0) >= flat.shape[1]:
        raise InputError("An expectation needs one number per row of the output", field=name,
                         got=f"shape {() if held is None else held.shape}", expected="column=, for several numbers")  # fmt: skip
    return flat[:, column or 0].astype(np.float64)
