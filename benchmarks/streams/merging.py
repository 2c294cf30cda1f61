"""10,000 summaries of 50 fields into one: a week of minutes, or a year of hours, of one deployment."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from portside.sdk.core.profile import Profile

FIELDS, NAMED = 50, 10
"""Ten of the fifty are categories."""


def merging(short: bool = False) -> Iterator[dict[str, Any]]:
    """Seconds of CPU, best of three, for summaries of different sizes as they are read: each has values of its own."""
    summaries = 1_000 if short else 10_000
    for rows in (10, 100, 1_000):
        written = [_profile(rows, seed).to_bytes() for seed in range(20)]
        began = time.process_time()
        different = [json.loads(one) for one in written]
        parsed = (time.process_time() - began) / len(written)
        began = time.process_time()
        held = [Profile.from_dict(different[place % len(different)]) for place in range(summaries)]
        read_ms = (parsed + (time.process_time() - began) / summaries) * 1e3
        taken, merged = list[float](), Profile()
        gc.collect()
        gc.freeze()
        for _ in range(3):
            began = time.process_time()
            merged = Profile.merge_all(held)
            taken.append(time.process_time() - began)
        gc.unfreeze()
        whole = merged.fields["number0"]
        yield {"part": "merging", "summaries": summaries, "fields": FIELDS, "rows": rows, "seconds": min(taken), "read_ms": read_ms,
               "error": whole.sketch.error, "right": whole.count == summaries * rows}  # fmt: skip


def _profile(rows: int, seed: int) -> Profile:
    random = np.random.default_rng(seed)
    numbers = {f"number{place}": random.normal(size=rows) for place in range(FIELDS - NAMED)}
    names = np.array(["a", "b", "c", "d", "e"], object)
    return Profile.of({**numbers, **{f"category{place}": names[random.integers(0, 5, rows)] for place in range(NAMED)}})
