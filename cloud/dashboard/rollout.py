"""A rollout on the dashboard: where it stands and why, each sequence against its limit, the arms, the log. Values to data; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from ..rollout_evidence import EVERYONE, Verdict
from ..rollout_policy import Policy
from ..rollout_words import NAMES
from ..rollouts.explaining import Told
from ..rollouts.log import Entry
from ..rollouts.showing import Counted, Look, Seen, line
from ..rollouts.storing import Held
from ..rollouts.track import Stop, marks, track
from ..rollouts.words import spelled

ENTRIES, LATELY_MS = 200, 3_600_000
DRAWN = 12
"""Slices with a plot: those that stand worst."""
Key = tuple[str, str, str]


def page(seen: Seen | None, others: Sequence[Held], looks: Sequence[Look], counts: Sequence[Counted], now_ms: int) -> dict[str, Any]:
    """All that the page shows.

    Args:
        seen: the rollout that is looked at; None: there is none.
        others: all of the deployment, the newest first.
        looks: what its sequences said, the oldest first.
        counts: its units.
    """
    earlier = [line(held) for held in others if seen is None or held.id != seen.held.id]
    return {"rollout": None if seen is None else shown(seen, looks, counts, now_ms), "others": earlier}


def told(held: Held | None, now_ms: int) -> dict[str, Any] | None:
    """A line for the overview: what goes on, or has ended within the hour."""
    if held is None or (held.closed and now_ms - held.phase_ms > LATELY_MS):
        return None
    return {**line(held), "place": held.place, "asks": None if held.closed else held.state.asks, "since_ms": held.phase_ms}


def shown(seen: Seen, looks: Sequence[Look], counts: Sequence[Counted], now_ms: int) -> dict[str, Any]:
    """One rollout."""
    held, policy, state = seen.held, seen.held.policy, seen.held.state
    stood, names = track(policy, state, seen.log), seen.names
    return {
        **line(held), "champion": {"digest": seen.champion, "name": names.get(seen.champion, "")}, "over": held.closed,
        "alpha": policy.alpha, "since_ms": held.phase_ms, "seen_ms": held.seen_ms or None, "asks": state.asks, "needs": seen.needs,
        "why": seen.why(now_ms, figures=False),
        "track": [{**stop.to_dict(), "since_ms": held.phase_ms if stop.state == "now" else stop.since_ms} for stop in stood],
        "marks": [{"t": at, "name": name} for at, name in marks(stood)], "commands": commands(seen), "broken": seen.broken,
        "measures": measures(seen.told(now_ms), looks), "arms": arms(policy, counts, stood),
        "log": [entry_line(entry, names) for entry in reversed(seen.log[-ENTRIES:])],
    }  # fmt: skip


def measures(told: Told, looks: Sequence[Look]) -> list[dict[str, Any]]:
    """Everyone's first, then slices, the worst first; each with its sequence, of the slices those that stand worst."""
    found = sorted(told.verdicts, key=lambda one: (one.slice != EVERYONE, _rank(one) if one.slice else 0))
    slices = [_key(one) for one in found if one.slice != EVERYONE]
    drawn = {_key(one) for one in found if one.slice == EVERYONE} | set(slices[:DRAWN])
    points: dict[Key, list[dict[str, Any]]] = {key: [] for key in drawn}
    for look in looks:
        for one in look.verdicts:
            if _key(one) in points and one.rows:
                points[_key(one)].append({"t": look.at_ms, "phase": look.phase, **_numbers(one)})
    return [{**_said(one), **_numbers(one), "points": points.get(_key(one), [])} for one in found]


def arms(policy: Policy, counts: Sequence[Counted], stood: Sequence[Stop]) -> list[dict[str, Any]]:
    """Units and what was bad of them, by stop and arm."""
    found: list[dict[str, Any]] = []
    for stop in stood:
        stage = "switched" if stop.phase in ("switched", "promoted") else stop.phase
        if stop.phase in ("shadow", "canary", "switched"):
            part = policy.first if policy.first and stop.phase == "canary" and stop.step == 0 else EVERYONE
            held = [one for one in counts if (one.stage, one.step, one.slice) == (stage, stop.step, part)]
            for challenger in dict.fromkeys(one.challenger for one in held):
                found.append(_arm(stop, challenger, [one for one in held if one.challenger == challenger]))
    return found


def commands(seen: Seen) -> list[str]:
    """What a person may say now, at a terminal."""
    if seen.held.state.phase in ("rolled back", "ended"):
        return []
    said = ["portside rollout approve DEPLOYMENT.toml"] if seen.held.state.asks and not seen.held.closed else []
    return [*said, 'portside rollout rollback DEPLOYMENT.toml --why "..."']


def entry_line(entry: Entry, names: Mapping[str, str]) -> dict[str, Any]:
    """One line of the log."""
    moved = entry.kind != "paged" and entry.after != entry.before
    return {"number": entry.number, "at_ms": entry.at_ms, "what": entry.kind, "by": entry.author, "why": spelled(entry.why, names),
            "to": entry.after if moved else "", "digest": entry.digest}  # fmt: skip


def _arm(stop: Stop, challenger: str, held: Sequence[Counted]) -> dict[str, Any]:
    by = {one.measure: one for one in held}
    what = {"units": ("errors", "rows"), "failed": ("errors", "bad"), "late": ("late", "bad"), "labelled": ("accuracy", "rows"),
            "wrong": ("accuracy", "bad")}  # fmt: skip
    return {"place": stop.name, "challenger": challenger, **{name: _sides(by.get(of), count) for name, (of, count) in what.items()}}


def _sides(one: Counted | None, what: str) -> dict[str, int | None]:
    held = None if one is None else vars(one)
    return {"champion": None if held is None else held[f"champion_{what}"], "challenger": None if held is None else held[what]}


def _key(one: Verdict) -> Key:
    return one.challenger, one.measure, one.slice


def _rank(one: Verdict) -> tuple[int, float]:
    """Proven beyond first, then those that look worst against their limit."""
    return ("beyond", "not enough data", "within").index(one.told), -(one.estimate / one.limit if one.rows and one.limit else -1.0)


def _said(one: Verdict) -> dict[str, Any]:
    return {"challenger": one.challenger, "measure": one.measure, "words": NAMES[one.measure], "slice": one.slice, "limit": one.limit,
            "aim": one.aim, "verdict": one.told, "suspect": one.suspect}  # fmt: skip


def _numbers(one: Verdict) -> dict[str, Any]:
    return {"rows": one.rows, **{name: _finite(getattr(one, name)) for name in ("estimate", "low", "high")}}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
