"""An id per request: the caller's own `x-request-id` where it is sane, else one made here."""

from __future__ import annotations

import os
import re
from itertools import count

_sane = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}").fullmatch
"""What may go into a log and a header unchanged: no spaces, quotes, line ends or control characters."""


class RequestIds:
    """Ids of one server process: 64 random bits, then a count, so that none costs a call of the operating system."""

    def __init__(self) -> None:
        self._process, self._count = os.urandom(8).hex().encode(), count()

    def of(self, headers: dict[bytes, bytes]) -> bytes:
        """The id of the request with these headers."""
        said = headers.get(b"x-request-id")
        if said is not None and _sane(said):
            return said
        return b"%b-%x" % (self._process, next(self._count))
