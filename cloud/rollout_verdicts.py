"""What the counts say of each limit: proven within, proven beyond, or not enough data. Valid at every look.

| stage | measure | how much worse a challenger is |
|---|---|---|
| shadow | errors, accuracy | difference of the rates of bad answers to the same rows |
| shadow | late, disagreement | rate |
| canary | all | difference of the rates of the two arms, each unit weighted by one over the chance of its arm |
| switched | all | rate, less the rate that the champion had before |

Arms are held apart by their share, and evidence is multiplied: a mean over all steps would compare the challenger's busy days with the
champion's quiet ones (Simpson's paradox of a growing share).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import NamedTuple

from ..sdk.core.sequential import Counts, arms, lowers, paired, rate, uppers
from .rollout_evidence import Observed, Tally, Told, Verdict
from .rollout_policy import EVERYONE, Measure, Policy, Stage

ALONE: tuple[Measure, ...] = ("late", "disagreement")
"""In shadow these are rates of the challenger alone."""
RARE: tuple[Measure, ...] = ("errors", "late")
"""Where no row of the champion was counted, these are held against none at all; of others nothing can be said."""


class _Question(NamedTuple):
    """One limit, and the counts that answer it. then: what the champion had, where that is not among the counts."""

    measure: Measure
    name: str
    rows: int
    estimate: float
    now: Sequence[Counts]
    then: Sequence[Counts] | None = None


def judge(policy: Policy, stage: Stage, slices: Sequence[str], challenger: str, observed: Observed) -> tuple[Verdict, ...]:
    """Every limit of a challenger: over everyone, then in each of `slices`."""
    asked = [_question(stage, name, challenger, measure, observed) for name in (EVERYONE, *slices) for measure in policy.measures(stage)]
    return tuple(_told(policy, stage, challenger, *one) for one in zip(asked, *_bounds(policy, asked), strict=True))


def _told(policy: Policy, stage: Stage, challenger: str, asked: _Question, low: float, high: float) -> Verdict:
    measure, name, rows = asked.measure, asked.name, asked.rows
    limit, aim = policy.limit(measure, name), policy.aim(measure, stage, name)
    told: Told = "beyond" if low > limit else "within" if high <= aim else "not enough data"
    needed = name == EVERYONE and policy.asked(measure, stage, rows)
    return Verdict(challenger, measure, name, rows, asked.estimate, low, high, limit, aim, told, needed, rows >= policy.min_rows)


def _bounds(policy: Policy, asked: Sequence[_Question]) -> tuple[list[float], list[float]]:
    """(least, most) that each is worse by. Where the champion stands apart either side has half of the chance."""
    blame = [policy.blame(one.name) / (1 if one.then is None else 2) for one in asked]
    alpha = [policy.alpha / (1 if one.then is None else 2) for one in asked]
    low, high = lowers([one.now for one in asked], blame), uppers([one.now for one in asked], alpha)
    apart = [(place, one.then) for place, one in enumerate(asked) if one.then is not None]
    least = lowers([then for _, then in apart], [alpha[place] for place, _ in apart])
    most = uppers([then for _, then in apart], [blame[place] for place, _ in apart])
    for (place, _), less, more in zip(apart, least, most, strict=True):
        low[place], high[place] = low[place] - more, high[place] - less
    return low, high


def _question(stage: Stage, name: str, challenger: str, measure: Measure, observed: Observed) -> _Question:
    tallies = observed.of(stage, challenger, measure, name)
    rows, bad, other, both = (sum(getattr(one, what) for one in tallies) for what in ("rows", "bad", "champion_bad", "both"))
    if stage == "canary":
        return _Question(measure, name, rows, difference(tallies), [_arms(one) for one in tallies])
    own = bad / rows if rows else nan
    if stage == "shadow":
        alone = measure in ALONE
        held = rate(bad, rows) if alone else paired(bad - both, other - both, rows)
        return _Question(measure, name, rows, own if alone or not rows else (bad - other) / rows, [held])
    then, off = observed.champion(challenger, measure, name)
    if not then and measure in RARE:
        return _Question(measure, name, rows, own, [rate(bad, rows)])
    return _Question(measure, name, rows, own - off / then if then else nan, [rate(bad, rows)], [rate(off, then)])


def _arms(tally: Tally) -> Counts:
    return arms(tally.share, tally.bad, tally.rows, tally.champion_bad, tally.champion_rows)


def difference(tallies: Sequence[Tally]) -> float:
    """Difference of the arms' rates, weighted over shares by how well each can tell (Mantel and Haenszel 1959)."""
    held = [one for one in tallies if one.rows and one.champion_rows]
    weights = [one.rows * one.champion_rows / (one.rows + one.champion_rows) for one in held]
    gaps = [one.bad / one.rows - one.champion_bad / one.champion_rows for one in held]
    return sum(weight * gap for weight, gap in zip(weights, gaps, strict=True)) / sum(weights) if held else nan
