"""The automation dial: whether its bound holds, what it automates, what that costs; on solar cells, in made-up worlds, and per request.

Solar cells (2,624 photographs, EfficientNet-Lite0 features, a linear head): people do not take part. True labels, of which 3% are turned
round at random, stand in for them, to fit on and where a person decides; error rates are of the truth. A head is trained on 60% of the
modules (20 heads, each on others); half of the other cells is labelled, the other half comes, in 200 random divisions. "holds" is the
share of divisions in which at most the target of the automated cells were wrong (or none was automated), with its exact 95% interval;
nominal is 90%. "pool" draws the labelled cells with replacement from all that come, so that the true rate is known exactly: that is what
is promised; of the "rows" that come only some 400 are automated, and their own share swings around the true rate. "modules" keeps
neighbouring files together and "mono to poly" labels one kind of cell and meets the other: rows to come are not like those labelled, and
nothing is promised.

    python benchmarks/bench_automation.py [--short] [--plot docs/automation-cells.svg] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import automation_worlds as worlds
import numpy as np
from automation_path import path

from portside.cloud.automating.costs import Costs, price
from portside.cloud.automating.evidence import betting, binomial, hoeffding_bentkus
from portside.cloud.automating.fitting import Point, fit
from portside.cloud.automating.plot import Mark, plot
from portside.runtimes.timing import table
from portside.sdk.core.statistics import clopper_pearson

DELTA, CHECKS, COSTS = 0.1, 0.05, Costs(review_s=10.0, people_error=worlds.PEOPLE)
SPLITS, DRAWS = 200, 300
HOWS: tuple[worlds.How, ...] = ("rows", "pool", "modules", "mono to poly")
NEVER, ALWAYS = 2.0, 0.0
"""Thresholds of all people and of all model."""


class Way(NamedTuple):
    """How a threshold is chosen, and the target it is held against; None: none."""

    name: str
    choose: Callable[[worlds.Part], float | None]
    target: float | None


def measure(short: bool = False) -> list[dict[str, Any]]:
    """One row per division and way, per world, per p-value, per engine; `short`: a tenth of the draws."""
    splits, draws = (SPLITS // 10, DRAWS // 10) if short else (SPLITS, DRAWS)
    rows = [row for how in HOWS for row in _cells(how, splits)]
    rows += [_world(world, draws) for world in worlds.WORLDS]
    rows += [_power(records, draws // 5) for records in (5000, 10_000, 20_000, 40_000)]
    return [*rows, *path(short)]


def _fitted(target: float, people_error: float = worlds.PEOPLE) -> Callable[[worlds.Part], float | None]:
    def choose(labelled: worlds.Part) -> float | None:
        return fit(labelled.scores, labelled.agrees, target_error=target, delta=DELTA, people_error=people_error, curve=False).value

    return choose


WAYS = (
    Way("all people", lambda _: NEVER, None), Way("all model", lambda _: ALWAYS, None), Way("fixed 0.9", lambda _: 0.9, 0.05),
    Way("fitted for 2%", _fitted(0.02), 0.02), Way("fitted for 5%", _fitted(0.05), 0.05), Way("fitted for 10%", _fitted(0.1), 0.1),
    Way("5%, people said to be right", _fitted(0.05, 0.0), 0.05),
)  # fmt: skip


def _cells(how: worlds.How, splits: int) -> Iterator[dict[str, Any]]:
    """Every way over the same divisions."""
    seen: dict[str, list[tuple[int, int, int, float]]] = {way.name: [] for way in WAYS}
    for seed in range(splits):
        split = worlds.cells(seed, how)
        for way in WAYS:
            threshold = way.choose(split.labelled)
            chosen = split.come.scores >= (NEVER if threshold is None else threshold)
            wrong = int((~split.come.right & chosen).sum())
            seen[way.name].append((int(chosen.sum()), wrong, len(split.come), NEVER if threshold is None else threshold))
    for way in WAYS:
        yield {"kind": "cells", "how": how, "way": way.name, "target": way.target, **_summary(seen[way.name], way.target)}


def _summary(seen: Sequence[tuple[int, int, int, float]], target: float | None) -> dict[str, Any]:
    automated, wrong, come, thresholds = (np.array(column, float) for column in zip(*seen, strict=True))
    rates = np.divide(wrong, automated, out=np.zeros_like(wrong), where=automated > 0)
    some, share = automated > 0, float((automated / come).mean())
    error = float(rates[some].mean()) if some.any() else None
    cost = price(Point(0.0, share, error or 0.0, 1.0, 0, 1.0), COSTS, CHECKS if share else 0.0)
    in_all = float(((wrong + (come - automated) * worlds.PEOPLE) / come).mean())
    held = None if target is None else clopper_pearson(int((rates <= target).sum()), len(rates))
    return {
        "splits": len(rates), "share": share, "share_low": float(np.quantile(automated / come, 0.1)),
        "share_high": float(np.quantile(automated / come, 0.9)), "some": float(some.mean()), "error": error,
        "worst": float(rates.max()), "threshold": float(np.median(thresholds[some])) if some.any() else None,
        "holds": None if held is None else held.to_dict(), "wrong_in_all": in_all, "person_hours": cost.person_hours,
    }  # fmt: skip


def _world(world: worlds.World, draws: int) -> dict[str, Any]:
    """How often the true rate is above the target, and how much is automated of what could be."""
    values = [fit(*world.draw(seed), target_error=world.target, delta=DELTA, curve=False).value for seed in range(draws)]
    over = sum(value is not None and world.risk(value) > world.target for value in values)
    best = 1 - (world.target * (world.power + 1)) ** (1 / world.power)
    share = float(np.mean([0.0 if value is None else 1 - value for value in values]))
    return {"kind": "world", "what": world.name, "target": world.target, "draws": draws, "labelled": len(world.draw(0)[0]),
            "over": clopper_pearson(over, draws).to_dict(), "some": float(np.mean([value is not None for value in values])),
            "share": share, "possible": 1 - best}  # fmt: skip


def _power(records: int, draws: int) -> dict[str, Any]:
    """How often each p-value proves 2% where 0.95% are wrong: labels of rows that were all looked at beside rows of which 5% were."""
    found = dict.fromkeys(("betting", "hoeffding_bentkus", "thinned"), 0)
    for place, (wrong, weights) in enumerate(worlds.deployments(records, draws)):
        kept = np.random.default_rng(place).random(len(wrong)) < weights / weights.max()
        found["betting"] += betting(wrong, weights, 0.02, DELTA) <= DELTA
        found["hoeffding_bentkus"] += hoeffding_bentkus(wrong, weights, 0.02) <= DELTA
        found["thinned"] += binomial(int(wrong[kept].sum()), int(kept.sum()), 0.02) <= DELTA
    return {"kind": "power", "records": records, "draws": draws, **{name: count / draws for name, count in found.items()}}


def show(rows: list[dict[str, Any]]) -> str:
    """Four tables."""
    parts = []
    for how in HOWS:
        own = [row for row in rows if row["kind"] == "cells" and row["how"] == how]
        parts.append(f"solar cells, {how}: {own[0]['splits']} divisions; people are true labels with 3% turned round\n"
                     + table([_HEAD, *map(_cell_line, own)]))  # fmt: skip
    made_up = [["made-up world", "target", "labelled", "over the target", "(95%)", "allowed", "automates", "of all", "possible"],
               *[_world_line(row) for row in rows if row["kind"] == "world"]]  # fmt: skip
    power = [["records", "bet", "Hoeffding-Bentkus", "thinned to 5%, binomial"],
             *[[str(row["records"]), *(f"{row[name]:.0%}" for name in ("betting", "hoeffding_bentkus", "thinned"))]
               for row in rows if row["kind"] == "power"]]  # fmt: skip
    paths = [["request, in process", "us", "more than without", "(lowest, highest)", "32 at once, us each"],
             *[_path_line(row) for row in rows if row["kind"] == "request"]]  # fmt: skip
    alone = [["routing alone", "us", "us a row"],
             *[[row["what"], f"{row['us']:.2f}", f"{row['us_of_a_row']:.2f}"] for row in rows if row["kind"] == "routing"]]  # fmt: skip
    proofs = "how often 2% is proven where 0.95% are wrong, three quarters of the rows being checked at 5%"
    return "\n\n".join([*parts, table(made_up), f"{proofs}\n{table(power)}", table(paths), table(alone)])


_HEAD = ["way", "target", "automated", "(10-90%)", "ever", "wrong, of those", "worst", "holds", "(95%)", "wrong in all", "h/1000"]


def _cell_line(row: dict[str, Any]) -> list[str]:
    held, error = row["holds"], row["error"]
    holds = ["", ""] if held is None else [f"{held['value']:.1%}", f"({held['low']:.1%}-{held['high']:.1%})"]
    return [row["way"], "" if row["target"] is None else f"{row['target']:.0%}", f"{row['share']:.1%}",
            f"({row['share_low']:.0%}-{row['share_high']:.0%})", f"{row['some']:.0%}", "" if error is None else f"{error:.2%}",
            f"{row['worst']:.1%}", *holds, f"{row['wrong_in_all']:.2%}", f"{row['person_hours']:.2f}"]  # fmt: skip


def _world_line(row: dict[str, Any]) -> list[str]:
    over = row["over"]
    return [row["what"], f"{row['target']:.0%}", str(row["labelled"]), f"{over['value']:.1%}", f"({over['low']:.1%}-{over['high']:.1%})",
            f"{DELTA:.0%}", f"{row['some']:.0%}", f"{row['share']:.1%}", f"{row['possible']:.1%}"]  # fmt: skip


def _path_line(row: dict[str, Any]) -> list[str]:
    more = f"{row['more_us']:+.2f}" if "more_us" in row else ""
    spread = f"({row['more_low']:+.1f}, {row['more_high']:+.1f})" if "more_us" in row else ""
    return [row["what"], f"{row['us']:.1f}", more, spread, f"{row['us_of_32_at_once']:.0f}" if "us_of_32_at_once" in row else ""]


def drawn() -> str:
    """The trade-off on all cells that did not train the head of the first division, labelled by people who err."""
    held = worlds.typical()
    found = fit(held.scores, held.agrees, target_error=0.05, delta=DELTA, people_error=worlds.PEOPLE)
    sure = held.scores >= 0.9
    marks = [Mark("all people", 0.0, worlds.PEOPLE), Mark("all model", 1.0, float((~held.right).mean())),
             Mark("fixed 0.9", float(sure.mean()), float((~held.right[sure]).mean()))]  # fmt: skip
    return plot(found, COSTS, CHECKS, marks)


def main() -> None:
    """By itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a tenth of the draws")
    parser.add_argument("--plot", type=Path, help="where the plot goes; docs/automation-cells.svg is the one of the docs")
    parser.add_argument("--json", type=Path, help="where the rows go")
    asked = parser.parse_args()
    rows = measure(asked.short)
    print(show(rows))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n")
    if asked.plot:
        asked.plot.write_text(drawn())


if __name__ == "__main__":
    sys.exit(main())
