"""`audit`: a package or artifact against a named ancestor on the same rows: what was lost, where, and in which rows.

Metrics are compared paired, per slice worst first; decisions row by row; gates and the user's own expectations decide. Rules:

- A gate holds its limit against the upper end of a 95% interval (sdk/core/gates.py): too few rows are "not enough data".
- `max_drop` and `max_slice_drop` go by the primary metric (accuracy, or mean absolute error); `max_flips` by the output that
  flips most. A slice with fewer rows than its limit needs is named and does not decide.
- A NaN where the ancestor has none is a flip, a wrong answer, an infinite error, and is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..sdk.core.budget import Budget
from ..sdk.core.contract import Rule
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest, slices_digest
from ..sdk.core.decisions import Verdict, combine
from ..sdk.core.errors import FormatError, InputError
from ..sdk.core.expectations import Expectation
from ..sdk.core.gates import Gate
from ..sdk.core.package import Package
from .artifact import Artifact
from .audit_page import page
from .audit_sections import Row
from .audit_text import lines
from .comparison import Comparison, compare
from .evaluate import Subject, digest_of, rules_of, session_of
from .expectations import Outcome, run, stored
from .gates import judged
from .hardware import built_on, cpu_class
from .paired import answered, batch_rows
from .pictures import shown
from .subjects import opened


@dataclass(frozen=True)
class Audit(Comparison):
    """What changed between an ancestor and a subject. Truthy only when a gate or expectation was given and all passed.

    Attributes:
        gates: limits that were given, judged.
        expectations: the user's own, run on both, judged on the subject.
        lineage: digests and versions of what went in.
        command: the call or command line that makes it again.
        row: shows a row of the audited data as HTML; None where they are not at hand.
    """

    gates: tuple[Gate, ...] = ()
    expectations: tuple[Outcome, ...] = ()
    lineage: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False)
    command: str = field(default="", compare=False)
    row: Row | None = field(default=None, repr=False, compare=False)

    @property
    def verdict(self) -> Verdict:
        """ "passed", "failed" or "not enough data", which it also is where nothing was asked."""
        return combine([gate.verdict for gate in (*self.gates, *(held.gate for held in self.expectations))])

    @property
    def asked(self) -> bool:
        """There is a gate or an expectation."""
        return bool(self.gates or self.expectations)

    def __bool__(self) -> bool:
        return self.verdict == "passed"

    def summary(self) -> dict[str, Any]:
        """JSON-ready, without slices and examples: what an artifact records."""
        return {
            "verdict": self.verdict, "subject": self.subject, "ancestor": self.ancestor, "target": self.target, "rows": self.rows,
            "labelled": self.labelled, "changes": {name: held.to_dict() for name, held in self.changes.items()},
            "flips": {held.output: {"count": held.count, "upper_bound": held.high} for held in self.flips},
            "gates": [gate.to_dict() for gate in self.gates], "expectations": [held.gate.to_dict() for held in self.expectations],
            "notes": list(self.notes),
        }  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; small slices say "not enough data"."""
        slices = {key: {name: held.to_dict() for name, held in found.items()} if found is not None else "not enough data"
                  for key, found in self.slices.items()}  # fmt: skip
        return {
            "name": self.name, **self.summary(), "slices": slices, "counts": dict(self.counts),
            "flips": [held.to_dict() for held in self.flips], "drifts": [held.to_dict() for held in self.drifts],
            "expectations": [held.to_dict() for held in self.expectations], "lineage": dict(self.lineage), "command": self.command,
        }  # fmt: skip

    def to_html(self, path: Path | str) -> Path:
        """Write a page that stands alone: gates, paired intervals, slices, flipped rows, lineage; no scripts, light and dark."""
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page(self.to_dict(), self.row), encoding="utf-8")
        return file

    def __str__(self) -> str:
        return "\n".join(lines(self.to_dict()))


def audit(subject: Subject, ancestor: Subject, data: Data, *, gates: Budget | None = None,
          expectations: Sequence[Expectation] | None = None, trust: bool = False, output: str | None = None) -> Audit:  # fmt: skip
    """Compare a package or artifact with an ancestor, row by row on the same data.

    Args:
        subject: a package (its reference answers), an artifact (its own session), a folder, or a name in the store.
        ancestor: the same; what the subject must not be worse than.
        data: held-out rows; labels and slices where there are any. A label may be missing (None, NaN).
        gates: `max_drop`, `max_slice_drop`, `max_flips`.
        expectations: the user's own; None: those that the subject carries, else the ancestor's.
        trust: host stages may run.
        output: what the labels are about, where several outputs could be; None: what they fit.

    Raises:
        InputError: no rows, limits that are not about quality, or two models without an output in common.
        FormatError, IntegrityError, StoreError: not a package, altered, or not in the store.
        TrustError: host stages would have to run.
    """
    limits = quality_limits(gates)
    if not len(data):
        raise InputError("There are no rows to audit on", fix="Pass held-out rows: Data(inputs=..., labels=..., slices=...).")
    first, second = opened(ancestor, trust), opened(subject, trust)
    rules = _rules(second, first)
    declared = tuple(expectations) if expectations is not None else stored(second) or stored(first)
    with closing(session_of(first, trust)) as old, closing(session_of(second, trust)) as new:
        rows = batch_rows(old.info.signature, new.info.signature)
        before, after = answered(old, data, rows), answered(new, data, rows)
        outcomes = tuple(run(held, (old, new), (before, after), data, rules, rows) for held in declared)
    found = compare(second, first, data, rules, before, after, output)
    gates_judged = judged(limits, found.changes, found.slices, found.counts, found.flips)
    return Audit(**vars(found), gates=gates_judged, expectations=outcomes, lineage=_lineage(second, first, data),
                 command=_command(second, first, limits), row=lambda row: shown(second, data, row))  # fmt: skip


def quality_limits(gates: Budget | None) -> dict[str, float]:
    """The gates of a budget. Raises InputError where it has other limits, which an audit cannot judge."""
    if gates is None:
        return {}
    if others := sorted(set(gates.limits) - set(gates.gates.limits)):
        raise InputError("An audit judges answers, not cost", got=", ".join(others), expected="max_drop, max_slice_drop, max_flips",
                         fix="Pass budget.gates; size, latency and memory are limits of search.")  # fmt: skip
    return gates.limits


def _lineage(subject: Package | Artifact, ancestor: Package | Artifact, data: Data) -> dict[str, Any]:
    """Everything that the figures depend on."""
    sides = {"subject": subject, "ancestor": ancestor}
    held: dict[str, Any] = {}
    for name, side in sides.items():
        held[name] = f"{side.name}, {digest_of(side)}"
        held |= {f"{name}'s artifact": f"{side.target}, {side.digest}"} if isinstance(side, Artifact) else {}
    parents = {} if isinstance(subject, Artifact) else {"subject's parents": list(subject.content.parents)}
    engine = subject.built.get("versions", {}) if isinstance(subject, Artifact) else {}
    return {**held, **parents, "data": data_digest(data), "slices": slices_digest(data),
            "versions": {**engine, **built_on()["versions"]}, "cpu": cpu_class()}  # fmt: skip


def _command(subject: Package | Artifact, ancestor: Package | Artifact, limits: Mapping[str, float]) -> str:
    """A call that makes the audit again; the command line puts its own words in its place."""
    asked = f", gates=ps.Budget({', '.join(f'{name}={held:g}' for name, held in limits.items())})" if limits else ""
    return f"ps.audit({str(subject.path)!r}, {str(ancestor.path)!r}, data{asked})"


def _rules(subject: Package | Artifact, ancestor: Package | Artifact) -> Mapping[str, Rule]:
    """The subject's rules; the ancestor's for an artifact that travels without golden rows."""
    try:
        return rules_of(subject)
    except FormatError:
        return rules_of(ancestor)
