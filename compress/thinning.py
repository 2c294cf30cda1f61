"""Every how many-th of many numbers stands for all."""

from __future__ import annotations

from math import gcd


def stride(size: int, most: int) -> int:
    """Steps between numbers that are taken, so that about `most` are.

    Without a divisor of the size in common: a step of a map's width would see one column of it, and nothing of the others.

    >>> stride(100, 200), stride(12, 6)
    (1, 5)
    """
    step = max(1, -(-size // most))
    while gcd(step, size) > 1:
        step += 1
    return step
