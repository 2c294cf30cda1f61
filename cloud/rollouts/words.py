"""Figures, lengths of time and measures of a rollout in words, for the terminal and the dashboard alike. Pure."""

from __future__ import annotations

from math import isfinite

from ..rollout_evidence import EVERYONE, Stage, Verdict
from ..rollout_policy import Measure

MEASURES: dict[Measure, str] = {
    "errors": "fails more often", "late": "is late more often", "disagreement": "decides otherwise", "accuracy": "is wrong more often",
}  # fmt: skip
"""What a challenger does that its limit is about, in comparison with the champion."""


def measure(name: Measure, stage: Stage) -> str:
    """What it does, as what follows "the challenger".

    >>> measure("late", "canary"), measure("late", "shadow")
    ('is late more often', 'is late')
    """
    return "is late" if name == "late" and stage == "shadow" else MEASURES[name]


def percent(value: float) -> str:
    """A share as people read it, small ones with more digits; "?" for what is not known.

    >>> percent(0.0042), percent(-0.011), percent(0.2), percent(1.0), percent(0.00012), percent(float("nan"))
    ('0.42%', '-1.1%', '20%', '100%', '0.012%', '?')
    """
    if not isfinite(value):
        return "?"
    size = abs(value * 100)
    digits = 0 if size >= 99.95 else 1 if size >= 10 else 2 if size >= 0.1 else 3
    text = f"{value * 100:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value * 100:.0f}"
    return f"{'0' if text in ('-0', '') else text}%"


def spoken(ms: float) -> str:
    """A length of time in its two largest units.

    >>> spoken(42_000), spoken(60_000), spoken(5_400_000), spoken(3_600_000), spoken(200_000_000)
    ('42 s', '1 min', '1 h 30 min', '1 h', '2 days 7 h')
    """
    seconds = max(0, round(ms / 1000))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def rows(count: int) -> str:
    """
    >>> rows(1), rows(12345)
    ('1 row', '12,345 rows')
    """
    return "1 row" if count == 1 else f"{count:,} rows"


def figure(verdict: Verdict) -> str:
    """Estimate, what holds it, how many rows are behind it, and what is allowed."""
    if not verdict.rows:
        return f"no row yet, {percent(verdict.limit)} allowed"
    held = f"{percent(verdict.estimate)} [{percent(verdict.low)}, {percent(verdict.high)}]"
    return f"{held} over {rows(verdict.rows)}, {percent(verdict.limit)} allowed"


def subject(verdict: Verdict, stage: Stage) -> str:
    """What a verdict is about: "is late more often in line=test"."""
    return measure(verdict.measure, stage) + ("" if verdict.slice == EVERYONE else f" in {verdict.slice}")


def listed(parts: list[str], last: str = "and") -> str:
    """
    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""
