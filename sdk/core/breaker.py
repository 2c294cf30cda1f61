"""The breaker of one entry of a failover chain: when it is left alone for a while, and how it comes back. Pure values.

Three rules open a closed breaker; the last two are off unless asked for:

- `failures` failures in a row;
- `error_rate`: this share of the calls in the window failed;
- `slow_rate`: this share of the calls in the window took longer than `slow_ms`. A slow answer is still an answer.

A share is never judged on fewer than `min_calls` calls. The window is the last `window_ms`, or the last `window_calls` calls,
kept as ten counters: it moves a tenth at a time, and a call costs the same whatever the window holds.
`tests/vectors/failover.json` pins the arithmetic for every language.

Breakers are NamedTuples, not dataclasses: several are made per request, and a tuple is made five times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from .errors import FormatError

BreakerState: TypeAlias = Literal["closed", "open", "half-open"]
Counts: TypeAlias = tuple[int, int, int]
SLOTS = 10


@dataclass(frozen=True)
class BreakerRules:
    """When a breaker opens and how it comes back; times in milliseconds, rates as shares above 0 and up to 1.

    Attributes:
        failures: failures in a row that open it.
        open_ms: how long it stays open, doubled after each failed probe up to `max_open_ms`.
        probe_ms: a probe that reports nothing for so long is forgotten.
        probes: how many probes must answer, one after the other, before it closes. A slow one has failed where `slow_ms` is given.
        error_rate, slow_rate, slow_ms, min_calls, window_ms, window_calls: see the module.

    Raises FormatError for rules that cannot be meant.
    """

    failures: int = 5
    open_ms: float = 1000.0
    max_open_ms: float = 8000.0
    probe_ms: float = 2000.0
    probes: int = 1
    error_rate: float | None = None
    slow_rate: float | None = None
    slow_ms: float | None = None
    min_calls: int = 20
    window_ms: float = 10_000.0
    window_calls: int | None = None

    def __post_init__(self) -> None:
        for name in ("error_rate", "slow_rate"):
            rate = getattr(self, name)
            if rate is not None and not 0 < rate <= 1:
                raise FormatError(f"{name} is a share above 0 and up to 1", got=rate)
        if (self.slow_rate is None) != (self.slow_ms is None):
            raise FormatError("slow_rate and slow_ms belong together: the share of slow calls, and what slow is")
        if self.window_calls is not None and self.min_calls > self.window_calls:
            raise FormatError("min_calls must fit into window_calls", got=self.min_calls, expected=f"at most {self.window_calls}")


class Window(NamedTuple):
    """Calls of the last while.

    Attributes:
        slot: the tenth of a window that calls are counted in now, from the beginning of time.
        seen: calls so far.
        calls, bad, slow: counts of the present slot.
        past: counts of up to nine slots before it, the newest first; `before` is their sum.
    """

    slot: int = 0
    seen: int = 0
    calls: int = 0
    bad: int = 0
    slow: int = 0
    past: tuple[Counts, ...] = ()
    before: Counts = (0, 0, 0)


class Breaker(NamedTuple):
    """State of one entry. Immutable; `epoch` counts state changes, so that late news can be told from fresh news.

    Attributes:
        state: "closed" (calls pass), "open" (none pass), "half-open" (probes, one at a time).
        failures: failures in a row while closed; probes failed in a row otherwise.
        until_ms: open: when a probe may start; half-open: when the probe under way is forgotten, or the next may start.
        epoch: number of state changes so far; every probe is one.
        good: half-open: probes that have answered.
        window: closed: what the rates are judged on.
    """

    state: BreakerState = "closed"
    failures: int = 0
    until_ms: float = 0.0
    epoch: int = 0
    good: int = 0
    window: Window = Window()


def admit(breaker: Breaker, rules: BreakerRules, now: float) -> Breaker | None:
    """The breaker once a call has been let through, or None when no call may pass."""
    if breaker.state == "closed":
        return breaker
    if now < breaker.until_ms:
        return None
    return Breaker("half-open", breaker.failures, now + rules.probe_ms, breaker.epoch + 1, breaker.good)


def settle(breaker: Breaker, rules: BreakerRules, epoch: int, good: bool, now: float, took_ms: float = 0.0) -> Breaker:
    """The breaker after a call that was admitted in `epoch` and took `took_ms` has ended."""
    if epoch != breaker.epoch or breaker.state == "open":
        return breaker
    slow = rules.slow_ms is not None and took_ms > rules.slow_ms
    if breaker.state == "half-open":
        return _probed(breaker, rules, good and not slow, now)
    failures = 0 if good else breaker.failures + 1
    if failures >= rules.failures:
        return _open(breaker, rules, 0, now)
    if rules.error_rate is None and rules.slow_rate is None:
        return breaker if failures == breaker.failures else Breaker("closed", failures, 0.0, epoch)
    window = counted(breaker.window, rules, not good, slow, now)
    return _open(breaker, rules, 0, now) if exceeded(window, rules) else Breaker("closed", failures, 0.0, epoch, 0, window)


def released(breaker: Breaker, epoch: int, now: float) -> Breaker:
    """The breaker after a call that was admitted in `epoch` and then not begun, for want of room: nothing is known, another may probe."""
    if epoch != breaker.epoch or breaker.state != "half-open":
        return breaker
    return Breaker("half-open", breaker.failures, now, epoch + 1, breaker.good)


def counted(window: Window, rules: BreakerRules, bad: bool, slow: bool, now: float) -> Window:
    """The window with one more call."""
    position, width = (now, rules.window_ms) if rules.window_calls is None else (window.seen, rules.window_calls)
    slot = int(position * SLOTS / width)
    if slot > window.slot:
        window = _moved(window, slot)
    return Window(window.slot, window.seen + 1, window.calls + 1, window.bad + bad, window.slow + slow, window.past, window.before)


def exceeded(window: Window, rules: BreakerRules) -> bool:
    """A rate has reached its limit, on enough calls."""
    calls = window.calls + window.before[0]
    if calls < rules.min_calls:
        return False
    if rules.error_rate is not None and window.bad + window.before[1] >= rules.error_rate * calls:
        return True
    return rules.slow_rate is not None and window.slow + window.before[2] >= rules.slow_rate * calls


def _moved(window: Window, slot: int) -> Window:
    """The window with `slot` as its present one; what lies ten slots back is gone."""
    empty = min(slot - window.slot, SLOTS) - 1
    past = ((0, 0, 0),) * empty + ((window.calls, window.bad, window.slow), *window.past)
    past = past[: SLOTS - 1]
    before = (sum(part[0] for part in past), sum(part[1] for part in past), sum(part[2] for part in past))
    return Window(slot, window.seen, past=past, before=before)


def _probed(breaker: Breaker, rules: BreakerRules, good: bool, now: float) -> Breaker:
    if not good:
        return _open(breaker, rules, breaker.failures + 1, now)
    if breaker.good + 1 < rules.probes:
        return Breaker("half-open", breaker.failures, now, breaker.epoch + 1, breaker.good + 1)
    return Breaker(epoch=breaker.epoch + 1)


def _open(breaker: Breaker, rules: BreakerRules, failed_probes: int, now: float) -> Breaker:
    wait = min(rules.open_ms * 2.0 ** min(failed_probes, 30), rules.max_open_ms)
    return Breaker("open", failed_probes, now + wait, breaker.epoch + 1)
