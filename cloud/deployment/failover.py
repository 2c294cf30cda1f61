"""The sections around failover that are not the chain itself: the breaker, kept answers."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from ...sdk.core.errors import FormatError
from ...sdk.core.failover import BreakerRules
from .base import Count, Positive, Section, Share


class Breaker(Section):
    """When an entry is left alone for a while: see sdk/core/breaker.py; times in milliseconds, rates as shares."""

    failures: Count = 5
    open_ms: Positive = 1000.0
    max_open_ms: Positive = 8000.0
    probe_ms: Positive = 2000.0
    probes: Count = 1
    error_rate: Share | None = None
    slow_rate: Share | None = None
    slow_ms: Positive | None = None
    min_calls: Count = 20
    window_ms: Positive | None = None
    window_calls: Count | None = None

    @model_validator(mode="after")
    def _meant(self) -> Breaker:
        if self.window_ms is not None and self.window_calls is not None:
            raise ValueError("a window is window_ms or window_calls, not both")
        rated = self.error_rate is not None or self.slow_rate is not None
        odd = sorted({"min_calls", "window_ms", "window_calls"} & self.model_fields_set)
        if odd and not rated:
            raise ValueError(f"{odd[0]} has no meaning without error_rate or slow_rate")
        try:
            self.rules()
        except FormatError as error:
            raise ValueError(str(error)) from error
        return self

    def rules(self) -> BreakerRules:
        """As the policy takes them."""
        return BreakerRules(**self.model_dump(exclude_none=True))


class Cache(Section):
    """Answers of the champion to the very same input.

    Attributes:
        ttl_s: how long an answer is fresh.
        stale: answer from it after `ttl_s` too; the receipt says so.
        first: ask the cache before the champion, for models that are expensive; only fresh answers.
        max_entries, max_mb: the least recently used leave when there are more.
    """

    ttl_s: Positive
    stale: bool = False
    first: bool = False
    max_entries: Count = 4096
    max_mb: Positive = 64.0


class Precomputed(Section):
    """Answers from a file that `portside precompute` made, or any other file of the same form (docs/deployment-file.md).

    Attributes:
        file: .npz, .jsonl or .parquet, relative to the deployment file.
        by: looked up by the content of a row, or by the entity that the request is about.
    """

    file: str
    by: Literal["content", "entity"] = "content"


class Consistency(Section):
    """The same entity with the same content gets the same answer for a while, whoever of the chain gave it first.

    Attributes:
        window_s: how long, from the first answer.
        by: who is the same; only by entity so far.
        strict: the decisions of an entity stay the same for the window even where its content changes.
        max_entries, max_mb: the oldest leave when there are more.
    """

    window_s: Positive
    by: Literal["entity"] = "entity"
    strict: bool = False
    max_entries: Count = 100_000
    max_mb: Positive = 64.0
