"""Evidence that errors have become more frequent, valid however often and however long one looks.

    >>> state = Evidence(limit=0.1, looks=1000, rate=0.05)
    >>> for _ in range(40):
    ...     state = state.update(errors=3, rows=10)
    >>> state.alarm, state.looks_done
    (True, 40)

A bet against "at most `limit` of the answers are wrong" multiplies its stake by the likelihood ratio of a higher rate (Ville, 1939;
Waudby-Smith and Ramdas, 2023). A new bet begins at every look and all are added up (the e-detector of Shin, Ramdas and Rinaldo, 2022,
after Shiryaev and Roberts), so that a change after years of calm is found as soon as one in the first week. Without a change the sum
grows by one a look on average, and by Doob's inequality it reaches `looks` / `rate` within `looks` looks at most with probability
`rate`. Nothing is assumed of when one looks, nor of how errors follow each other, but that none comes with a probability above `limit`
given those before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, inf, log, log1p

from ..errors import InputError
from ..statistics import upper_bound

STEPS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Bets: error rates above the limit, as shares of what is left to 1; the stake is divided evenly."""


@dataclass(frozen=True)
class Evidence:
    """Immutable.

    Attributes:
        limit: the share of errors that is all right.
        looks: how many updates there are in the time that `rate` speaks of (a month).
        rate: the probability of a false alarm in that time.
        sums: of each bet, the logarithm of what its stakes have become.
        errors, rows, looks_done: so far.
        alarm: the evidence has reached its threshold, now or before; `began` says at which look.
    """

    limit: float
    looks: int = 1000
    rate: float = 0.05
    sums: tuple[float, ...] = (-inf,) * len(STEPS)
    errors: int = 0
    rows: int = 0
    looks_done: int = 0
    began: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.limit < 1:
            raise InputError("A limit of errors is a share", field="limit", got=self.limit, expected="above 0 and below 1")
        if not 0 < self.rate < 1 or self.looks < 1:
            raise InputError("False alarms are limited to a rate in a number of looks", got=f"rate {self.rate}, looks {self.looks}",
                             expected="a rate between 0 and 1, at least one look")  # fmt: skip

    @classmethod
    def against(cls, errors: int, rows: int, *, margin: float = 0.02, looks: int = 1000, rate: float = 0.05) -> Evidence:
        """Against the error rate of a reference (held-out rows, or the first labels): its upper bound and a margin that is tolerated."""
        return cls(min(upper_bound(errors, rows) + margin, 0.999), looks, rate)

    @property
    def alarm(self) -> bool:
        """Whether errors have become more frequent."""
        return self.began is not None

    @property
    def strength(self) -> float:
        """The logarithm of the evidence over that of its threshold: an alarm at 1."""
        return max(0.0, self._sum() / log(self.looks / self.rate))

    def update(self, errors: int, rows: int) -> Evidence:
        """The state after `rows` more labels, of which `errors` were against the answer."""
        if not 0 <= errors <= rows:
            raise InputError("Errors are counted among rows", got=f"{errors} errors in {rows} rows")
        sums = tuple(_grown(held, self.limit, step, errors, rows) for held, step in zip(self.sums, STEPS, strict=True))
        held = replace(self, sums=sums, errors=self.errors + errors, rows=self.rows + rows, looks_done=self.looks_done + 1)
        reached = held._sum() >= log(self.looks / self.rate)
        return replace(held, began=held.looks_done) if reached and held.began is None else held

    def reset(self) -> Evidence:
        """After somebody has looked into an alarm."""
        return Evidence(self.limit, self.looks, self.rate)

    def _sum(self) -> float:
        highest = max(self.sums)
        return -inf if highest == -inf else highest + log(sum(exp(held - highest) for held in self.sums) / len(STEPS))


def _grown(held: float, limit: float, step: float, errors: int, rows: int) -> float:
    """The logarithm of (stakes so far and a new one) times the likelihood ratio of these rows."""
    higher = limit + (1 - limit) * step
    ratio = errors * log(higher / limit) + (rows - errors) * log((1 - higher) / (1 - limit))
    return (max(held, 0.0) + log1p(exp(-abs(held))) if held != -inf else 0.0) + ratio
