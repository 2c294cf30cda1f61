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
from functools import lru_cache
from math import nan

from ..sdk.core.sequential import Counts, arms, lower, paired, rate, upper
from .rollout_evidence import Observed, Tally, Told, Verdict
from .rollout_policy import EVERYONE, Measure, Policy, Stage

ALONE: tuple[Measure, ...] = ("late", "disagreement")
"""In shadow these are rates of the challenger alone."""


def judge(policy: Policy, stage: Stage, slices: Sequence[str], challenger: str, observed: Observed) -> tuple[Verdict, ...]:
    """Every limit of a challenger: over everyone, then in each of `slices`."""
    return tuple(_judged(policy, stage, name, challenger, measure, observed)
                 for name in (EVERYONE, *slices) for measure in policy.measures(stage))  # fmt: skip


def _judged(policy: Policy, stage: Stage, name: str, challenger: str, measure: Measure, observed: Observed) -> Verdict:
    tallies = tuple(observed.of(stage, challenger, measure, name))
    rows, limit, aim = sum(one.rows for one in tallies), policy.limit(measure, name), policy.aim(measure, stage, name)
    if stage == "switched":
        before = observed.champion(challenger, measure, name)
        figures = _since(tallies, before, measure in ("errors", "late"), policy.alpha, policy.blame(name))
    else:
        figures = _compared(tallies, stage, measure in ALONE, policy.alpha, policy.blame(name))
    estimate, low, high = figures
    told: Told = "beyond" if low > limit else "within" if high <= aim else "not enough data"
    asked = name == EVERYONE and policy.asked(measure, stage, rows)
    return Verdict(challenger, measure, name, rows, estimate, low, high, limit, aim, told, asked, rows >= policy.min_rows)


@lru_cache(maxsize=1024)
def _compared(tallies: tuple[Tally, ...], stage: Stage, alone: bool, alpha: float, blame: float) -> tuple[float, float, float]:
    """(estimate, low, high) of a challenger beside its champion."""
    if stage == "canary":
        held, estimate = [_arms(one) for one in tallies], _difference(tallies)
    else:
        rows, bad, other, both = (sum(getattr(one, name) for one in tallies) for name in ("rows", "bad", "champion_bad", "both"))
        held = [rate(bad, rows) if alone else paired(bad - both, other - both, rows)]
        estimate = (bad - (0 if alone else other)) / rows if rows else nan
    return estimate, lower(held, blame), upper(held, alpha)


@lru_cache(maxsize=1024)
def _since(tallies: tuple[Tally, ...], before: tuple[int, int], rare: bool, alpha: float, blame: float) -> tuple[float, float, float]:
    """(estimate, low, high) of a challenger that everyone is given, less what the champion had: half of each chance for either.

    Without a row of the champion rare things are held against none at all; of others nothing can be said.
    """
    rows, bad = sum(one.rows for one in tallies), sum(one.bad for one in tallies)
    now, then = [rate(bad, rows)], [rate(before[1], before[0])]
    if not before[0]:
        return (bad / rows if rows else nan, lower(now, blame), upper(now, alpha)) if rare else (nan, -1.0, 1.0)
    estimate = bad / rows - before[1] / before[0] if rows else nan
    return estimate, lower(now, blame / 2) - upper(then, blame / 2), upper(now, alpha / 2) - lower(then, alpha / 2)


def _arms(tally: Tally) -> Counts:
    return arms(tally.share, tally.bad, tally.rows, tally.champion_bad, tally.champion_rows)


def _difference(tallies: Sequence[Tally]) -> float:
    """Difference of the arms' rates, weighted over shares by how well each can tell (Mantel and Haenszel 1959)."""
    held = [one for one in tallies if one.rows and one.champion_rows]
    weights = [one.rows * one.champion_rows / (one.rows + one.champion_rows) for one in held]
    gaps = [one.bad / one.rows - one.champion_bad / one.champion_rows for one in held]
    return sum(weight * gap for weight, gap in zip(weights, gaps, strict=True)) / sum(weights) if held else nan
