"""Who answers a request: the failover policy as pure functions. No clock, socket, thread or random number in here.

The caller (a server, a device agent, a page) owns one `Breaker` per entry of the chain and one `Request` per call, asks
`decide` what to do next, does it, and tells `observe` what happened. `now` is a parameter, in milliseconds of any
monotonic clock. The rules, which JSON vectors (tests/vectors/failover.json) pin for every language:

- Entries are tried in order. A request's budget starts when it *arrives*, so time spent in a queue counts.
- The first entry must answer `reserve_ms` before the deadline, so that a backup can still keep it. A later model may
  run until the deadline or for `grace_ms` from its start, whichever is later: a late answer beats none.
- A breaker opens after `failures` failures in a row, lets one probe through after `open_ms`, closes when the probe
  answers, and otherwise waits twice as long as before, up to `max_open_ms`.
- A probe that reports nothing for `probe_ms` is forgotten and another may start.
- A call that started before the breaker last changed its state tells nothing about the state it is in now: ignored.
- An entry that is *down* (its worker is restarting) is passed over without spending a probe.
- NaN and infinity in a float output are a failure ("non-finite"); NaN is not where the output allows `missing`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from .errors import FormatError
from .signature import Array, TensorSpec

EntryKind: TypeAlias = Literal["model", "endpoint", "cache", "default"]
BreakerState: TypeAlias = Literal["closed", "open", "half-open"]
Outcome: TypeAlias = Literal["answered", "failed", "deadline", "crashed", "busy", "non-finite", "miss"]
PRIMARY, OPEN, DOWN = "primary", "breaker-open", "down"
GUARDED: tuple[EntryKind, ...] = ("model", "endpoint")


@dataclass(frozen=True)
class BreakerRules:
    """When a breaker opens and how it comes back; times in milliseconds."""

    failures: int = 5
    open_ms: float = 1000.0
    max_open_ms: float = 8000.0
    probe_ms: float = 2000.0


@dataclass(frozen=True)
class Breaker:
    """State of one entry. Immutable; `epoch` counts state changes, so that late news can be told from fresh news.

    Attributes:
        state: "closed" (calls pass), "open" (none pass), "half-open" (one probe is under way).
        failures: failures in a row while closed; probes failed in a row otherwise.
        until_ms: open: when a probe may start; half-open: when the probe under way is forgotten.
        epoch: number of state changes so far.
    """

    state: BreakerState = "closed"
    failures: int = 0
    until_ms: float = 0.0
    epoch: int = 0


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
    breaker: BreakerRules = BreakerRules()

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


@dataclass(frozen=True)
class Attempt:
    """Why one entry did not answer: an `Outcome`, "breaker-open" or "down"."""

    entry: int
    reason: str


@dataclass(frozen=True)
class Request:
    """One call on its way down the chain; `epoch` is the one in which the breaker let the call under way through."""

    arrived_ms: float
    entry: int = 0
    epoch: int = 0
    attempts: tuple[Attempt, ...] = ()
    answered_by: int | None = None

    @property
    def reason(self) -> str:
        """"primary", or why the first entry did not answer."""
        return self.attempts[0].reason if self.attempts else PRIMARY


@dataclass(frozen=True)
class Action:
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
           down: Collection[int] = ()) -> tuple[Action, Breakers, Request]:  # fmt: skip
    """The next action for a request, with the breakers and the request as they are once it is taken.

    Args:
        policy: chain and times.
        breakers: one per entry.
        request: where the call stands.
        now: milliseconds.
        down: entries that cannot be called at present.
    """
    index = request.entry
    while index < len(policy.chain):
        entry = policy.chain[index]
        if entry.kind not in GUARDED:
            do = "look" if entry.kind == "cache" else "answer"
            return Action(do, index), breakers, replace(request, entry=index)
        admitted = None if index in down else admit(breakers[index], policy.breaker, now)
        if admitted is not None:
            taken = _swap(breakers, index, admitted)
            return Action("call", index, limit(policy, request, index, now)), taken, replace(request, entry=index, epoch=admitted.epoch)
        request = _passed(request, index, DOWN if index in down else OPEN)
        index += 1
    return Action("give-up"), breakers, replace(request, entry=index)


def observe(policy: Policy, breakers: Breakers, request: Request, outcome: Outcome, now: float) -> tuple[Breakers, Request]:
    """What follows from the outcome of the action that `decide` gave: breakers and request as they are then."""
    index = request.entry
    if policy.chain[index].kind in GUARDED:
        breakers = _swap(breakers, index, settle(breakers[index], policy.breaker, request.epoch, outcome == "answered", now))
    if outcome == "answered":
        return breakers, replace(request, answered_by=index)
    return breakers, replace(_passed(request, index, outcome), entry=index + 1)


def limit(policy: Policy, request: Request, index: int, now: float) -> float | None:
    """Until when an entry may run, in milliseconds; None: as long as it takes."""
    own = policy.chain[index].timeout_ms
    ends = [] if own is None else [now + own]
    if policy.deadline_ms is not None:
        deadline = request.arrived_ms + policy.deadline_ms
        alone = len(policy.chain) == 1
        first = deadline - (0.0 if alone else policy.reserve_ms)
        ends.append(first if index == 0 else max(deadline, now + policy.grace_ms))
    return min(ends) if ends else None


def admit(breaker: Breaker, rules: BreakerRules, now: float) -> Breaker | None:
    """The breaker once a call has been let through, or None when no call may pass."""
    if breaker.state == "closed":
        return breaker
    if now < breaker.until_ms:
        return None
    return replace(breaker, state="half-open", until_ms=now + rules.probe_ms, epoch=breaker.epoch + 1)


def settle(breaker: Breaker, rules: BreakerRules, epoch: int, good: bool, now: float) -> Breaker:
    """The breaker after a call that was admitted in `epoch` has ended."""
    if epoch != breaker.epoch or breaker.state == "open":
        return breaker
    if breaker.state == "half-open":
        return _close(breaker) if good else _open(breaker, rules, breaker.failures + 1, now)
    if good:
        return replace(breaker, failures=0) if breaker.failures else breaker
    failures = breaker.failures + 1
    return _open(breaker, rules, 0, now) if failures >= rules.failures else replace(breaker, failures=failures)


def flaw(outputs: Mapping[str, Array], specs: Sequence[TensorSpec]) -> str | None:
    """The name of the first float output that holds NaN or infinity where its spec does not allow it, or None."""
    for spec in specs:
        values = outputs.get(spec.name)
        if values is None or values.dtype.kind != "f" or bool(np.isfinite(values).all()):
            continue
        if not spec.missing or bool(np.isinf(values).any()):
            return spec.name
    return None


def _open(breaker: Breaker, rules: BreakerRules, failed_probes: int, now: float) -> Breaker:
    wait = min(rules.open_ms * 2.0 ** min(failed_probes, 30), rules.max_open_ms)
    return Breaker("open", failed_probes, now + wait, breaker.epoch + 1)


def _close(breaker: Breaker) -> Breaker:
    return Breaker("closed", 0, 0.0, breaker.epoch + 1)


def _passed(request: Request, index: int, reason: str) -> Request:
    return replace(request, attempts=(*request.attempts, Attempt(index, reason)))


def _swap(breakers: Breakers, index: int, breaker: Breaker) -> Breakers:
    return (*breakers[:index], breaker, *breakers[index + 1 :])
