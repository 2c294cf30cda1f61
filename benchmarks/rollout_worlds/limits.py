"""One limit, two arms of half the traffic each: how often it is called proven although it is not, and how many units a proof takes.

The same made-up units for every way of looking. Portside and the naive test look after every 100 units, ville after each; the z-test of a
fixed horizon looks once, at the number of units at which it has a power of 80%.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from serving.environments import python_of

from portside.sdk.core.sequential import arms, evidence_below, paired
from portside.sdk.core.statistics import clopper_pearson, z_score

ALPHA, POWER, LOOK = 0.05, 0.8, 100
ONE_SIDED = z_score(1 - 2 * ALPHA)
POINTS = 60
"""Of a curve."""


class World(NamedTuple):
    """A rate of bad answers of the champion, how much worse the challenger may be, how much worse it is, and how many units come."""

    name: str
    base: float
    limit: float
    worse: float
    units: int

    @property
    def horizon(self) -> int:
        """Units at which a z-test has its power, where the arms are the same."""
        spread = 4 * self.base * (1 - self.base)
        return int(np.ceil((ONE_SIDED + z_score(2 * POWER - 1)) ** 2 * spread / self.limit**2))


WORLDS = (
    World("errors 0.5%, limit 1 point, the same", 0.005, 0.01, 0.0, 12_000),
    World("errors 0.5%, limit 1 point, at the limit", 0.005, 0.01, 0.01, 12_000),
    World("wrong 10%, limit 2 points, the same", 0.1, 0.02, 0.0, 25_000),
    World("wrong 10%, limit 2 points, at the limit", 0.1, 0.02, 0.02, 25_000),
)
Units = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def limits(runs: int, bets: int, work: Path) -> Iterator[dict[str, Any]]:
    """One row per world and way. runs: of each world; bets: of them for ville's betting, which takes seconds each."""
    for number, world in enumerate(WORLDS):
        treated, bad = drawn(world, runs, np.random.default_rng(number))
        ways = {"portside": portside(world, treated, bad), "z-test, looking every 100": peeking(world, treated, bad),
                "z-test, once": once(world, treated, bad), **ville(world, (treated, bad), bets, work),
                "portside, in shadow": shadow(world, runs, np.random.default_rng(100 + number))}  # fmt: skip
        for way, first in ways.items():
            yield {"part": "limits", "world": world.name, "horizon": world.horizon, "way": way, **summed(world, first)}


def drawn(world: World, runs: int, dice: np.random.Generator) -> Units:
    """(runs, units) given the challenger; (runs, units) bad."""
    treated = dice.random((runs, world.units), np.float32) < 0.5
    rates = np.where(treated, np.float32(world.base + world.worse), np.float32(world.base))
    return treated, dice.random((runs, world.units), np.float32) < rates


def portside(world: World, treated: NDArray[np.bool_], bad: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(runs,) units at the first look that proved the limit to hold; infinite: none did."""
    hits, rows, other, others = _counts(treated, bad)
    return _first(evidence_below([arms(0.5, hits, rows, other, others)], world.limit) >= log(1 / ALPHA))


def shadow(world: World, runs: int, dice: np.random.Generator) -> NDArray[np.float64]:
    """As `portside`, where both answer every unit, and each is wrong alone on a fifth of the units on which the champion is wrong."""
    alone = world.base / 5
    looks = dice.multinomial(LOOK, [alone + world.worse, alone, 1 - 2 * alone - world.worse], (runs, world.units // LOOK)).cumsum(axis=1)
    return _first(evidence_below([paired(looks[..., 0], looks[..., 1], looks.sum(axis=2))], world.limit) >= log(1 / ALPHA))


def peeking(world: World, treated: NDArray[np.bool_], bad: NDArray[np.bool_]) -> NDArray[np.float64]:
    """As `portside`, by a one-sided z-test at every look."""
    return _first(_z(world, *_counts(treated, bad)))


def once(world: World, treated: NDArray[np.bool_], bad: NDArray[np.bool_]) -> NDArray[np.float64]:
    """As `portside`, by the z-test at its horizon alone."""
    end = world.horizon
    seen = tuple(np.sum(held[:, :end], axis=1, keepdims=True) for held in (bad & treated, treated, bad & ~treated, ~treated))
    return np.where(_z(world, *seen)[:, 0], float(end), np.inf)


def ville(world: World, units: Units, bets: int, work: Path) -> dict[str, NDArray[np.float64]]:
    """As `portside`, by two tests of the package ville, in an environment of its own; nothing where that cannot be made."""
    try:
        python = python_of("ville", work)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"ville is left out, its environment could not be made: {error}", file=sys.stderr)
        return {}
    job, data, out = work / "job.json", work / "units.npz", work / "ville.json"
    np.savez(data, treated=np.packbits(units[0], axis=1), bad=np.packbits(units[1], axis=1))
    asked = {"units": str(data), "rows": world.units, "limit": world.limit, "alpha": 2 * ALPHA, "bets": bets, "out": str(out)}
    job.write_text(json.dumps(asked))
    subprocess.run([str(python), str(Path(__file__).with_name("ville_runner.py")), str(job)], check=True, stdout=sys.stderr)
    found = json.loads(out.read_text())
    return {f"ville {way}": np.array([np.inf if one is None else one for one in first]) for way, first in found.items()}


def summed(world: World, first: NDArray[np.float64]) -> dict[str, Any]:
    """What the first looks that proved something say: how often any did, by when, and the curve."""
    proven = clopper_pearson(int(np.isfinite(first).sum()), len(first))
    ends = np.linspace(0, world.units, POINTS + 1)[1:]
    return {"runs": len(first), "proven": proven.to_dict(), "at_horizon": float((first <= world.horizon).mean()),
            "median": _quantile(first, 0.5), "four_fifths": _quantile(first, POWER), "units": world.units,
            "curve": [round(float((first <= end).mean()), 4) for end in ends]}  # fmt: skip


def _quantile(first: NDArray[np.float64], share: float) -> float | None:
    held = float(np.sort(first)[int(np.ceil(share * len(first))) - 1])
    return held if np.isfinite(held) else None


def _counts(treated: NDArray[np.bool_], bad: NDArray[np.bool_]) -> tuple[NDArray[Any], ...]:
    """Bad and all of the challenger, bad and all of the champion: (runs, looks) each, so far."""
    kinds = (bad & treated, treated, bad & ~treated, ~treated)
    return tuple(held.reshape(len(held), -1, LOOK).sum(axis=2).cumsum(axis=1) for held in kinds)


def _z(world: World, hits: NDArray[Any], rows: NDArray[Any], other: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    one, two = (hits + 1) / (rows + 2), (other + 1) / (others + 2)  # of rare things too (Agresti and Caffo 2000)
    spread = np.sqrt(one * (1 - one) / (rows + 2) + two * (1 - two) / (others + 2))
    return one - two + ONE_SIDED * spread < world.limit


def _first(proven: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(proven.any(axis=1), (proven.argmax(axis=1) + 1.0) * LOOK, np.inf)
