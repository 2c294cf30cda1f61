"""Where the time of answers goes, as histograms that cost a request a microsecond together."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

LIMITS_S = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
STAGES = ("encode", "queue", "model", "decode")
"""Reading and checking the input; waiting for the model; the model, or whoever else answered; naming the categories of the output."""


class Stages:
    """One histogram per stage."""

    def __init__(self) -> None:
        self._counts = [[0] * (len(LIMITS_S) + 1) for _ in STAGES]
        self._seconds = [0.0] * len(STAGES)

    def passed(self, *seconds: float) -> None:
        """An answer took so long in each of `STAGES`; one that it did not go through takes no time, and is not counted."""
        for place, spent in enumerate(seconds):
            if spent:
                self._counts[place][bisect_left(LIMITS_S, spent)] += 1
                self._seconds[place] += spent

    def lines(self) -> Iterable[str]:
        """As Prometheus text."""
        yield "# HELP portside_stage_seconds Time of answers by stage."
        yield "# TYPE portside_stage_seconds histogram"
        for stage, counts, seconds in zip(STAGES, self._counts, self._seconds, strict=True):
            total = 0
            for limit, count in zip((*LIMITS_S, "+Inf"), counts, strict=True):
                total += count
                yield f'portside_stage_seconds_bucket{{stage="{stage}",le="{limit if isinstance(limit, str) else f"{limit:g}"}"}} {total}'
            yield f'portside_stage_seconds_sum{{stage="{stage}"}} {seconds:.6f}'
            yield f'portside_stage_seconds_count{{stage="{stage}"}} {total}'
