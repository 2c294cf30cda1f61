"""The way of a rollout as stops: those behind it, where it is, those to come. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from ..deployment.traffic import Phase
from ..rollout import State
from ..rollout_policy import Policy
from .log import Entry
from .words import percent


@dataclass(frozen=True)
class Stop:
    """One stop.

    Attributes:
        phase, step: where a rollout is that stands here. step: of a canary, from 0; else 0.
        name: for people.
        state: "skipped": it was never reached, and will not be.
        since_ms: when the rollout came here; None: it did not yet.
    """

    phase: Phase
    step: int
    name: str
    state: Literal["done", "now", "next", "skipped"] = "next"
    since_ms: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(vars(self))


def place(policy: Policy, state: State) -> str:
    """Where a rollout is, in a word or two: "shadow", "canary 5%".

    >>> from portside.cloud.rollout import State
    >>> place(Policy(("sha256:ab",)), State("r1", "canary", 0, 0, ("sha256:ab",), step=1))
    'canary 5%'
    """
    return f"canary {percent(policy.steps[state.step])}" if state.phase == "canary" else state.phase


def stops(policy: Policy) -> list[Stop]:
    """All stops of a rollout that goes well."""
    if policy.mode == "shadow":
        return [Stop("gates", 0, "gates"), Stop("shadow", 0, "shadow"), Stop("ended", 0, "compared")]
    found = [Stop("gates", 0, "gates"), *([Stop("shadow", 0, "shadow")] if "shadow" in policy.stages else [])]
    if policy.mode == "canary":
        found += [Stop("canary", number, _share(policy, number)) for number in range(len(policy.steps))]
    return [*found, Stop("switched", 0, "everyone, watched"), Stop("promoted", 0, "promoted")]


def track(policy: Policy, state: State, log: Iterable[Entry]) -> list[Stop]:
    """The stops with how it stands. A rollout that was rolled back has one more, the last."""
    way, came = stops(policy), _came(log)
    back = state.phase == "rolled back"
    reached = [number for number, stop in enumerate(way) if _label(policy, stop) in came]
    at = next((number for number, stop in enumerate(way) if _is(stop, state)), max(reached, default=0))
    made = [_stood(stop, number, at, back, state, came.get(_label(policy, stop))) for number, stop in enumerate(way)]
    return [*made, Stop("rolled back", 0, "rolled back", "now", state.since_ms)] if back else made


def marks(stood: Iterable[Stop]) -> list[tuple[int, str]]:
    """(when, name) of the stops that were reached, for the axis of a plot."""
    return [(stop.since_ms, stop.name) for stop in stood if stop.since_ms is not None and stop.phase != "gates"]


def _stood(stop: Stop, number: int, at: int, back: bool, state: State, came: int | None) -> Stop:
    if back:
        return Stop(stop.phase, stop.step, stop.name, "done" if number <= at else "skipped", came if number <= at else None)
    if number == at:
        return Stop(stop.phase, stop.step, "a yes is asked" if state.phase == "waiting" else stop.name, "now", state.since_ms)
    return Stop(stop.phase, stop.step, stop.name, "done" if number < at else "next", came if number < at else None)


def _is(stop: Stop, state: State) -> bool:
    phase = "gates" if state.phase == "waiting" else state.phase
    return stop.phase == phase and (phase != "canary" or stop.step == state.step)


def _label(policy: Policy, stop: Stop) -> str:
    return f"canary {percent(policy.steps[stop.step])}" if stop.phase == "canary" else stop.phase


def _share(policy: Policy, number: int) -> str:
    share = percent(policy.steps[number])
    return f"{share} of {policy.first}" if policy.first and number == 0 else share


def _came(log: Iterable[Entry]) -> dict[str, int]:
    """When it first came to a place."""
    found: dict[str, int] = {}
    for entry in log:
        if entry.after and entry.after != entry.before:
            found.setdefault(entry.after, entry.at_ms)
    return found
