"""A rollout beside the day of weather: units of five hours, counted and decided as a controller does; for tests and for pictures."""

from __future__ import annotations

import random

from portside.cloud.deployment.file import read
from portside.cloud.monitoring.upsert import add
from portside.cloud.records.database import Database
from portside.cloud.rollout import decide, start, step
from portside.cloud.rollout_evidence import Cell, Tally
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollouts.counting import observed, total
from portside.cloud.rollouts.storing import begin, move_on
from portside.cloud.rollouts.tables import COUNTS, prepare

CHAMPION, CHALLENGER, OTHER = (f"sha256:{digits * 8}" for digits in ("4f1c09aa", "c2d87e01", "77aa10fe"))
ABOUT = {
    "champion": {"digest": CHAMPION, "name": "rain:3"},
    "challengers": [{"digest": CHALLENGER, "name": "rain:4"}, {"digest": OTHER, "name": "rain:5"}], "author": "ana", "late_ms": 50.0,
    "output": "rain", "categories": ["dry", "rain"], "fields": ["sky"], "floor": None,
}  # fmt: skip
POLICY = Policy(
    (CHALLENGER,), limits={"errors": 0.02, "late": 0.02, "disagreement": 0.1, "accuracy": 0.04}, steps=(0.05, 0.2, 0.5), slices=("sky",),
    approve=("promote",), min_rows=100, watch_minutes=45.0,
)  # fmt: skip
SHADOW = Policy((CHALLENGER, OTHER), mode="shadow", limits=POLICY.limits, slices=("sky",), min_rows=100)
"""Two beside each other; the second is wrong more often."""
MINUTE = 60_000
SUMS = ("rows", "bad", "champion_rows", "champion_bad", "both")
SHARES = {"fog": 0.2, "haze": 0.3, "clear": 0.5}


def tried(deployment, now_ms, *, broken="", looks=60, every_ms=5 * MINUTE, rows=400, rollout="r1", policy=POLICY):
    """Begin a rollout `looks` looks ago and let it go its way; the rollout as it stands.

    broken: a slice in which the challenger fails once it is given to people.
    """
    chance, held_file = random.Random(11), read(deployment)
    with Database.open(held_file.records.place(held_file.folder)) as database:
        prepare(database)
        moment = now_ms - looks * every_ms
        with database.write() as connection:
            held = begin(connection, held_file.name, policy, start(policy, rollout, moment), ABOUT, "ana", "Begun by hand.", moment)
            passed = step(policy, held.state, "gates passed", moment, "all gates passed")
            held = move_on(connection, held, passed, moment, moment, author="ana")
        for _ in range(looks):
            moment += every_ms
            if held.closed:
                break
            with database.write() as connection:
                for cell, tally in units(held.state, policy, chance, rows, broken):
                    add(connection, COUNTS, {"rollout": rollout, **cell._asdict()}, {name: getattr(tally, name) for name in SUMS})
                seen = observed(connection, rollout, policy, moment)
                held = move_on(connection, held, decide(policy, held.state, seen), moment, moment, units=total(seen))
    return held


def units(state, policy, chance, rows, broken):
    """What one look counts: cells with tallies of many units."""
    found = []
    for sky, share in SHARES.items():
        count = round(rows * share)
        fails = 0.12 if sky == broken and state.phase != "shadow" else 0.002
        bad = {"errors": fails, "late": 0.004, "disagreement": 0.04, "accuracy": 0.14}
        for name, rate in bad.items():
            if name in policy.measures(state.phase if state.phase != "promoted" else "switched"):
                few = count // 4 if name == "accuracy" else count
                before = 0.0 if name == "disagreement" else 0.16 if name == "accuracy" else 0.004
                for one in state.challengers:
                    tally = _tally(state, policy, chance, few, rate + 0.08 * (one == OTHER and name == "accuracy"), before)
                    found += [(Cell(state.phase, state.step, one, name, part), tally) for part in ("", f"sky={sky}")]
    return found


def _tally(state, policy, chance, count, rate, champion):
    draw = lambda many, odds: sum(chance.random() < odds for _ in range(many))  # noqa: E731
    if state.phase == "shadow":
        both = draw(count, min(rate, champion) * 0.8)
        return Tally(count, both + draw(count, max(rate - champion, 0) + 0.001), count, both + draw(count, 0.002), both)
    if state.phase == "switched":
        return Tally(count, draw(count, rate))
    share = policy.steps[state.step]
    given = draw(count, share)
    return Tally(given, draw(given, rate), count - given, draw(count - given, champion), 0, share)
