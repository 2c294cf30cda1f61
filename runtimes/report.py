"""What a verification found, for programs (`to_dict`), terminals (`str`) and people (`to_html`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..sdk.core.decisions import Judgement, Verdict, combine
from ..sdk.core.statistics import Estimate
from .fidelity import Fidelity, OutputCheck
from .quality import Metrics, Quality
from .report_page import page


@dataclass(frozen=True)
class TargetReport:
    """One target against the package's references.

    Attributes:
        target: name of the runtime.
        golden: the contract's rows.
        held_out: held-out rows, where they were given.
        quality: metrics, where there were labels.
        lossy: the artifact computes below float32.
        artifact: its digest.
        notes: what a reader must know beside the figures.
    """

    target: str
    golden: Fidelity
    held_out: Fidelity | None = None
    quality: Quality | None = None
    lossy: bool = False
    artifact: str = ""
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Both must pass; a lossy artifact that the golden rows cannot prove is decided by the held-out rows."""
        if self.held_out is None:
            return self.golden.verdict
        if self.lossy and self.golden.verdict == "not enough data":
            return self.held_out.verdict
        return combine([self.golden.verdict, self.held_out.verdict])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "target": self.target, "verdict": self.verdict, "lossy": self.lossy, "artifact": self.artifact,
            "golden": self.golden.to_dict(), "held_out": self.held_out.to_dict() if self.held_out else None,
            "quality": self.quality.to_dict() if self.quality else None, "notes": list(self.notes),
        }  # fmt: skip


@dataclass(frozen=True)
class Report:
    """A verification. Truthy only when every target passed; `str(report)` is a table."""

    name: str
    package: str
    targets: tuple[TargetReport, ...]

    @property
    def verdict(self) -> Verdict:
        """ "passed", "failed" or "not enough data"."""
        return combine([target.verdict for target in self.targets])

    def __bool__(self) -> bool:
        return self.verdict == "passed"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        targets = [target.to_dict() for target in self.targets]
        return {"name": self.name, "package": self.package, "verdict": self.verdict, "targets": targets}

    def to_html(self, path: Path | str) -> Path:
        """Write a page that stands alone: no scripts, no links out, light and dark."""
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page(self.to_dict()), encoding="utf-8")
        return file

    def __repr__(self) -> str:
        """One line: what a notebook shows."""
        return f"<Report of {self.name!r}: {', '.join(f'{target.target} {target.verdict}' for target in self.targets)}>"

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.verdict}"]
        for target in self.targets:
            lines += ["", f"{target.target}{' (lossy)' if target.lossy else ''}: {target.verdict}", *_target_lines(target)]
        return "\n".join(lines)


def _target_lines(target: TargetReport) -> list[str]:
    parts = [("golden", target.golden)] + ([("held out", target.held_out)] if target.held_out else [])
    rows = [_row(where, check) for where, found in parts for check in found.checks]
    lines = table(("rows of", "output", "kind", "rows", "flips [95%]", "firm", "fragile", "worst", "limit", "verdict"), rows)
    lines += [f"  fault on {where} rows: {found.fault}" for where, found in parts if found.fault]
    remarks = [check for _, found in parts for check in found.checks if check.judgement.note]
    lines += [f"  {check.output}: {check.judgement.note}{_worst(check)}" for check in remarks]
    return lines + _quality_lines(target.quality) + [f"  note: {note}" for note in target.notes]


def _row(where: str, check: OutputCheck) -> tuple[str, ...]:
    found: Judgement = check.judgement
    return (where, check.output, found.kind, str(found.rows), flips_text(found.flips, found.flip_rate), str(found.firm_flips),
            str(found.fragile_rows), f"{found.max_abs:.3g}", f"{found.limit:.3g}", found.verdict)  # fmt: skip


def flips_text(flips: int, rate: Estimate) -> str:
    """ "3 [0.1%, 1.2%]"."""
    return f"{flips} [{100 * rate.low:.3g}%, {100 * rate.high:.3g}%]"


def _worst(check: OutputCheck) -> str:
    worst = check.worst
    return "" if worst is None else f" (worst: case {worst.case} row {worst.row}, {worst.why}: {worst.reference} became {worst.got})"


def _quality_lines(quality: Quality | None) -> list[str]:
    if quality is None:
        return []
    names = list(quality.metrics)
    rows = [("all", *metric_cells(quality.metrics, names))]
    rows += [(f"{key} ({quality.counts[key]})", *metric_cells(metrics, names)) for key, metrics in quality.slices.items()]
    return ["", *table(("quality", *names), rows)]


def metric_cells(metrics: Metrics | None, names: Sequence[str]) -> list[str]:
    """A cell per metric; a slice that is too small says so."""
    if metrics is None:
        return ["not enough data"] + ["-"] * (len(names) - 1)
    return [str(metrics[name]) if name in metrics else "-" for name in names]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a plain table, columns as wide as they need."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)]
