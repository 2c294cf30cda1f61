"""Made streams, where the truth is known: months in which nothing changes, and changes of every size and kind.

Six fields: a normal one, a skewed one, one measured in tenths, a category of three, one of thirty, and one of which a tenth is missing;
and a category "site", of which one site has a fifth of the rows. 3,000 early rows; a month is 30 days with a look at 50 rows each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import drift

from portside.runtimes.hardware import cores
from portside.sdk.core.drift.evidence import Evidence
from portside.sdk.core.drift.watch import Watch, WatchOptions
from portside.sdk.core.profile import Profile, Summary

from .detectors import RANDOM_SHARE, RATE, ROWS

MONTH, EARLY = 30, 3_000
SITES = np.array(["north", "south", "west", "small"], object)
SITE_SHARES = [0.4, 0.2, 0.2, 0.2]
NOTHING, LEARNED, ON_ERRORS = "portside, nothing tolerated", "portside", "portside on errors at the limit"
SMALL = 0.1
"""The error rate of calm months, which is also the limit: the worst that is still all right."""
Columns = dict[str, NDArray[Any]]
Change = Callable[[Columns, NDArray[np.float64], np.random.Generator], None]


def drawn(rows: int, random: np.random.Generator) -> Columns:
    """Calm rows."""
    gappy = random.normal(size=rows)
    gappy[random.random(rows) < 0.1] = np.nan
    return {
        "normal": random.normal(size=rows), "skewed": random.lognormal(0, 1, rows), "tenths": np.round(random.normal(20, 3, rows), 1),
        "three": np.array(["a", "b", "c"], object)[random.choice(3, rows, p=[0.6, 0.3, 0.1])],
        "thirty": np.array([f"c{place}" for place in range(30)], object)[random.choice(30, rows)],
        "gappy": gappy, "site": SITES[random.choice(4, rows, p=SITE_SHARES)],
    }  # fmt: skip


def profiles(columns: Columns, slices: bool = False) -> list[Profile]:
    """Windows of `ROWS` rows; with slices, every field of every site stands beside the whole."""
    rows = len(columns["normal"])
    return [_profile({name: held[at : at + ROWS] for name, held in columns.items()}, slices) for at in range(0, rows - ROWS + 1, ROWS)]


def _profile(columns: Columns, slices: bool) -> Profile:
    found = {name: Summary.of(values) for name, values in columns.items()}
    for site in SITES if slices else ():
        chosen = columns["site"] == site
        found |= {f"{name} @ site={site}": Summary.of(values[chosen]) for name, values in columns.items() if name != "site"}
    return Profile(found)


def calm(months: int) -> Iterator[dict[str, Any]]:
    """For each way of watching, the share of months with any false alarm; each month has new early rows."""
    with ProcessPoolExecutor(cores()) as pool:
        alarmed = sum(pool.map(month, range(months), chunksize=5), Counter[str]())
    for name in (NOTHING, LEARNED, ON_ERRORS, "random", "river ADWIN"):
        stated = RATE if name.startswith("portside") else None
        yield {"part": "calm", "detector": name, "months": months, "alarmed": alarmed[name], "stated": stated}


def month(seed: int) -> Counter[str]:
    """Which ways of watching alarm in one calm month."""
    random = np.random.default_rng(seed)
    early, now = profiles(drawn(EARLY, random)), drawn(MONTH * ROWS, random)
    windows = profiles(now)
    strict, usual = (WatchOptions(RATE, MONTH, ROWS, effect=effect) for effect in (0.0, 0.05))
    return Counter({
        NOTHING: _alarms(Watch(Profile.merge_all(early), strict), windows), LEARNED: _alarms(Watch.learn(early, usual), windows),
        ON_ERRORS: _errors_alarm(random), "random": bool((random.random(MONTH) < RANDOM_SHARE).any()), "river ADWIN": _adwin(now),
    })  # fmt: skip


def power(repeats: int) -> Iterator[dict[str, Any]]:
    """For each change, how often and after how many rows it is found; 4,000 rows follow it."""
    early = drawn(EARLY, np.random.default_rng(10**6))
    for name, change in CHANGES.items():
        for slices in (False, True) if "site" in name else (False,):
            watch = Watch(Profile.merge_all(profiles(early, slices)), WatchOptions(RATE, 100, ROWS, least=20))
            found = [_found(watch, change, seed, slices) for seed in range(repeats)]
            reached = [row for row in found if row is not None]
            yield {"part": "power", "change": name, "watched": "with slices" if slices else "whole", "repeats": repeats,
                   **{f"within_{rows}": sum(row <= rows for row in reached) / repeats for rows in (100, 500, 1000, 4000)},
                   "median_rows": median(reached) if len(reached) * 2 >= repeats else None}  # fmt: skip


def _alarms(watch: Watch, windows: list[Profile]) -> bool:
    return any(look.report.verdict == "drift" for look in watch.see_all(windows)[1])


def _errors_alarm(random: np.random.Generator) -> bool:
    state = Evidence(SMALL, looks=MONTH, rate=RATE)
    for count in random.binomial(ROWS, SMALL, MONTH).tolist():
        state = state.update(count, ROWS)
    return state.alarm


def _adwin(columns: Columns) -> bool:
    for name in ("normal", "skewed", "tenths"):
        detector = drift.ADWIN()
        for value in columns[name].tolist():
            detector.update(value)
            if detector.drift_detected:
                return True
    return False


def _found(watch: Watch, change: Change, seed: int, slices: bool) -> int | None:
    random = np.random.default_rng(seed)
    columns, along = drawn(4_000, random), np.arange(4_000) / 2_000
    change(columns, np.minimum(along, 1.0), random)
    for place, window in enumerate(profiles(columns, slices), 1):
        watch, looks = watch.see(window)
        if any(look.report.verdict == "drift" for look in looks):
            return place * ROWS
    return None


def _moved(by: float, only: str | None = None, gradual: bool = False) -> Change:
    """One field moves by so many standard deviations, of all rows or of one site; gradual: over 2,000 rows."""

    def change(columns: Columns, along: NDArray[np.float64], _: np.random.Generator) -> None:
        rows = np.ones(len(along), bool) if only is None else columns["site"] == only
        columns["normal"] = columns["normal"] + by * np.where(rows, along if gradual else 1.0, 0.0)

    return change


def _wider(columns: Columns, _: NDArray[np.float64], __: np.random.Generator) -> None:
    columns["normal"] = columns["normal"] * 2


def _shares(columns: Columns, _: NDArray[np.float64], random: np.random.Generator) -> None:
    moved = (columns["three"] == "a") & (random.random(len(columns["three"])) < 0.25)
    columns["three"] = np.where(moved, "c", columns["three"])


def _gone(columns: Columns, _: NDArray[np.float64], random: np.random.Generator) -> None:
    columns["gappy"] = np.where(random.random(len(columns["gappy"])) < 0.15, np.nan, columns["gappy"])


def _thousand(columns: Columns, _: NDArray[np.float64], __: np.random.Generator) -> None:
    columns["skewed"] = columns["skewed"] * 1000


CHANGES: dict[str, Change] = {
    "mean + 0.1 sd": _moved(0.1), "mean + 0.25 sd": _moved(0.25), "mean + 0.5 sd": _moved(0.5), "mean + 1 sd": _moved(1.0),
    "mean + 1 sd, gradual over 2,000 rows": _moved(1.0, gradual=True), "spread x 2": _wider, "15% of rows to another category": _shares,
    "missing 10% -> 23%": _gone, "unit x 1000": _thousand, "mean + 1 sd at one site of 20%": _moved(1.0, "small"),
    "mean + 2 sd at one site of 20%": _moved(2.0, "small"),
}  # fmt: skip
