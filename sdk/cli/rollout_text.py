"""A rollout in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from ...cloud.releasing.gates import HEAD, ReleaseGates
from ...cloud.rollout_evidence import EVERYONE, Verdict
from ...cloud.rollout_words import NAMES
from ...cloud.rollouts.explaining import Told
from ...cloud.rollouts.showing import Seen, line
from ...cloud.rollouts.track import Stop, track
from ...cloud.rollouts.words import percent, spelled
from .console import fields, short, table, terminal_width, wrapped
from .moments import shown_ms

MARKS = {"done": "x", "now": ">", "next": " ", "skipped": "-"}


def shown_gates(name: str, gates: ReleaseGates) -> str:
    """The gates of one challenger."""
    return f"{name}: {gates.verdict}\n{wrapped(gates.rows(), HEAD, terminal_width())}"


def shown_status(seen: Seen, others: Sequence[Mapping[str, Any]], now_ms: int) -> str:
    """Where it is, why, and every measure against its limit."""
    held, told = seen.held, seen.told(now_ms)
    head = fields({
        "rollout": f"{held.number} ({held.policy.mode}), begun {shown_ms(held.began_ms)}", "champion": _named(seen, seen.champion),
        "challenger": ", ".join(_named(seen, one) for one in held.policy.challengers), "id": held.id,
        "needs": seen.needs and f"A PERSON: {seen.needs}", "log": seen.broken and f"NOT AS IT WAS WRITTEN: {seen.broken}",
    })  # fmt: skip
    way = table([[MARKS[stop.state], stop.name, shown_ms(stop.since_ms) if stop.since_ms else ""] for stop in _stood(seen)])
    parts = [head, way, seen.why(now_ms, figures=False), shown_measures(told)]
    if others:
        parts.append(table([[one["number"], _names(one), one["mode"], one["phase"], one["id"]] for one in others],
                           ["earlier", "challenger", "mode", "stands", "id"]))  # fmt: skip
    return "\n\n".join(part for part in parts if part)


def shown_measures(told: Told) -> str:
    """Everyone's first, then slices."""
    if not told.verdicts:
        return ""
    several = len(told.policy.challengers) > 1
    rows = [[*([told.name(one.challenger)] if several else []), NAMES[one.measure], one.slice or "everyone", one.told,
             percent(one.estimate) if one.rows else "", _interval(one), percent(one.limit), f"{one.rows:,}"]
            for one in sorted(told.verdicts, key=lambda one: (one.challenger, one.slice != EVERYONE, one.slice))]  # fmt: skip
    return table(rows, [*(["challenger"] if several else []), "measure", "of", "verdict", "looks", "interval", "limit", "rows"])


def shown_log(seen: Seen) -> str:
    """All entries, the oldest first, and the digest that a copy elsewhere may be held against."""
    rows = [[entry.number, shown_ms(entry.at_ms), entry.kind, entry.after if entry.after != entry.before else "", entry.author,
             spelled(entry.why, seen.names)]
            for entry in seen.log]  # fmt: skip
    end = f"NOT AS IT WAS WRITTEN: {seen.broken}" if seen.broken else f"as it was written; its last digest is {seen.held.head}"
    return f"{wrapped(rows, ['', 'time', 'what', 'to', 'by', 'why'], terminal_width())}\n\n{end}"


def data_of(seen: Seen, now_ms: int) -> dict[str, Any]:
    """The status, JSON-ready."""
    state = seen.held.state
    return {
        **line(seen.held), "champion": {"digest": seen.champion, "name": seen.names.get(seen.champion, "")}, "place": seen.held.place,
        "why": seen.why(now_ms), "since_ms": seen.held.phase_ms, "seen_ms": seen.held.seen_ms or None, "asks": state.asks,
        "needs": seen.needs or None, "track": [stop.to_dict() for stop in _stood(seen)], "broken": seen.broken or None,
        "verdicts": [{name: _finite(held) for name, held in vars(one).items()} for one in seen.verdicts],
    }  # fmt: skip


def _stood(seen: Seen) -> list[Stop]:
    return track(seen.held.policy, seen.held.state, seen.log)


def _named(seen: Seen, digest: str) -> str:
    return f"{seen.names.get(digest, '')} {short(digest)}".strip()


def _names(one: Mapping[str, Any]) -> str:
    return ", ".join(held["name"] or short(held["digest"]) for held in one["challengers"])


def _interval(one: Verdict) -> str:
    return f"[{percent(one.low)}, {percent(one.high)}]" if one.rows else ""


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not isfinite(value) else value
