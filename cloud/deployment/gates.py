"""The `[gates]` section: what a challenger or a retrained candidate must show before it comes near traffic."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from .base import Count, Days, Positive, Section

Below = Annotated[float, Field(ge=0, lt=1)]
GateName: TypeAlias = Literal["signature", "card", "fidelity", "static", "recent", "expectations", "bench"]
Written: TypeAlias = Literal["contract", "licence", "evidence", "description", "owner", "metrics", "lineage"]


class Gates(Section):
    """Limits of a release. A limit that is None is not asked.

    Attributes:
        max_drop: of the primary metric against the champion, on the static set and on recent records: the upper end of its paired 95%
            interval.
        max_slice_drop, max_flips: the same for the worst slice; for the share of decisions that differ. On the static set.
        evidence: the static set: a digest in the store, or the folder of a dataset (its split "test"); None: the champion's evidence set.
        recent_days, recent_rows: labelled records of so many days, the newest so many of their rows.
        p95_ms, p99_ms, size_mb, memory_mb: of the artifact, for one row on one thread.
        slower: how many times the champion's median latency it may take.
        card: what must be said of the package.
        leave_out: gates that are not asked at all, such as "static" where what was right before is wrong now.
        unproven: gates that may be "not enough data"; none of them may fail.
    """

    max_drop: Below | None = 0.01
    max_slice_drop: Below | None = None
    max_flips: Below | None = None
    evidence: str | None = None
    recent_days: Days = 30.0
    recent_rows: Count = 5000
    p95_ms: Positive | None = None
    p99_ms: Positive | None = None
    size_mb: Positive | None = None
    memory_mb: Positive | None = None
    slower: Positive | None = None
    card: list[Written] = Field(default_factory=lambda: ["contract", "licence"])
    leave_out: list[GateName] = Field(default_factory=list[GateName])
    unproven: list[GateName] = Field(default_factory=lambda: ["recent"])
