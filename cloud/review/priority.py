"""How pressing an item is: by how unsure the model was, from the probabilities of its candidates.

    >>> round(margin([0.55, 0.45]), 3), round(entropy([0.5, 0.5]), 3), round(least([0.9, 0.1]), 3)
    (0.9, 1.0, 0.1)

All three lie in [0, 1], 1 being the least sure. Margin is the default: of many classes it asks about the two that are confused
(Scheffer et al., 2001), where entropy is moved by all the unlikely ones. Settles, "Active Learning Literature Survey" (2009), 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from .item import Candidate

Rule: TypeAlias = Literal["margin", "entropy", "least"]
UNKNOWN = 0.5
"""Where the model gave no probability."""


def priority(candidates: Sequence[Candidate], rule: Rule = "margin") -> float:
    """In [0, 1], 1 being the least sure; `UNKNOWN` where nothing is known."""
    known = [c.probability for c in candidates if c.probability is not None and 0 <= c.probability <= 1]
    return RULES[rule](known) if known else UNKNOWN


def margin(probabilities: Sequence[float]) -> float:
    """1 minus the distance of the best two; of one alone, its distance from certain."""
    best, *rest = sorted(probabilities, reverse=True)
    return min(1.0, max(0.0, 1 - (best - rest[0] if rest else best)))


def least(probabilities: Sequence[float]) -> float:
    """1 minus the best."""
    return 1 - max(probabilities)


def entropy(probabilities: Sequence[float]) -> float:
    """Shannon's, of these alone, scaled so that equal ones give 1."""
    total = sum(probabilities)
    if total <= 0 or len(probabilities) < 2:
        return least(probabilities)
    shares = [value / total for value in probabilities if value > 0]
    return -sum(share * math.log(share) for share in shares) / math.log(len(probabilities))


RULES: dict[Rule, Callable[[Sequence[float]], float]] = {"margin": margin, "entropy": entropy, "least": least}
