"""Who answers a request: the failover policy as pure functions. No clock, socket, thread or random number in here.

The caller (a server, a device agent, a page) owns one `Breaker` per entry of the chain and one `Request` per call, asks
`decide` what to do next, does it, and tells `observe` what happened. `now` is a parameter, in milliseconds of any
monotonic clock. The rules, which JSON vectors (tests/vectors/failover.json) pin for every language:

- Entries are tried in order. A request's budget starts when it *arrives*, so time spent in a queue counts.
- The first entry must answer `reserve_ms` before the deadline, so that a backup can still keep it. A later model may
  run until the deadline or for `grace_ms` from its start, whichever is later: a late answer beats none.
- An entry whose time has passed before it could begin is passed over ("deadline"), and one that is full says "busy": their
  breakers hear nothing of it. Load is no fault, and a breaker that opened under load would send all of it to the next.
- A breaker (breaker.py) opens after failures in a row or by a rate, lets one probe through after `open_ms`, closes when
  `probes` of them have answered, and otherwise waits twice as long as before, up to `max_open_ms`.
- A probe that reports nothing for `probe_ms` is forgotten and another may start.
- A call that started before the breaker last changed its state tells nothing about the state it is in now: ignored.
- An entry that is *down* (its worker is restarting) is passed over without spending a probe.
- NaN and infinity in a float output are a failure ("non-finite"); NaN is not where the output allows `missing`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from .breaker import Breaker, BreakerRules, BreakerState, admit, released, settle
from .errors import FormatError
from .signature import Array, TensorSpec

__all__ = ["Action", "Attempt", "Breaker", "BreakerRules", "BreakerState", "Breakers", "Entry", "Outcome", "Policy", "Request",
           "admit", "decide", "flaw", "limit", "observe", "settle", "start"]  # fmt: skip

EntryKind: TypeAlias = Literal["model", "endpoint", "cache", "default"]
Outcome: TypeAlias = Literal["answered", "failed", "deadline", "crashed", "busy", "non-finite", "miss"]
PRIMARY, OPEN, DOWN, LATE = "primary", "breaker-open", "down", "deadline"
FEW = 24
made = tuple.__new__
"""Makes a NamedTuple of all its fields in their order: a third of the cost of calling it, for what is made several times per request."""
GUARDED: tuple[EntryKind, ...] = ("model", "endpoint")


@dataclass(frozen=True)
class Entry:
    """One place an answer may come from. `timeout_ms` bounds an endpoint's own time."""

    kind: EntryKind
    timeout_ms: float | None = None


@dataclass(frozen=True)
class Policy:
    """A chain and its times. `deadline_ms=None`: nothing is cut short, failures still move on.

    Raises FormatError for an empty chain or times that cannot be meant.
    """

    chain: tuple[Entry, ...]
    deadline_ms: float | None = None
    reserve_ms: float = 0.0
    grace_ms: float = 0.0
    breaker: BreakerRules = field(default_factory=BreakerRules)

    def __post_init__(self) -> None:
        if not self.chain:
            raise FormatError("A failover policy needs at least one entry")
        if self.deadline_ms is not None and not 0 <= self.reserve_ms < self.deadline_ms:
            raise FormatError("reserve_ms must be at least 0 and below deadline_ms", got=self.reserve_ms)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Policy:
        """Parse the form that the vectors use."""
        chain = tuple(Entry(entry["kind"], entry.get("timeout_ms")) for entry in data["chain"])
        times = {key: data[key] for key in ("deadline_ms", "reserve_ms", "grace_ms") if key in data}
        return cls(chain, breaker=BreakerRules(**data.get("breaker", {})), **times)


class Attempt(NamedTuple):
    """Why one entry did not answer: an `Outcome`, "breaker-open" or "down"."""

    entry: int
    reason: str


class Request(NamedTuple):
    """One call on its way down the chain. A NamedTuple for the reason given in breaker.py.

    Attributes:
        epoch: the one in which the breaker let the call under way through.
        began_ms: when that was.
    """

    arrived_ms: float
    entry: int = 0
    epoch: int = 0
    attempts: tuple[Attempt, ...] = ()
    answered_by: int | None = None
    began_ms: float = 0.0

    @property
    def reason(self) -> str:
        """ "primary", or why the first entry did not answer."""
        return self.attempts[0].reason if self.attempts else PRIMARY


class Action(NamedTuple):
    """What to do next.

    Attributes:
        do: "call" a model or endpoint, "look" into a cache, "answer" with the default, "give-up".
        entry: which entry of the chain; -1 for "give-up".
        until_ms: stop waiting at this time; None: wait as long as it takes.
    """

    do: Literal["call", "look", "answer", "give-up"]
    entry: int = -1
    until_ms: float | None = None


Breakers: TypeAlias = tuple[Breaker, ...]


def start(policy: Policy) -> Breakers:
    """Closed breakers, one per entry."""
    return tuple(Breaker() for _ in policy.chain)


def decide(policy: Policy, breakers: Breakers, request: Request, now: float,
           down: Container[int] = ()) -> tuple[Action, Breakers, Request]:  # fmt: skip
    """The next action for a request, with the breakers and the request as they are once it is taken.

    Args:
        policy: chain and times.
        breakers: one per entry.
        request: where the call stands.
        now: milliseconds.
        down: entries that cannot be called at present.
    """
    chain = policy.chain
    for index in range(request.entry, len(chain)):
        kind = chain[index].kind
        if kind not in GUARDED:
            return Action("look" if kind == "cache" else "answer", index), breakers, _at(request, index)
        until = limit(policy, request, index, now)
        if index in down:
            request = _passed(request, index, DOWN)
        elif until is not None and until <= now:
            request = _passed(request, index, LATE)
        elif (admitted := admit(breakers[index], policy.breaker, now)) is None:
            request = _passed(request, index, OPEN)
        else:
            taken = made(Request, (request.arrived_ms, index, admitted.epoch, request.attempts, None, now))
            return made(Action, ("call", index, until)), _swap(breakers, index, admitted), taken
    return Action("give-up"), breakers, _at(request, len(chain))


def observe(policy: Policy, breakers: Breakers, request: Request, outcome: Outcome, now: float) -> tuple[Breakers, Request]:
    """What follows from the outcome of the action that `decide` gave: breakers and request as they are then."""
    index, good = request.entry, outcome == "answered"
    if policy.chain[index].kind in GUARDED:
        if outcome == "busy":
            settled = released(breakers[index], request.epoch, now)
        else:
            settled = settle(breakers[index], policy.breaker, request.epoch, good, now, now - request.began_ms)
        breakers = _swap(breakers, index, settled)
    if good:
        return breakers, made(Request, (request.arrived_ms, index, request.epoch, request.attempts, index, request.began_ms))
    return breakers, _at(_passed(request, index, outcome), index + 1)


def limit(policy: Policy, request: Request, index: int, now: float) -> float | None:
    """Until when an entry may run, in milliseconds; None: as long as it takes."""
    own = policy.chain[index].timeout_ms
    if policy.deadline_ms is None:
        return None if own is None else now + own
    deadline = request.arrived_ms + policy.deadline_ms
    first = deadline if len(policy.chain) == 1 else deadline - policy.reserve_ms
    end = first if index == 0 else max(deadline, now + policy.grace_ms)
    return end if own is None else min(end, now + own)


def flaw(outputs: Mapping[str, Array], specs: Sequence[TensorSpec]) -> str | None:
    """The name of the first float output that holds NaN or infinity where its spec does not allow it, or None."""
    for spec in specs:
        values = outputs.get(spec.name)
        if values is None or values.dtype.kind != "f" or _finite(values):
            continue
        if not spec.missing or bool(np.isinf(values).any()):
            return spec.name
    return None


def _finite(values: Array) -> bool:
    """No NaN, no infinity. Of a few numbers the sum says so, which is faster than to begin with arrays; it may overflow, though."""
    return (values.size <= FEW and isfinite(sum(values.ravel().tolist()))) or bool(np.isfinite(values).all())


def _at(request: Request, index: int) -> Request:
    return Request(request.arrived_ms, index, request.epoch, request.attempts, request.answered_by, request.began_ms)


def _passed(request: Request, index: int, reason: str) -> Request:
    attempts = (*request.attempts, Attempt(index, reason))
    return Request(request.arrived_ms, request.entry, request.epoch, attempts, request.answered_by, request.began_ms)


def _swap(breakers: Breakers, index: int, breaker: Breaker) -> Breakers:
    return breakers if breaker is breakers[index] else (*breakers[:index], breaker, *breakers[index + 1 :])
