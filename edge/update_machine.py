"""An update as a pure machine: idle -> fetched -> verified -> staged -> trial -> active | rolled back.

`step` takes the state and an event and returns the next state and what is to be done. The rules:

- The active slot answers until a trial is judged healthy; a trial answers beside it. So nothing on the way stops an answer,
  and a rollback needs neither the network nor another slot.
- A wish with a higher sequence replaces whatever is under way, a trial included. One with a lower sequence is ignored.
- A release that failed (verification, trial, too many interruptions, an operator) is refused until it is wanted anew.
- What failed without its fault (network, disk, an expiry) is tried again when it is next wanted.
- Expired metadata and a wrong clock stop what is not on trial yet; they stop neither answers nor a trial, whose release
  was fresh when it was staged.
- Results of work that was replaced meanwhile are ignored: every result names its wish.
- Whoever carries out actions saves the state first (`durable`), so that a slot is overwritten only when the state on the
  disk no longer counts on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from .update_state import (
    SLOTS,
    Action,
    Active,
    BeginTrial,
    ClockWrong,
    DesiredSeen,
    Event,
    Fetch,
    FetchDone,
    Fetched,
    FetchFailed,
    Fetching,
    Held,
    Idle,
    JudgeTrial,
    MetadataExpired,
    OperatorRollback,
    Rebooted,
    Refused,
    RolledBack,
    Run,
    Slot,
    Stage,
    Staged,
    StagingDone,
    StagingFailed,
    Trial,
    TrialBegun,
    TrialJudged,
    Update,
    VerificationFailed,
    VerificationPassed,
    Verified,
    Verify,
    Wanted,
)

Step: TypeAlias = tuple[Update, tuple[Action, ...]]


@dataclass(frozen=True)
class Rules:
    """What a device may choose.

    Attributes:
        interruptions: restarts that nobody asked for, after which a trial is rolled back.
        remembered: refused releases that are kept.
    """

    interruptions: int = 3
    remembered: int = 8


RULES = Rules()


def pending(now: Update) -> Wanted | None:
    """The release that is under way."""
    return None if isinstance(now.phase, Idle | Active | RolledBack) else now.phase.wanted


def spare(now: Update) -> Slot:
    """The slot that may be written to: never the active one."""
    return next(slot for slot in SLOTS if now.active is None or slot != now.active.slot)


def durable(now: Update) -> Update:
    """What a restart must find. What is not in a slot yet begins again, from the bytes that were fetched already."""
    return replace(now, phase=Idle()) if isinstance(now.phase, Fetching | Fetched | Verified) else now


def step(now: Update, event: Event, rules: Rules = RULES) -> Step:
    """The next state, and what is to be done, in order."""
    match event:
        case DesiredSeen(wanted):
            return _desired(now, wanted)
        case Rebooted():
            return _rebooted(now, event, rules)
        case OperatorRollback(sound):
            return _operator(now, sound, rules)
        case MetadataExpired():
            return _halted(now, "the metadata has expired")
        case ClockWrong():
            return _halted(now, "the clock is wrong")
        case _:
            return (now, ()) if event.wanted != pending(now) else _result(now, event, rules)


def _result(now: Update, event: FetchDone | FetchFailed | VerificationPassed | VerificationFailed | StagingDone | StagingFailed
            | TrialBegun | TrialJudged, rules: Rules) -> Step:  # fmt: skip
    """What work on the pending release came to; out of order it means nothing."""
    match now.phase, event:
        case Fetching(wanted), FetchDone():
            return replace(now, phase=Fetched(wanted)), (Verify(wanted),)
        case ((Fetching() | Fetched()), FetchFailed(_, why)):
            return _idle(now, why), ()
        case Fetched(wanted), VerificationPassed():
            slot = spare(now)
            return replace(now, phase=Verified(wanted, slot), fallback=None), (Stage(wanted, slot),)
        case Fetched(wanted), VerificationFailed(_, why):
            return _refuse(now, wanted, why, rules), ()
        case Verified(wanted, slot), StagingDone():
            return replace(now, phase=Staged(wanted, slot)), (BeginTrial(wanted, slot),)
        case ((Verified() | Staged()), StagingFailed(_, why)):
            return _idle(now, why), ()
        case Staged(wanted, slot), TrialBegun():
            return replace(now, phase=Trial(wanted, slot)), (JudgeTrial(wanted, slot),)
        case Trial(), TrialJudged():
            return _judged(now, now.phase, event, rules)
        case _:
            return now, ()


def _desired(now: Update, wanted: Wanted) -> Step:
    now = replace(now, halted=None)
    seen = now.seen or Wanted("", 0)
    if wanted.sequence < seen.sequence or (wanted.sequence == seen.sequence and wanted != seen):
        return now, ()  # an older wish, or two wishes in one place
    if wanted == pending(now) or _is_refused(now, wanted):
        return now, ()
    if now.active is not None and now.active.wanted.release == wanted.release:
        settled = now.active.wanted == wanted and pending(now) is None
        return (now if settled else replace(now, seen=wanted, active=Held(now.active.slot, wanted), phase=Active(wanted))), ()
    now = replace(now, seen=wanted)
    if now.fallback is not None and now.fallback.wanted.release == wanted.release:  # it lies here: no network needed
        slot = now.fallback.slot
        return replace(now, phase=Staged(wanted, slot), fallback=None), (BeginTrial(wanted, slot),)
    return replace(now, phase=Fetching(wanted)), (Fetch(wanted),)


def _judged(now: Update, trial: Trial, event: TrialJudged, rules: Rules) -> Step:
    if event.verdict == "not enough data":
        return now, ()
    if event.verdict == "unhealthy":
        return _refuse(now, trial.wanted, event.why, rules), ()
    held = Held(trial.slot, trial.wanted)
    return replace(now, phase=Active(trial.wanted), active=held, fallback=now.active), (Run(trial.slot),)


def _rebooted(now: Update, event: Rebooted, rules: Rules) -> Step:
    now = _proven(now, event.sound)
    run: tuple[Action, ...] = (Run(now.active.slot),) if now.active else ()
    phase = now.phase
    if isinstance(phase, Fetching | Fetched | Verified):
        now, phase = _idle(now, "interrupted"), Idle()
    if isinstance(phase, Staged | Trial) and not _holds(event.sound, Held(phase.slot, phase.wanted)):
        now, phase = _idle(now, "its slot is not whole"), Idle()
    if now.active is None and not isinstance(phase, Staged | Trial):
        return _adopted(now, event.sound)
    if isinstance(phase, Staged):
        return now, (*run, BeginTrial(phase.wanted, phase.slot))
    if not isinstance(phase, Trial):
        return now, run
    count = phase.interruptions + (0 if event.clean else 1)
    if count >= rules.interruptions:
        return _refuse(now, phase.wanted, f"its trial was interrupted {count} times", rules), run
    return replace(now, phase=replace(phase, interruptions=count)), (*run, JudgeTrial(phase.wanted, phase.slot))


def _proven(now: Update, sound: Mapping[Slot, Wanted]) -> Update:
    """Without the slots that are not whole: where the active one is damaged, the one before it answers."""
    active, fallback = (held if held is not None and _holds(sound, held) else None for held in (now.active, now.fallback))
    return replace(now, active=active or fallback, fallback=fallback if active else None)


def _adopted(now: Update, sound: Mapping[Slot, Wanted]) -> Step:
    """Nothing can answer, yet a whole release lies here that was not refused: it gets a trial, with nothing to be compared with."""
    left = [Held(slot, wanted) for slot, wanted in sound.items() if not _is_refused(now, wanted)]
    if not left:
        return now, ()
    first = min(left, key=lambda held: held.wanted.sequence)
    return replace(now, phase=Staged(first.wanted, first.slot)), (BeginTrial(first.wanted, first.slot),)


def _operator(now: Update, sound: Mapping[Slot, Wanted], rules: Rules) -> Step:
    why = "an operator rolled it back"
    if isinstance(now.phase, Verified | Staged | Trial):
        return _refuse(now, now.phase.wanted, why, rules), ()
    if now.active is None or now.fallback is None or not _holds(sound, now.fallback):
        return now, ()
    back = replace(_refuse(now, now.active.wanted, why, rules), active=now.fallback, fallback=None)
    return back, (Run(now.fallback.slot),)


def _halted(now: Update, why: str) -> Step:
    stopped = isinstance(now.phase, Fetching | Fetched | Verified | Staged)
    return replace(_idle(now, why) if stopped else now, halted=why), ()


def _idle(now: Update, why: str) -> Update:
    return replace(now, phase=Idle(why))


def _refuse(now: Update, wanted: Wanted, why: str, rules: Rules) -> Update:
    refused = (*now.refused, Refused(wanted, why))[-rules.remembered :]
    return replace(now, phase=RolledBack(wanted, why), refused=refused)


def _is_refused(now: Update, wanted: Wanted) -> bool:
    return any(held.wanted.release == wanted.release and wanted.sequence <= held.wanted.sequence for held in now.refused)


def _holds(sound: Mapping[Slot, Wanted], held: Held) -> bool:
    return held.slot in sound and sound[held.slot].release == held.wanted.release
