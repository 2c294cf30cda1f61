"""What a rollout would have seen, made up."""

from __future__ import annotations

from dataclasses import replace

from portside.cloud.rollout import State, start
from portside.cloud.rollout_evidence import EVERYONE, Assigned, Cell, Observed, Tally
from portside.cloud.rollout_policy import Policy

NEW, OTHER, MINUTE, DAY = "sha256:ab", "sha256:cd", 60_000, 86_400_000


def seen(policy: Policy, how: str, minutes: float = 10_000, stages=("shadow", "canary", "switched")) -> Observed:
    """What a rollout would have seen of everything: "good", "worse" (proven), "looks worse", "few" or "nothing"."""
    rows = {"good": 200_000, "worse": 4000, "looks worse": 250, "few": 150, "nothing": 0}[how]
    bad, other = {"worse": (rows // 4, 0), "looks worse": (4, 0)}.get(how, (0, 0))
    cells: dict[Cell, Tally] = {}
    for one in policy.challengers:
        for measure in policy.limits:
            cells[Cell("shadow", 0, one, measure)] = Tally(rows, bad, rows, other, 0)
            cells[Cell("switched", 0, one, measure)] = Tally(rows, bad)
            for number, share in enumerate(policy.steps):
                name = policy.first if policy.first and number == 0 else EVERYONE
                cells[Cell("canary", number, one, measure, name)] = Tally(rows, bad, int(rows * (1 - share) / share), other, 0, share)
    kept = {cell: held for cell, held in cells.items() if cell.stage in stages and rows}
    drawn = {number: Assigned(share, rows, int(rows * (1 - share) / share)) for number, share in enumerate(policy.steps)}
    return Observed(int(minutes * MINUTE), kept, drawn)


def at(policy: Policy, phase: str, number: int = 0, **more) -> State:
    return replace(start(policy, "r1", 0), phase=phase, step=number, **more)
