"""Figures and lengths of time of a rollout in words, for the terminal and the dashboard alike. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from ..rollout_evidence import Verdict
from ..rollout_words import units

SHORT = len("sha256:") + 12
"""Characters of a digest in a sentence."""


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

    >>> spoken(0), spoken(42_000), spoken(60_000), spoken(5_400_000), spoken(3_600_000), spoken(200_000_000)
    ('a moment', '42 s', '1 min', '1 h 30 min', '1 h', '2 days 7 h')
    """
    seconds = max(0, round(ms / 1000))
    if seconds < 60:
        return f"{seconds} s" if seconds else "a moment"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def figure(verdict: Verdict) -> str:
    """Estimate, what holds it, how many units are behind it, the limit and what that makes."""
    if not verdict.rows or not isfinite(verdict.estimate):
        return f"nothing counted yet, limit {percent(verdict.limit)}"
    aim = f", to be proven below {percent(verdict.aim)}" if verdict.aim != verdict.limit else ""
    held = f"{percent(abs(verdict.estimate))} {'fewer' if verdict.estimate < 0 else 'more'}"
    known = f"{held} [{percent(verdict.low)}, {percent(verdict.high)}] over {units(verdict.rows)}"
    return f"{known}, limit {percent(verdict.limit)}{aim}: {verdict.told}"


def spelled(text: str, names: Mapping[str, str]) -> str:
    """A sentence with names in the place of shortened digests.

    >>> spelled("sha256:abababababab is worse", {"sha256:" + "ab" * 32: "net:4"})
    'net:4 is worse'
    """
    for digest, name in names.items():
        text = text.replace(digest[:SHORT], name) if name else text
    return text


def listed(parts: list[str], last: str = "and") -> str:
    """
    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""
