"""Detectors of change, each as one function from a stream to its alarms. Settings stand here and are the same for every stream.

Portside learns on the early rows and looks every 50 rows; the budget is 5% for any false alarm in 1,000 looks. river's and frouros'
detectors watch one number each, as many of them as there are fields; they run with their own defaults, and again with the level that
gives the same budget over their looks and fields ("corrected"). Dummies look every 50 rows as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import drift
from river.drift import binary

from portside.sdk.core.drift.evidence import Evidence
from portside.sdk.core.drift.watch import Watch, WatchOptions

from .sources import Stream

ROWS, LOOKS, RATE = 50, 1_000, 0.05
WATCH = WatchOptions(rate=RATE, looks=LOOKS, rows=ROWS)
MARGIN = 0.02
"""So many more errors than the early rows' upper bound are tolerated."""
RANDOM_SHARE = 0.02


@dataclass(frozen=True)
class Alarm:
    """row: after how many rows of the stream; what: it says, where it says anything."""

    row: int
    what: str = ""


Detector = Callable[[Stream], list[Alarm]]


def always(stream: Stream) -> list[Alarm]:
    """Alarms at every look."""
    return [Alarm(row) for row in range(stream.early + ROWS, len(stream.wrong) + 1, ROWS)]


def never(_: Stream) -> list[Alarm]:
    """Never alarms."""
    return []


def at_random(stream: Stream) -> list[Alarm]:
    """Alarms at one look in fifty."""
    dice = np.random.default_rng(0)
    return [alarm for alarm in always(stream) if dice.random() < RANDOM_SHARE]


def portside_inputs(stream: Stream) -> list[Alarm]:
    """What is compared: every field's distribution. After an alarm, what it showed is accepted, and only more of it alarms again."""
    windows, early = stream.windows(ROWS), stream.early // ROWS
    watch, alarms = Watch.learn(windows[:early], WATCH), list[Alarm]()
    for place, window in enumerate(windows[early:], early + 1):
        watch, looks = watch.see(window)
        found = [look for look in looks if look.report.verdict == "drift"]
        for look in found:
            watch = watch.accept(look)
        if found:
            named = [one.what for look in found for one in look.suspicions]
            alarms.append(Alarm(place * ROWS, named[0] if named else found[0].report.what))
    return alarms


def portside_errors(stream: Stream) -> list[Alarm]:
    """Evidence that errors are more frequent than on the early rows."""
    early = stream.wrong[: stream.early]
    start = Evidence.against(int(early.sum()), len(early), margin=MARGIN, looks=LOOKS, rate=RATE)
    state, alarms = start, list[Alarm]()
    for row in range(stream.early, len(stream.wrong) - ROWS + 1, ROWS):
        state = state.update(int(stream.wrong[row : row + ROWS].sum()), ROWS)
        if state.alarm:
            alarms.append(Alarm(row + ROWS, f"more than {start.limit:.1%} of answers are wrong"))
            state = state.reset()
    return alarms


def each_field(make: Callable[[int], Any]) -> Detector:
    """One of river's detectors on every number. make: gets the number of fields."""

    def alarms(stream: Stream) -> list[Alarm]:
        numbers = stream.numbers()
        held = [make(numbers.shape[1]) for _ in range(numbers.shape[1])]
        return _fed(held, numbers, stream.early)

    return alarms


def errors(make: Callable[[], Any]) -> Detector:
    """One of river's detectors on whether the answer was wrong."""

    def alarms(stream: Stream) -> list[Alarm]:
        return _fed([make()], stream.wrong[:, None].astype(np.float64), stream.early)

    return alarms


def _fed(detectors: Sequence[Any], values: NDArray[np.float64], early: int) -> list[Alarm]:
    found: list[Alarm] = []
    for place, row in enumerate(values.tolist(), 1):
        drifted = False
        for detector, value in zip(detectors, row, strict=True):
            detector.update(value)
            drifted = drifted or bool(detector.drift_detected)
        if drifted and place > early:
            found.append(Alarm(place))
    return found


DUMMIES: dict[str, Detector] = {"always": always, "never": never, "random": at_random}
INPUTS: dict[str, Detector] = {
    "portside": portside_inputs, **DUMMIES,
    "river ADWIN": each_field(lambda _: drift.ADWIN()),
    "river ADWIN, corrected": each_field(lambda fields: drift.ADWIN(delta=RATE / (LOOKS * ROWS / 32) / fields)),
    "river KSWIN": each_field(lambda _: drift.KSWIN(seed=0)),
    "river KSWIN, corrected": each_field(lambda fields: drift.KSWIN(alpha=RATE / (LOOKS * ROWS) / fields, seed=0)),
    "river Page-Hinkley": each_field(lambda _: drift.PageHinkley()),
}  # fmt: skip
ERRORS: dict[str, Detector] = {
    "portside": portside_errors, **DUMMIES,
    "river ADWIN": errors(drift.ADWIN),
    "river ADWIN, corrected": errors(lambda: drift.ADWIN(delta=RATE / (LOOKS * ROWS / 32))),
    "river DDM": errors(binary.DDM), "river HDDM-A": errors(binary.HDDMA), "river HDDM-W": errors(binary.HDDMW),
    "river Page-Hinkley": errors(drift.PageHinkley),
}  # fmt: skip
