"""Points in time as people type them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from ..core.errors import InputError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment_ms(said: str, now_s: float | None = None) -> int:
    """Unix milliseconds of "90m" (ago), "7d" (ago), or "2026-05-01T12:00" (UTC unless it says otherwise). Raises InputError.

    >>> moment_ms("1970-01-02")
    86400000
    """
    if found := re.fullmatch(r"(\d{1,6})([smhd])", said):
        ago = int(found[1]) * _UNITS[found[2]]
        return int(((time.time() if now_s is None else now_s) - ago) * 1000)
    try:
        moment = datetime.fromisoformat(said)
    except ValueError as error:
        raise InputError("This is no point in time", got=said, expected="such as 90m or 7d (ago), or 2026-05-01T12:00") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def shown_ms(at_ms: int) -> str:
    """UTC to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
