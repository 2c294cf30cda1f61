"""How threads of a serving process take turns.

Beside the event loop there are threads that make rows of records and pages of a dashboard. The loop gives up the interpreter at every
look for news and every send; a thread that is busy then keeps it for 5 ms, as the interpreter is set: longer than most answers take.
"""

from __future__ import annotations

import sys

TURN_S = 0.0005


def short_turns(seconds: float = TURN_S) -> None:
    """Let nobody keep the interpreter for longer while another thread of this process waits for it."""
    sys.setswitchinterval(min(sys.getswitchinterval(), seconds))
