"""Token buckets as values: how full one is, and how long until it holds what is asked. The clock is a parameter.

    >>> full = Bucket(2.0, 0.0)
    >>> bucket, wait_s = take(2.0, 2.0, full, now=0.0)
    >>> bucket.level, wait_s
    (1.0, 0.0)
"""

from __future__ import annotations

from typing import NamedTuple


class Bucket(NamedTuple):
    """`level` tokens at `at` seconds; below zero it is in debt."""

    level: float
    at: float


def filled(per_s: float, most: float, bucket: Bucket, now: float) -> float:
    """Its level now. A clock that goes back fills nothing."""
    return min(most, bucket.level + max(now - bucket.at, 0.0) * per_s)


def take(per_s: float, most: float, bucket: Bucket, now: float, tokens: float = 1.0) -> tuple[Bucket, float]:
    """Take tokens where there are as many.

    Args:
        per_s: how fast it fills.
        most: how much it holds.
        bucket: as it was.
        now: seconds.
        tokens: how many are asked.

    Returns:
        The bucket after, and 0; or the bucket as it is now, and the seconds until there are enough.
    """
    level = filled(per_s, most, bucket, now)
    if level >= tokens:
        return Bucket(level - tokens, max(now, bucket.at)), 0.0
    return Bucket(level, max(now, bucket.at)), (tokens - level) / per_s


def charge(per_s: float, most: float, bucket: Bucket, now: float, tokens: float) -> Bucket:
    """Take tokens that were used already, also into debt."""
    return Bucket(filled(per_s, most, bucket, now) - tokens, max(now, bucket.at))
