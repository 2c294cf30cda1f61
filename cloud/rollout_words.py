"""The sentences of a decision: what was seen, with figures."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from .rollout_evidence import EVERYONE, Verdict
from .rollout_policy import Measure

NAMES: dict[Measure, str] = {"errors": "errors", "late": "late answers", "disagreement": "other answers than the champion's",
                             "accuracy": "wrong answers"}  # fmt: skip


def percent(share: float) -> str:
    """A share for a person: 0.0123 -> "1.23%"."""
    return "unknown" if isnan(share) else f"{share:.2%}"


def subject(verdict: Verdict) -> str:
    """What is judged: "errors in line=test"."""
    return NAMES[verdict.measure] + ("" if verdict.slice == EVERYONE else f" in {verdict.slice}")


def units(rows: int) -> str:
    """How many."""
    return f"{rows:,} unit{'' if rows == 1 else 's'}"


def beyond(verdict: Verdict) -> str:
    """A limit that is broken."""
    return (f"{subject(verdict)}: at least {percent(verdict.low)} more than the champion's, {percent(verdict.limit)} may be "
            f"(looks like {percent(verdict.estimate)}, {units(verdict.rows)})")  # fmt: skip


def suspect(verdict: Verdict) -> str:
    """A limit that seems to be broken."""
    return (f"{subject(verdict)} look like {percent(verdict.estimate)} more than the "
            f"champion's, {percent(verdict.limit)} may be ({units(verdict.rows)})")  # fmt: skip


def unproven(verdict: Verdict) -> str:
    """A limit of which too little is known."""
    return f"{subject(verdict)}: at most {percent(verdict.high)} more, to be proven below {percent(verdict.aim)} ({units(verdict.rows)})"


def looks(verdicts: Sequence[Verdict]) -> str:
    """Limits that do not look broken, over everyone."""
    held = [f"{subject(one)} {percent(one.estimate)} more (limit {percent(one.limit)}{_few(one)})" for one in verdicts
            if one.slice == EVERYONE and not isnan(one.estimate)]  # fmt: skip
    return "nothing looks broken: " + ("; ".join(held) or "nothing was counted over everyone yet")


def _few(verdict: Verdict) -> str:
    return "" if verdict.enough else f", too few to judge: {units(verdict.rows)}"


def proven(verdicts: Sequence[Verdict]) -> str:
    """Limits that hold."""
    held = [f"{subject(one)} at most {percent(one.high)} more (limit {percent(one.aim)})" for one in verdicts if one.asked]
    return "; ".join(held) or "nothing was to be proven"
