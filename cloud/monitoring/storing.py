"""Windows in their table: read, merged into, put in the place of another. All within the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from sqlalchemy import ColumnElement, Connection, delete, select

from ...sdk.core.window import Window
from .levels import SIZES, Level
from .tables import WINDOWS
from .upsert import upsert

Part = Literal["traffic", "quality"]
TRAFFIC: Part = "traffic"
QUALITY: Part = "quality"
_AT_ONCE = 400


def put(connection: Connection, deployment: str, level: Level, part: Part, window: Window) -> None:
    """Let the row of the window's start hold it."""
    key = {"deployment": deployment, "level": level, "part": part, "start_ms": window.start_ms}
    data = json.dumps(window.to_dict(), ensure_ascii=False, separators=(",", ":"))
    upsert(connection, WINDOWS, key, {"end_ms": window.end_ms, "rows": window.rows, "data": data})


def merge_in(connection: Connection, deployment: str, level: Level, part: Part, start_ms: int, window: Window) -> None:
    """Merge `window` into the row that begins at `start_ms`; made where it is not there."""
    held = at(connection, deployment, level, part, [start_ms])
    merged = Window.merge_all([*held.values(), window])
    put(connection, deployment, level, part, spanned(merged, deployment, level, start_ms))


def at(connection: Connection, deployment: str, level: Level, part: Part, starts: Collection[int]) -> dict[int, Window]:
    """The windows that begin then, by their start; those that are not there are left out."""
    wanted, found = list(starts), dict[int, Window]()
    for place in range(0, len(wanted), _AT_ONCE):
        some = WINDOWS.c.start_ms.in_(wanted[place : place + _AT_ONCE])
        query = select(WINDOWS.c.start_ms, WINDOWS.c.data).where(_of(deployment, level, part), some)
        found |= {start: Window.from_dict(json.loads(data)) for start, data in connection.execute(query)}
    return found


def starts(connection: Connection, deployment: str, level: Level, part: Part, start_ms: int, end_ms: int) -> dict[int, int]:
    """start -> rows of the windows there are with `start_ms` <= start < `end_ms`, in order."""
    within = (WINDOWS.c.start_ms >= start_ms) & (WINDOWS.c.start_ms < end_ms)
    query = select(WINDOWS.c.start_ms, WINDOWS.c.rows).where(_of(deployment, level, part), within)
    return {row[0]: row[1] for row in connection.execute(query.order_by(WINDOWS.c.start_ms))}


def drop(connection: Connection, deployment: str, level: Level, part: Part, starts: Sequence[int]) -> None:
    """Remove the rows that begin then."""
    for place in range(0, len(starts), _AT_ONCE):
        connection.execute(delete(WINDOWS).where(_of(deployment, level, part), WINDOWS.c.start_ms.in_(starts[place : place + _AT_ONCE])))


def forget(connection: Connection, deployment: str, before_ms: Mapping[tuple[Level, Part], int]) -> None:
    """Remove what ended before these times."""
    for (level, part), end_ms in before_ms.items():
        connection.execute(delete(WINDOWS).where(_of(deployment, level, part), WINDOWS.c.end_ms < end_ms))


def spanned(window: Window, deployment: str, level: Level, start_ms: int) -> Window:
    """The window as that of a whole minute, hour or day."""
    return replace(window, deployment=deployment, start_ms=start_ms, end_ms=start_ms + SIZES[level])


def _of(deployment: str, level: Level, part: Part) -> ColumnElement[bool]:
    return (WINDOWS.c.deployment == deployment) & (WINDOWS.c.level == level) & (WINDOWS.c.part == part)
