"""The rollout engine: policy x state x observations -> what happens next. Values in, a value out; no clock, no files, no dice.

    gates -> (waiting) -> shadow -> canary, step by step -> switched -> promoted
                            |            any of them -> rolled back
                            +-> ended (mode "shadow": a verdict per challenger, nobody is switched)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .deployment.traffic import Phase, Traffic
from .rollout_evidence import Observed, Verdict
from .rollout_policy import Policy

Action: TypeAlias = Literal["hold", "begin", "advance", "switch", "promote", "roll back", "drop", "end"]
"""begin: first traffic, shadow or not; advance: shadow -> canary, or the next step; switch: everyone; drop: one of several challengers
is no longer asked; end: of mode "shadow"."""
Said: TypeAlias = Literal["gates passed", "gates failed", "approve", "roll back"]


@dataclass(frozen=True)
class State:
    """Where a rollout is. All of it is stored, and nothing else is needed to go on.

    Attributes:
        rollout: its id.
        phase: see Phase.
        step: of the canary, from 0.
        began_ms, since_ms: when the rollout, and its present phase or step, began.
        challengers: digests that are still tried.
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
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it again."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> State:
        """From `to_dict`. Raises FormatError."""
        raise NotImplementedError


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
        raise NotImplementedError


def start(policy: Policy, rollout: str, now_ms: int) -> State:
    """A rollout before its gates."""
    raise NotImplementedError


def decide(policy: Policy, state: State, observed: Observed) -> Decision:
    """What follows from what was seen. The same values give the same decision; applied again to its own state it holds."""
    raise NotImplementedError


def step(policy: Policy, state: State, said: Said, now_ms: int, why: str = "") -> Decision:
    """What follows from what the gates or a person said. Raises FormatError for words that mean nothing in this phase."""
    raise NotImplementedError


def traffic(policy: Policy, state: State, serial: int) -> Traffic:
    """What the workers do in this state. serial: larger with every change."""
    raise NotImplementedError
