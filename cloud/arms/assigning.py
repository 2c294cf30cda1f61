"""Which arm a request is given. Pure: the dice are handed in.

    >>> from ..deployment.traffic import Traffic
    >>> assigned(Traffic(1, "r1", "canary", ("sha256:ab",), 0.25), None, True, lambda: 0.1)
    Arm(rollout='r1', assigned='challenger', propensity=0.25)
    >>> assigned(Traffic(1, "r1", "canary", ("sha256:ab",), 0.25, "line=test"), "ana", False, lambda: 0.1)
    Arm(rollout='r1', assigned='champion', propensity=1.0)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

from ..deployment.traffic import Phase, Traffic

Assigned: TypeAlias = Literal["champion", "challenger"]
CHAMPION: Assigned = "champion"
CHALLENGER: Assigned = "challenger"
EVERYONE: tuple[Phase, ...] = ("switched", "promoted")
"""Phases in which all are given the challenger."""
GIVEN: tuple[Phase, ...] = ("canary", *EVERYONE)
"""Phases in which somebody is."""


class Arm(NamedTuple):
    """What a request is given, as its record says it.

    Attributes:
        rollout: its id.
        assigned: whose chain answers; who did answer is the record's `arm`.
        propensity: the probability with which it was assigned.
    """

    rollout: str
    assigned: Assigned
    propensity: float


def assigned(traffic: Traffic, entity: str | None, inside: bool, draw: Callable[[], float]) -> Arm | None:
    """The arm of one request; None: nobody is given the challenger now.

    Args:
        traffic: as the controller wants it.
        entity: who it is about; an entity keeps its arm while the share grows. None: it is drawn.
        inside: it belongs to the segment that is tried.
        draw: a number in [0, 1), anew at each call.
    """
    if traffic.phase in EVERYONE:
        return Arm(traffic.rollout, CHALLENGER, 1.0)
    if traffic.phase != "canary":
        return None
    if not inside:
        return Arm(traffic.rollout, CHAMPION, 1.0)
    share = traffic.share
    if (draw() if entity is None else traffic.position(entity)) < share:
        return Arm(traffic.rollout, CHALLENGER, share)
    return Arm(traffic.rollout, CHAMPION, 1.0 - share)
