"""Has the world changed: every field of a span beside its reference, with effect and interval, and what looks like a mistake; pure."""

from __future__ import annotations

from typing import Any

from ...sdk.core.drift.compare import compare
from ...sdk.core.drift.report import FieldDrift
from ...sdk.core.profile import Profile
from ...sdk.core.window import Window
from .right import figure


def changed(whole: Window, reference: Profile | None, against: str) -> dict[str, Any]:
    """Fields, those that moved most first.

    Args:
        reference: what the span is held against; None: nothing, and `against` says why.
        against: where the reference is from.
    """
    if reference is None:
        return {"against": None, "why": against, "verdict": None, "fields": [{"field": name, "kind": _kind(whole, name)}
                for name in whole.profile.fields], "absent": [], "new": [], "rows": whole.rows}  # fmt: skip
    report = compare(reference, whole.profile)
    fresh = [{"field": name, "kind": _kind(whole, name), "verdict": None} for name in report.new]
    return {"against": against, "why": "", "verdict": report.verdict, "what": report.what, "rows": whole.rows,
            "fields": [*map(line, report.fields), *fresh], "absent": list(report.absent), "new": list(report.new),
            "drifted": len(report.drifted), "judged": sum(one.verdict != "not enough data" for one in report.fields)}  # fmt: skip


def line(found: FieldDrift) -> dict[str, Any]:
    """One field."""
    return {
        "field": found.field, "kind": found.kind, "rows": found.rows, "reference_rows": found.reference_rows, "verdict": found.verdict,
        "effect": figure(found.effect), "missing": figure(found.missing), "psi": found.psi, "p": found.p, "ks_p": found.ks_p,
        "chi2_p": found.chi2_p, "wasserstein": found.wasserstein, "tolerance": found.tolerance, "visible": min(found.visible, 1.0),
        "error": found.error, "what": found.what,
    }  # fmt: skip


def _kind(whole: Window, name: str) -> str:
    held = whole.profile.fields.get(name)
    return "category" if held is not None and held.categories else "number"
