"""The rollout engine: policy x state x observations -> what happens next. Values in, a value out; no clock, no files, no dice.

    gates -> (waiting) -> shadow -> canary, step by step -> switched -> promoted
                            |            any of them -> rolled back
                            +-> ended (mode "shadow": a verdict per challenger, nobody is switched)

- Back: as soon as one limit is proven broken, over everyone or in a slice. Nothing else is waited for.
- On, to a larger share: min_rows and min_minutes of the step, and no limit that looks broken on min_rows of its own.
- From shadow to traffic, and to everyone: every limit is also proven to hold. To everyone, in the stage that stands last before it.
- Arms that are not drawn as promised stop everything but a rollback, for then no comparison means anything.
- After max_days nothing goes on any more. Neither does a watch that ends with something that looks broken; people are told of both.
- Where a person is to be asked, what would have happened waits, and is looked at anew once there is a yes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import log
from typing import Any, Literal, NamedTuple, TypeAlias

from ..sdk.core.errors import FormatError
from ..sdk.core.sequential import evidence_above, evidence_below, rate
from . import rollout_words as words
from .deployment.traffic import Phase, Traffic
from .rollout_evidence import Observed, Verdict
from .rollout_policy import EVERYONE, MOST_SLICES, Policy, Stage
from .rollout_verdicts import judge

Action: TypeAlias = Literal["hold", "begin", "advance", "switch", "promote", "roll back", "drop", "end"]
"""begin: first traffic, shadow or not; advance: shadow -> canary, or the next step; switch: everyone; drop: one of several challengers
is no longer asked; end: of mode "shadow"."""
Said: TypeAlias = Literal["gates passed", "gates failed", "approve", "roll back"]
DRAWN_ALPHA = 0.001
"""Chance with which arms that are drawn as promised are said not to be."""
_OVER: tuple[Phase, ...] = ("promoted", "rolled back", "ended")
_STAGES: dict[Phase, Stage] = {"shadow": "shadow", "canary": "canary", "switched": "switched"}


@dataclass(frozen=True)
class State:
    """Where a rollout is. All of it is stored, and nothing else is needed to go on.

    Attributes:
        rollout: its id.
        phase: see Phase.
        began_ms, since_ms: when the rollout, and its present phase or step, began.
        challengers: digests that are still tried.
        step: of the canary, from 0.
        dropped: digests that were proven worse, of several.
        slices: those that are judged apart, in the order in which they were seen.
        asks: what a person is asked for: "canary", "step 2" or "promote"; None: nothing.
        approved: what a person has said yes to, in the same words.
        paged: what people were told already, so that they are told once.
    """

    rollout: str
    phase: Phase
    began_ms: int
    since_ms: int
    challengers: tuple[str, ...]
    step: int = 0
    dropped: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    asks: str | None = None
    approved: tuple[str, ...] = ()
    paged: tuple[str, ...] = ()

    @property
    def over(self) -> bool:
        """Nothing is decided any more (a person may still roll back what was promoted)."""
        return self.phase in _OVER

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it again."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> State:
        """From `to_dict`, through JSON or not. Raises FormatError."""
        try:
            held: dict[str, Any] = {key: tuple(one) if key in _LISTS else one for key, one in data.items()}
            return cls(**held)
        except TypeError as error:
            raise FormatError("This is not the state of a rollout", got=str(error)) from error


_LISTS = ("challengers", "dropped", "slices", "approved", "paged")


@dataclass(frozen=True)
class Decision:
    """What happens next, and why.

    Attributes:
        state: from now on; the same state where nothing changes at all.
        action: "hold" where the phase and step stay.
        reason: a sentence with figures.
        verdicts: what was known of every limit.
        page: people are to be told this now; None: nothing new.
    """

    state: State
    action: Action
    reason: str
    verdicts: tuple[Verdict, ...] = ()
    page: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, as the log keeps it."""
        return {**asdict(self), "verdicts": [one.to_dict() for one in self.verdicts]}


def start(policy: Policy, rollout: str, now_ms: int) -> State:
    """A rollout before its gates."""
    return State(rollout, "gates", now_ms, now_ms, policy.challengers, slices=(policy.first,) if policy.first else ())


def decide(policy: Policy, state: State, observed: Observed) -> Decision:
    """What follows from what was seen. The same values give the same decision; applied again to its own state it holds."""
    if state.over:
        return Decision(state, "hold", f"the rollout is over: {state.phase}")
    stage = _STAGES.get(state.phase)
    if stage is None:
        return _held(policy, state, observed.now_ms, ["no traffic yet"], ())
    state = replace(state, slices=_slices(state, observed))
    found = [judge(policy, stage, state.slices, one, observed) for one in state.challengers]
    return _compared(policy, state, observed, found) if policy.mode == "shadow" else _tried(policy, state, observed, found[0])


def step(policy: Policy, state: State, said: Said, now_ms: int, why: str = "") -> Decision:
    """What follows from what the gates or a person said. why: their words, for the log.

    Raises FormatError for words that mean nothing in this phase.
    """
    if said == "roll back" and state.phase not in ("rolled back", "ended"):
        return _to(state, "rolled back", now_ms, "roll back", why or "a person rolled it back")
    if said == "gates failed" and state.phase == "gates":
        return _to(state, "rolled back", now_ms, "roll back", why or "the gates failed")
    if said == "gates passed" and state.phase == "gates":
        move = _next(policy, state)
        if (ask := _ask(policy, move)) is None:
            return _to(state, move.phase, now_ms, "begin", why or "the gates passed")
        waiting = replace(state, phase="waiting", since_ms=now_ms, asks=ask)
        return _paging(Decision(waiting, "hold", why or "the gates passed"), f"approve {ask}", f"it waits for a person: {ask}")
    if said == "approve" and state.asks is not None and not state.over:
        granted = replace(state, approved=(*state.approved, state.asks), asks=None)
        reason = f"{state.asks} approved" + (f": {why}" if why else "")
        if state.phase == "waiting":
            return _to(granted, _next(policy, granted).phase, now_ms, "begin", reason)
        return Decision(granted, "hold", reason)
    raise FormatError(f"{said!r} means nothing to this rollout now", got=f"phase {state.phase!r}, asking for {state.asks or 'nothing'}",
                      fix="`portside rollout status` says where it is.")  # fmt: skip


def traffic(policy: Policy, state: State, serial: int) -> Traffic:
    """What the workers do in this state. serial: larger with every change."""
    if state.phase not in ("shadow", "canary", "switched", "promoted"):
        return Traffic(serial, state.rollout, state.phase, salt=state.rollout)
    share = {"shadow": 0.0, "canary": policy.steps[state.step]}.get(state.phase, 1.0)
    segment = policy.first if state.phase == "canary" and state.step == 0 else None
    return Traffic(serial, state.rollout, state.phase, state.challengers, share, segment, state.rollout)


class _Move(NamedTuple):
    """Where a rollout goes when nothing holds it."""

    phase: Phase
    step: int
    action: Action


def _next(policy: Policy, state: State) -> _Move:
    if state.phase in ("gates", "waiting") and "shadow" in policy.stages:
        return _Move("shadow", 0, "begin")
    if state.phase == "switched":
        return _Move("promoted", 0, "promote")
    if policy.mode == "canary" and (state.phase != "canary" or state.step + 1 < len(policy.steps)):
        return _Move("canary", state.step + 1 if state.phase == "canary" else 0, "advance")
    return _Move("switched", 0, "switch")


def _ask(policy: Policy, move: _Move) -> str | None:
    """What a person must have said yes to before a move."""
    if move.phase == "switched":
        return "promote" if "promote" in policy.approve else None
    if move.phase != "canary":
        return None
    if move.step == 0 and "canary" in policy.approve:
        return "canary"
    return f"step {move.step + 1}" if "step" in policy.approve else None


def _tried(policy: Policy, state: State, observed: Observed, verdicts: tuple[Verdict, ...]) -> Decision:
    """One challenger, on its way to everyone."""
    now_ms = observed.now_ms
    if broken := [one for one in verdicts if one.told == "beyond"]:
        return _to(state, "rolled back", now_ms, "roll back", "; ".join(map(words.beyond, broken)), verdicts)
    move = _next(policy, state)
    if state.phase == "canary" and (odd := _misdrawn(policy, observed)):
        return _paging(Decision(state, "hold", odd, verdicts), "drawn", odd)
    if waits := _waits(policy, state, observed, verdicts, leaves=move.phase != state.phase):
        held = _held(policy, state, now_ms, waits, verdicts)
        watched = state.phase == "switched" and now_ms - state.since_ms >= policy.watch_minutes * 60_000
        doubtful = watched and any(one.suspect for one in verdicts)
        return _paging(held, "watch", f"the watch is over, and it is not promoted: {held.reason}") if doubtful else held
    if _overdue(policy, state, now_ms):
        return _held(policy, state, now_ms, ["everything was shown, but too late"], verdicts)
    if (ask := _ask(policy, move)) is not None and ask not in state.approved:
        reason = f"it waits for a person: {ask}. {words.proven(verdicts)}"
        return _paging(Decision(replace(state, asks=ask), "hold", reason, verdicts), f"approve {ask}", reason)
    shown = words.proven(verdicts) if move.phase != state.phase and state.phase != "switched" else words.looks(verdicts)
    return _to(state, move.phase, now_ms, move.action, shown, verdicts, move.step)


def _compared(policy: Policy, state: State, observed: Observed, found: Sequence[tuple[Verdict, ...]]) -> Decision:
    """Challengers beside each other, none of which goes on: until each is settled."""
    verdicts = tuple(one for each in found for one in each)
    broken: dict[str, str] = {}
    for one in verdicts:
        broken |= {one.challenger: words.beyond(one)} if one.told == "beyond" and one.challenger not in broken else {}
    left = tuple(one for one in state.challengers if one not in broken)
    waits = {each[0].challenger: _waits(policy, state, observed, each, leaves=True) for each in found if each[0].challenger in left}
    told = [f"{name[:19]} is worse: {why}" for name, why in broken.items()]
    after = replace(state, challengers=left, dropped=(*state.dropped, *broken))
    if not any(waits.values()):
        shown = [f"{each[0].challenger[:19]} holds: {words.proven(each)}" for each in found if each[0].challenger in left]
        return _to(after, "ended", observed.now_ms, "end", "; ".join(told + shown), verdicts)
    if broken:
        return Decision(after, "drop", "; ".join(told), verdicts)
    if _overdue(policy, state, observed.now_ms):
        reason = f"after {policy.max_days:g} days there is not enough data: " + "; ".join(one for each in waits.values() for one in each)
        return _to(after, "ended", observed.now_ms, "end", reason, verdicts, page=reason)
    return Decision(state, "hold", "; ".join(f"{name[:19]}: {', '.join(each) or 'settled'}" for name, each in waits.items()), verdicts)


def _waits(policy: Policy, state: State, observed: Observed, verdicts: Sequence[Verdict], leaves: bool) -> list[str]:
    """What holds a rollout where it is. leaves: the next move leaves the phase, and so needs proofs."""
    minutes, rows = max(0, observed.now_ms - state.since_ms) / 60_000, _rows(policy, state, observed)
    needed = policy.watch_minutes if state.phase == "switched" else policy.min_minutes
    held = [f"{minutes:.1f} of {needed:g} minutes"] if minutes < needed else []
    held += [f"{rows:,} of {words.units(policy.min_rows)}"] if rows < policy.min_rows else []
    held += [words.suspect(one) for one in verdicts if one.suspect]
    return held + [words.unproven(one) for one in verdicts if leaves and one.asked and one.told != "within" and not one.suspect]


def _rows(policy: Policy, state: State, observed: Observed) -> int:
    """Units that the challenger with the fewest was given in this phase, and of a canary in this step."""
    name = policy.first if state.phase == "canary" and state.step == 0 and policy.first else EVERYONE
    return min(sum(held.rows for cell, held in observed.counts.items() if cell == (state.phase, state.step, one, "errors", name))
               for one in state.challengers)  # fmt: skip


def _held(policy: Policy, state: State, now_ms: int, waits: Sequence[str], verdicts: tuple[Verdict, ...]) -> Decision:
    """It stays where it is; once for all people are told when that has been too long."""
    decision = Decision(state, "hold", "; ".join(waits), verdicts)
    if not _overdue(policy, state, now_ms):
        return decision
    reason = f"nothing goes on after {policy.max_days:g} days: {decision.reason}"
    return _paging(replace(decision, reason=reason), "overdue", reason)


def _overdue(policy: Policy, state: State, now_ms: int) -> bool:
    """It has taken too long. Not asked once everyone has the challenger: then only the watch is left."""
    return state.phase != "switched" and now_ms - state.began_ms >= policy.max_days * 86_400_000


def _paging(decision: Decision, key: str, text: str) -> Decision:
    if key in decision.state.paged:
        return decision
    return replace(decision, state=replace(decision.state, paged=(*decision.state.paged, key)), page=text)


def _to(state: State, phase: Phase, now_ms: int, action: Action, reason: str, verdicts: tuple[Verdict, ...] = (), number: int = 0,
        page: str | None = None) -> Decision:  # fmt: skip
    """Another phase, or another step of a canary."""
    moved = replace(state, phase=phase, step=number, since_ms=now_ms, asks=None)
    return Decision(moved, action, reason, verdicts, reason if action == "roll back" else page)


def _slices(state: State, observed: Observed) -> tuple[str, ...]:
    """Those that are judged apart: the first that were seen, for good, so that one more later takes no chance from them."""
    new = [one for one in observed.slices() if one not in state.slices]
    return (*state.slices, *new)[:MOST_SLICES]


def _misdrawn(policy: Policy, observed: Observed) -> str | None:
    """The step whose arms were not drawn as promised, in words."""
    enough = log(2 * len(policy.steps) / DRAWN_ALPHA)
    for number, drawn in sorted(observed.assigned.items()):
        held = [rate(drawn.challenger, drawn.challenger + drawn.champion)]
        if max(evidence_above(held, drawn.share), evidence_below(held, drawn.share)) >= enough:
            return (f"arms are not drawn as promised: in step {number + 1} {drawn.challenger:,} of {sum(drawn[1:]):,} units were the "
                    f"challenger's, {words.percent(drawn.share)} should be")  # fmt: skip
    return None
