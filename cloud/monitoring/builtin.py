"""What a span is judged by without any hook: drift of inputs, features and outputs, and what a change looks like. Pure.

Each field that drifts is a finding of its own, and stays one until it is well again; all fields together are one more, for those who
show them. An explanation ("swapped columns") is a finding as long as a field of it drifts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...sdk.core.profile import Profile
from ...sdk.core.window import Window
from ..monitor import Finding, Verdict
from .about import About
from .drifting import Reference, Seen, see
from .plots import distributions

SOURCE = "drift"
MOST = 10
"""Fields of one span that are told one by one, those that moved most; the others stand in the evidence of all."""
_VERDICTS: Mapping[str, Verdict] = {"drift": "breach", "stable": "ok", "not enough data": "not enough data"}


def judged(data: Mapping[str, Any], window: Window, reference: Reference, about: About) -> tuple[list[Finding], dict[str, Any]]:
    """Findings about one more span, and the state for the next one; see drifting.py."""
    if not about.settings.drift.enabled:
        return [], dict(data)
    current = window.flat()
    seen, state = see(data, current, reference, about)
    if seen.learning:
        what = f"span {seen.learning} of those that are learnt from"
        return [Finding("drift-fields", "", 0.0, "not enough data", what, "info")], state
    suspected, kept = _suspected(state.get("suspected", {}), seen, state.get("drifting", {}))
    return [*_fields(seen, current), *_whole(seen), *suspected], {**state, "suspected": kept}


def _fields(seen: Seen, current: Profile) -> Iterable[Finding]:
    """Fields that drift, and those that did."""
    for name, (rows, one) in list(seen.hits.items())[:MOST]:
        evidence: dict[str, Any] = {"field": one.to_dict(), "rows": rows}
        if seen.reference is not None and name in current.fields and name in seen.reference.fields:
            evidence["plot"] = distributions(seen.reference.fields[name], current.fields[name])
        effect = one.effect
        yield Finding("drift", name, effect.value, "breach", one.what, "warning", effect.low, effect.high, one.tolerance, evidence)
    for name in seen.well:
        yield Finding("drift", name, 0.0, "ok", f"{name} lies where the reference does")
    for name in seen.unclear:
        yield Finding("drift", name, verdict="not enough data", what=f"{name}: these rows are too few to say that it is well again")


def _whole(seen: Seen) -> Iterable[Finding]:
    """All fields of the longest look at once: a row of a table for each. Where a field is well again, of the shortest: its rows are new."""
    if not seen.looks:
        return
    look = seen.looks[0 if seen.well else -1]
    report = look.report
    fields = {one.field: [one.effect.value, one.effect.low, one.effect.high, one.verdict] for one in report.fields}
    most = max((one.effect.value for one in report.fields), default=0.0)
    evidence = {"fields": fields, "rows": look.rows, "absent": list(report.absent), "new": list(report.new)}
    yield Finding("drift-fields", "", most, _VERDICTS[report.verdict], report.what, "info", evidence=evidence)


def _suspected(before: Mapping[str, list[str]], seen: Seen, drifting: Mapping[str, int]) -> tuple[list[Finding], dict[str, list[str]]]:
    """Explanations, and those of before that nothing speaks for any more, or whose fields have another one now."""
    found = {", ".join(one.fields): one for look in seen.looks for one in look.suspicions
             if one.broken and (one.kind == "missing" or any(name in drifting for name in one.fields))}  # fmt: skip
    findings = [Finding("suspicion", subject, 1.0, "breach", one.what, "critical", evidence=one.to_dict())
                for subject, one in found.items()]  # fmt: skip
    kept = {subject: list(one.fields) for subject, one in found.items()}
    explained = {name: one.what for one in found.values() for name in one.fields}
    for subject, fields in before.items():
        if subject in found:
            continue
        if all(name in explained for name in fields):
            findings.append(Finding("suspicion", subject, 0.0, "ok", f"{subject}: more rows show something else: {explained[fields[0]]}"))
        elif any(name in drifting for name in fields):
            kept[subject] = fields
            findings.append(Finding("suspicion", subject, verdict="not enough data", what=f"{subject}: still drifts"))
        else:
            findings.append(Finding("suspicion", subject, 0.0, "ok", f"{subject}: lies where the reference does"))
    return findings, kept
