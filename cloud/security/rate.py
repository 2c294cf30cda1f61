"""The guard that keeps a key to its rate: requests are counted when they come, rows when they were answered.

Each server process counts for itself, so a limit of the whole server is divided by the number of processes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ...sdk.core.errors import InputError
from ..answering.answers import Answer
from ..doors.asgi import ANSWER, MORE, RefusalError, Scope
from .access import KEY
from .bucket import Bucket, charge, filled, take
from .keys import Key, Rate


class RateGuard:
    """Refuses (429) a key that asks more than its rate.

    Args:
        rate: of keys that have none of their own.
        workers: server processes that share the limit.
        clock: monotonic seconds.
    """

    def __init__(self, rate: Rate, workers: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._workers, self._clock = rate, workers, clock
        self._requests: dict[str, Bucket] = {}
        self._rows: dict[str, Bucket] = {}

    def enter(self, scope: Scope) -> tuple[Key, Rate, Scope] | None:
        """A ticket where rows are to be counted. Raises RefusalError."""
        key: Key | None = scope.get(KEY)
        if key is None:  # an open route
            return None
        rate, now = key.rate or self._rate, self._clock()
        if rate.rows_per_s is not None:
            self._check_rows(key, rate, rate.rows_per_s, now)
        if rate.requests_per_s is not None:
            scope.setdefault(MORE, []).extend(self._count(key, rate, rate.requests_per_s, now))
        return None if rate.rows_per_s is None else (key, rate, scope)

    def leave(self, ticket: tuple[Key, Rate, Scope] | None, status: int, seconds: float) -> None:
        """Rows that were answered are charged, also into debt."""
        if ticket is None or status != 200:
            return
        key, rate, scope = ticket
        per_s, most = self._share(rate.rows_per_s or 1.0, rate)
        now = self._clock()
        self._rows[key.id] = charge(per_s, most, self._rows.get(key.id, Bucket(most, now)), now, rows(scope.get(ANSWER)))

    def _count(self, key: Key, rate: Rate, limit: float, now: float) -> list[tuple[bytes, bytes]]:
        per_s, most = self._share(limit, rate)
        self._requests[key.id], wait_s = take(per_s, most, self._requests.get(key.id, Bucket(most, now)), now)
        headers = _headers(limit, rate, self._requests[key.id].level, wait_s)
        if wait_s:
            raise _refusal("requests", limit, wait_s, headers)
        return headers

    def _check_rows(self, key: Key, rate: Rate, limit: float, now: float) -> None:
        per_s, most = self._share(limit, rate)
        level = filled(per_s, most, self._rows.get(key.id, Bucket(most, now)), now)
        if level < 0:
            raise _refusal("rows", limit, -level / per_s, [])

    def _share(self, limit: float, rate: Rate) -> tuple[float, float]:
        """This process's part: tokens per second, and how many at most (at least one, or nothing could ever pass)."""
        return limit / self._workers, max(limit * rate.burst_s / self._workers, 1.0)


def rows(answer: Answer | None) -> int:
    """How many rows were answered: the longest first axis of the outputs, and one for what has none."""
    if answer is None:
        return 1
    return max((array.shape[0] for array in answer.outputs.values() if array.ndim), default=1)


def _headers(limit: float, rate: Rate, level: float, wait_s: float) -> list[tuple[bytes, bytes]]:
    """The RateLimit headers of the IETF draft: the policy, and what is left of it."""
    burst = max(math.floor(limit * rate.burst_s), 1)
    policy = f'"requests";q={burst};w={max(math.ceil(rate.burst_s), 1)}'
    left = f'"requests";r={max(math.floor(level), 0)}' + (f";t={math.ceil(wait_s)}" if wait_s else "")
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", left.encode())]


def _refusal(kind: str, limit: float, wait_s: float, headers: list[tuple[bytes, bytes]]) -> RefusalError:
    error = InputError(f"This key asks more {kind} than it may", field="rate", expected=f"at most {limit:g} {kind} per second",
                       fix=f"Try again in {wait_s:.3g} s.")  # fmt: skip
    return RefusalError(429, error, [(b"retry-after", str(max(math.ceil(wait_s), 1)).encode()), *headers])
