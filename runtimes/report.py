"""What a verification found, for programs (`to_dict`), terminals (`str`) and people (`to_html`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..sdk.core.decisions import Judgement, Verdict, combine
from ..sdk.core.statistics import Estimate
from .bench import Timings
from .fidelity import Fidelity, OutputCheck
from .parity import Parity, figure, weights_text
from .quality import Metrics, Quality
from .report_page import page, pages


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
        refused: why the target cannot hold the package; nothing was compared then.
        size_bytes: bytes of the engine's files.
        weights_bytes: dtype -> bytes of weights, as the artifact's files hold them.
        timings: latency of one row, cold start and memory, where they were measured.
        notes: what a reader must know beside the figures.
        unproven: why nothing was run: the target cannot run here.
    """

    target: str
    golden: Fidelity
    held_out: Fidelity | None = None
    quality: Quality | None = None
    lossy: bool = False
    artifact: str = ""
    refused: str | None = None
    size_bytes: int = 0
    weights_bytes: Mapping[str, int] = field(default_factory=dict[str, int])
    timings: Timings | None = None
    notes: tuple[str, ...] = ()
    unproven: str | None = None

    @property
    def verdict(self) -> Verdict:
        """Both must pass; a lossy artifact that the golden rows cannot prove is decided by the held-out rows."""
        if self.refused:
            return "failed"
        if self.held_out is None:
            return self.golden.verdict
        if self.lossy and self.golden.verdict == "not enough data":
            return self.held_out.verdict
        return combine([self.golden.verdict, self.held_out.verdict])

    @property
    def outcome(self) -> str:
        """The verdict, "refused" where the target cannot hold the package, or "unverified" where it could not be run."""
        return "refused" if self.refused else "unverified" if self.unproven else self.verdict

    @property
    def faults(self) -> tuple[str, ...]:
        """A line for everything on golden and held-out rows that is not simply passed."""
        parts = (("contract", self.golden), ("held out", self.held_out))
        return tuple(f"{what}: {line}" for what, found in parts if found is not None for line in found.faults)

    @property
    def parity(self) -> Parity:
        """Golden and held-out rows together, as one row of a table over targets."""
        return Parity.of(self.golden, self.held_out)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "target": self.target, "verdict": self.verdict, "outcome": self.outcome, "refused": self.refused, "lossy": self.lossy,
            "artifact": self.artifact, "parity": self.parity.to_dict(), "size_bytes": self.size_bytes,
            "weights_bytes": dict(self.weights_bytes), "timings": self.timings.to_dict() if self.timings else None,
            "unproven": self.unproven,
            "golden": self.golden.to_dict(), "held_out": self.held_out.to_dict() if self.held_out is not None else None,
            "quality": self.quality.to_dict() if self.quality else None, "notes": list(self.notes),
        }  # fmt: skip


@dataclass(frozen=True)
class Report:
    """A verification. Truthy only when every target passed; `str(report)` is a table.

    Attributes:
        name: of the package.
        package: its digest.
        targets: what was found, target by target.
        absent: target -> why it was not asked, where all were to be: it does not work here.
        required: every target was named by the caller, so that one which refuses the package fails.
    """

    name: str
    package: str
    targets: tuple[TargetReport, ...]
    absent: Mapping[str, str] = field(default_factory=dict[str, str])
    required: bool = True

    @property
    def verdict(self) -> Verdict:
        """ "passed", "failed" or "not enough data". Where all targets were asked, one that refuses the package by name says
        nothing about the others; where none is left, or none could be asked here, the package failed."""
        if not self.targets:
            return "failed"
        asked = [target for target in self.targets if self.required or not target.refused]
        return combine([target.verdict for target in asked or self.targets])

    def __bool__(self) -> bool:
        return self.verdict == "passed"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        targets = [target.to_dict() for target in self.targets]
        return {"name": self.name, "package": self.package, "verdict": self.verdict, "targets": targets, "absent": dict(self.absent)}

    def to_html(self, path: Path | str) -> Path:
        """Write a page that stands alone: no scripts, no links out, light and dark."""
        return write_page([self], path)

    def __repr__(self) -> str:
        """One line: what a notebook shows."""
        return f"<Report of {self.name!r}: {', '.join(f'{target.target} {target.outcome}' for target in self.targets)}>"

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.verdict}"]
        if len(self.targets) > 1:
            lines += ["", *table(SIDE_BY_SIDE, [side_by_side(target) for target in self.targets])]
        for target in self.targets:
            lines += ["", f"{target.target}{' (lossy)' if target.lossy else ''}: {target.outcome}", *_target_lines(target)]
        lines += ["", *(f"  not asked: {name}, {why}" for name, why in self.absent.items())] if self.absent else []
        return "\n".join(lines)


def write_page(reports: Sequence[Report], path: Path | str) -> Path:
    """Write one page for any number of reports: no scripts, no links out, light and dark."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    held = [report.to_dict() for report in reports]
    file.write_text(page(held[0]) if len(held) == 1 else pages(held), encoding="utf-8")
    return file


SIDE_BY_SIDE = ("target", "rows", "firm flips [95%]", "fragile flips [95%]", "largest", "mean", "weights", "size", "cold ms",
                "p50 ms", "p95 ms", "memory MB", "verdict")  # fmt: skip


def side_by_side(target: TargetReport) -> tuple[str, ...]:
    """One row of the table over targets, as text; empty cells were not measured."""
    found, took = target.parity, target.timings
    if target.refused or target.unproven:
        return (target.target, *[""] * (len(SIDE_BY_SIDE) - 2), target.outcome)
    flips = [str(part) if part else "no decision" for part in (found.firm, found.fragile)]
    off = [f"{found.difference.largest:.1e}", f"{found.difference.mean:.1e}"] if found.difference else ["", ""]
    cold = "" if took is None or took.cold_start_ms is None else f"{took.cold_start_ms:,.0f}"
    memory = "" if took is None or took.memory_mb is None else f"{took.memory_mb:,.0f}"
    speed = [figure(took.p50_ms), figure(took.p95_ms)] if took else ["", ""]
    size = f"{target.size_bytes / 1e6:.2f} MB" if target.size_bytes else ""
    return (target.target, str(found.rows), *flips, *off, weights_text(target.weights_bytes), size, cold, *speed, memory, target.outcome)


def _target_lines(target: TargetReport) -> list[str]:
    if target.refused:
        return [f"  {target.refused}"]
    if target.unproven:
        return [f"  {note}" for note in target.notes]
    parts = [("golden", target.golden)] + ([("held out", target.held_out)] if target.held_out is not None else [])
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
    if worst is None:
        return ""
    return f" (worst: case {worst.case} row {worst.row}, {worst.why}: {worst.reference} became {worst.got}, {worst.off})"


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
