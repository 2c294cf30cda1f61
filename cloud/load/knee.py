"""Which rate is tried next, and what the rates that were tried say. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .tally import Judged, Step

PRECISION = 1.06
"""The knee is known when the lowest rate that fails is within this factor of the highest that holds."""


ENOUGH = 5.0
"""Requests that a step of the search needs, over the share that may fail: fewer could not tell, see `Step.judged`."""


@dataclass(frozen=True)
class Aim:
    """What is asked of every rate: this share of all requests answered within the deadline."""

    slo: float = 0.99
    deadline_ms: float = 200.0

    def judge(self, step: Step) -> Judged:
        """See `Step.judged`."""
        return step.judged(self.slo, self.deadline_ms)

    def seconds(self, rate: float, least: float) -> float:
        """How long a step at this rate must be to tell."""
        return max(least, ENOUGH / (1 - self.slo) / rate)

    def __str__(self) -> str:
        return f"{self.slo * 100:g}% within {self.deadline_ms:g} ms"


@dataclass(frozen=True)
class Found:
    """What steps say together.

    Attributes:
        knee: the highest rate that held with none below it missed; None: none did.
        missed: the lowest rate that was missed; None: none was.
        verdict: "held" (at every rate that was tried), "missed" (at some), "not enough data".
        sentence: the same for people.
    """

    knee: float | None
    missed: float | None
    verdict: str
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"knee": self.knee, "missed": self.missed, "verdict": self.verdict, "sentence": self.sentence}


def found(steps: Sequence[Step], aim: Aim) -> Found:
    """Judge all steps.

    A rate where a smaller one was missed cannot be the knee. Steps that cannot tell are neither.
    """
    judged = [(step, aim.judge(step)) for step in steps]
    missed = min((step.rate for step, verdict in judged if verdict == "missed"), default=None)
    held = [step.rate for step, verdict in judged if verdict == "held" and (missed is None or step.rate < missed)]
    knee = max(held, default=None)
    late = [step.rate for step, verdict in judged if verdict == "generator late"]
    note = f"; at {min(late):,.0f} requests/s the generator itself was late, so what it measured there is no verdict" if late else ""
    if knee is None and missed is None:
        said = f"not enough data to say whether {aim} holds{note or ': longer steps (--seconds) tell'}"
        return Found(None, None, "not enough data", said)
    if knee is None:
        return Found(None, missed, "missed", f"not even {missed:,.0f} requests/s are answered as {aim} asks{note}")
    end = f", missed at {missed:,.0f}" if missed is not None else ", and more was not tried" if not late else ""
    return Found(knee, missed, "held" if missed is None else "missed", f"{aim} up to {knee:,.0f} requests/s here{end}{note}")


def next_rate(steps: Sequence[Step], aim: Aim, first: float = 50.0) -> float | None:
    """The rate to try next; None: the knee is known as well as it can be here.

    Doubles from the first until a rate does not hold, then halves the gap on a logarithmic scale. A rate that cannot be told is
    taken as one that does not hold: the knee is where it surely holds.
    """
    held = [step.rate for step in steps if aim.judge(step) == "held"]
    failed = [step.rate for step in steps if aim.judge(step) != "held"]
    if not steps:
        return first
    if not failed:
        return max(held) * 2
    low, high = max((rate for rate in held if rate < min(failed)), default=None), min(failed)
    if low is None:
        return high / 2 if high / 2 >= 1 else None
    middle = float((low * high) ** 0.5)
    return None if high / low <= PRECISION else round(middle, 1 if middle < 100 else 0)
