"""How many requests an event loop that is late lets in: a rule from values to values, without a clock or a loop.

A loop is late when something keeps it: a model that runs inline and takes long, a hook or a handler that blocks, more requests than it
can turn to. Whoever waits behind that waits whatever their deadline says, so fewer are let in until the loop is on time again:

- Time is looked at in ticks. Each says by how much it came late, and how many requests the tick before it let in.
- One late tick is a stall (a machine that was stopped, a page that was swapped in), and changes nothing. From the second in a row on,
  each halves what the next tick may let in. One request a tick always may.
- A tick that is late by less than half of the limit lets in an eighth more, until nothing is limited. In between nothing changes: the
  loop neither gains nor loses, and the rule does not swing.

So the load falls within a few ticks, and comes back within three seconds (of ticks of 50 ms): additive increase, multiplicative decrease
(Chiu and Jain, "Analysis of the increase and decrease algorithms for congestion avoidance in computer networks", 1989), with a gap.

    >>> late = after(after(ON_TIME, 0.7, 100, 0.5), 0.7, 100, 0.5)
    >>> late.most, after(late, 0.3, 50, 0.5).most, after(late, 0.01, 50, 0.5).most
    (50, 50, 56)
"""

from __future__ import annotations

from typing import NamedTuple

UNLIMITED = 1 << 12
"""So many in one tick are no limit."""
PATIENCE = 2
"""Late ticks in a row that are no stall."""


class Lateness(NamedTuple):
    """most: requests that the next tick lets in; late: ticks in a row that were late."""

    most: int = UNLIMITED
    late: int = 0


ON_TIME = Lateness()


def after(held: Lateness, lag_s: float, let_in: int, limit_s: float) -> Lateness:
    """What holds from this tick on.

    Args:
        held: what held until now.
        lag_s: how late the tick came, in seconds.
        let_in: requests since the tick before.
        limit_s: a loop that is later than that is late.
    """
    if lag_s >= limit_s:
        late = min(held.late + 1, PATIENCE)
        return Lateness(max(min(held.most, let_in) // 2, 1) if late == PATIENCE else held.most, late)
    if lag_s >= limit_s / 2 or held.most == UNLIMITED:
        return Lateness(held.most)
    return Lateness(min(held.most + max(held.most // 8, 1), UNLIMITED))
