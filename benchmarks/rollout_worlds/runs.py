"""Whole rollouts, made up: traffic of four slices comes in, the engine looks after every 500 units, until it promotes or rolls back.

A canary of 5%, 20% and 50% without a shadow. Labels come with every unit. What the engine decides is compared with what the same machine
decides when its verdicts are z-tests at each look, without a thought of how often one looks or of how many limits there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from math import nan, sqrt
from typing import Any, NamedTuple

import numpy as np

from portside.cloud import rollout
from portside.cloud.rollout_evidence import EVERYONE, Assigned, Cell, Observed, Tally, Told, Verdict
from portside.cloud.rollout_policy import Measure, Policy, Stage
from portside.cloud.rollout_verdicts import difference, judge
from portside.runtimes.hardware import cores
from portside.sdk.core.sequential import arms, evidences_above, evidences_below
from portside.sdk.core.statistics import clopper_pearson, z_score

NEW, LOOK, MOST, MINUTE = "sha256:new", 500, 100, 60_000
SLICES = {"line=a": 0.5, "line=b": 0.3, "line=c": 0.15, "line=d": 0.05}
POLICY = Policy((NEW,), steps=(0.05, 0.2, 0.5), slices=("line",), shadow_first=False, accuracy="required",
                limits={"errors": 0.01, "accuracy": 0.02})  # fmt: skip
BASE: Mapping[Measure, float] = {"errors": 0.005, "accuracy": 0.1}


@dataclass(frozen=True)
class World:
    """What is true: how much more often the challenger is bad, over everyone, and in one slice besides."""

    name: str
    worse: Mapping[Measure, float]
    only: Mapping[Measure, float] | None = None
    gain: float = 0.0

    def rate(self, measure: Measure, name: str) -> float:
        """Of bad answers of the challenger in a slice."""
        return BASE[measure] + self.worse.get(measure, 0.0) + ((self.only or {}).get(measure, 0.0) if name == "line=d" else 0.0)


WORLDS = (
    World("the same", {}), World("every limit is just reached", {"errors": 0.01, "accuracy": 0.02}),
    World("one limit is just reached", {"accuracy": 0.02}), World("3 points better, 0.5 asked for", {"accuracy": -0.03}, gain=0.005),
    World("15 points of errors more in a slice of 5%", {}, {"errors": 0.15}), World("every answer an error", {"errors": 0.995}),
)  # fmt: skip


class Ended(NamedTuple):
    """How one rollout ended: whether everyone was ever given the challenger, whether it was rolled back, units until then, those of the
    challenger, and what the reason named."""

    promoted: bool
    back: bool
    units: int
    given: int
    named: str


def runs(many: int) -> Iterator[dict[str, Any]]:
    """One row per world and way of judging."""
    with ProcessPoolExecutor(cores()) as pool:
        for world in WORLDS:
            for way in ("portside", "z-test at each look"):
                ended = list(pool.map(partial(run, world, way), range(many), chunksize=10))
                yield {"part": "runs", "world": world.name, "way": way, "runs": many, **summed(ended)}


def summed(ended: list[Ended]) -> dict[str, Any]:
    """Shares of runs by how they ended, with exact intervals, and the units of it."""
    figures = {name: clopper_pearson(sum(getattr(one, name) for one in ended), len(ended)).to_dict() for name in ("promoted", "back")}
    named = Counter(one.named for one in ended if one.back)
    return {**figures, "units": _middle(one.units for one in ended), "given": _middle(one.given for one in ended),
            "named": dict(named.most_common(20))}  # fmt: skip


def run(world: World, way: str, seed: int) -> Ended:
    """One rollout from its first unit on."""
    policy, dice = replace(POLICY, gain=world.gain), np.random.default_rng(seed)
    state = rollout.step(policy, rollout.start(policy, "r", 0), "gates passed", 0).state
    counts: dict[Cell, Tally] = {}
    assigned: dict[int, Assigned] = {}
    reason, looks, promoted = "", 0, False
    rollout.judge = quick if way == "portside" else peeking  # in a process that does nothing else
    while not state.over and looks < MOST:
        looks += 1
        _look(world, policy, state, dice, counts, assigned)
        decision = rollout.decide(policy, state, Observed(looks * 10 * MINUTE, counts, assigned))
        state, reason, promoted = decision.state, decision.reason, promoted or decision.action == "switch"
    given = sum(held.rows for cell, held in counts.items() if cell.measure == "errors" and cell.slice == EVERYONE)
    return Ended(promoted, state.phase == "rolled back", looks * LOOK, given, _named(reason))


def _named(reason: str) -> str:
    """The limits of a reason, without figures: "errors in line=d; errors"."""
    return "; ".join(part.split(":")[0] for part in reason.split("; ") if ": at least" in part)


def _look(world: World, policy: Policy, state: rollout.State, dice: np.random.Generator, counts: dict[Cell, Tally],
          assigned: dict[int, Assigned]) -> None:  # fmt: skip
    """500 more units, counted where the rollout is."""
    canary = state.phase == "canary"
    share, number = (policy.steps[state.step], state.step) if canary else (1.0, 0)
    units = dice.multinomial(LOOK, list(SLICES.values()))
    ours = dice.binomial(units, share)
    for measure in policy.limits:
        for name, all_units, rows in zip(SLICES, units.tolist(), ours.tolist(), strict=True):
            others = all_units - rows
            bad, other = int(dice.binomial(rows, world.rate(measure, name))), int(dice.binomial(others, BASE[measure]))
            one = Tally(rows, bad, others, other, 0, share)
            for where in (EVERYONE, name):
                cell = Cell("canary" if canary else "switched", number, NEW, measure, where)
                counts[cell] = counts[cell].plus(one) if cell in counts else one
    if canary:
        before = assigned.get(number, Assigned(share, 0, 0))
        assigned[number] = Assigned(share, before.challenger + int(ours.sum()), before.champion + int((units - ours).sum()))


def quick(policy: Policy, stage: Stage, slices: Sequence[str], challenger: str, observed: Observed) -> tuple[Verdict, ...]:
    """As `judge`, without looking for the bounds: in a canary what is told follows from the evidence at the limit alone."""
    if stage != "canary":
        return judge(policy, stage, slices, challenger, observed)
    asked: list[tuple[str, Measure, list[Tally]]]
    asked = [(name, measure, observed.of(stage, challenger, measure, name))
             for name in (EVERYONE, *slices) for measure in policy.measures(stage)]  # fmt: skip
    held = [[arms(one.share, one.bad, one.rows, one.champion_bad, one.champion_rows) for one in tallies] for _, _, tallies in asked]
    limits = [policy.limit(measure, name) for name, measure, _ in asked]
    aims = [policy.aim(measure, stage, name) for name, measure, _ in asked]
    beyond = evidences_above(held, limits) > np.log([1 / policy.blame(name) for name, *_ in asked])
    within = evidences_below(held, aims) >= np.log(1 / policy.alpha)
    found: list[Verdict] = []
    for (name, measure, tallies), limit, aim, broken, holds in zip(asked, limits, aims, beyond.tolist(), within.tolist(), strict=True):
        rows = sum(one.rows for one in tallies)
        told: Told = "beyond" if broken else "within" if holds else "not enough data"
        needed = name == EVERYONE and policy.asked(measure, stage, rows)
        enough, looks = rows >= policy.min_rows, difference(tallies)
        found.append(Verdict(challenger, measure, name, rows, looks, nan, nan, limit, aim, told, needed, enough))
    return tuple(found)


def peeking(policy: Policy, stage: str, slices: Any, challenger: str, observed: Observed) -> tuple[Verdict, ...]:
    """As `judge`, by z-tests at alpha, each as if it were the only one and looked at once."""
    return tuple(_z(policy, stage, name, measure, observed) for name in (EVERYONE, *slices) for measure in policy.measures("canary"))


def _z(policy: Policy, stage: Any, name: str, measure: Measure, observed: Observed) -> Verdict:
    held = observed.of(stage, NEW, measure, name)
    rows, bad = sum(one.rows for one in held), sum(one.bad for one in held)
    others, other = (observed.champion(NEW, measure, name) if stage == "switched" else
                     (sum(one.champion_rows for one in held), sum(one.champion_bad for one in held)))  # fmt: skip
    one, two = (bad + 1) / (rows + 2), (other + 1) / (others + 2)
    half = z_score(1 - 2 * policy.alpha) * sqrt(one * (1 - one) / (rows + 2) + two * (1 - two) / (others + 2))
    limit, aim, low, high = policy.limit(measure, name), policy.aim(measure, stage, name), one - two - half, one - two + half
    told: Told = "beyond" if low > limit else "within" if high <= aim else "not enough data"
    enough = rows >= policy.min_rows
    return Verdict(NEW, measure, name, rows, one - two, low, high, limit, aim, told if enough else "not enough data",
                   name == EVERYONE and policy.asked(measure, stage, rows), enough)  # fmt: skip


def _middle(values: Iterator[int] | Any) -> float:
    return float(np.median(list(values)))
