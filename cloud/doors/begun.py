"""A coroutine that begins without a task, and gets one only where it has to wait.

Most answers of a model that runs inline are whole when the first step ends; a task, its place in the loop's queue and its end are then
a twentieth of all that the answer costs. What runs in the first step must not ask for the current task: there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, cast


def begin(going: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> asyncio.Task[None] | None:
    """Run it to where it waits; the task that goes on from there, or None where it has ended. Raises what it raises in its first step."""
    try:
        waits_for = going.send(None)
    except StopIteration:
        return None
    return loop.create_task(cast("Coroutine[Any, Any, None]", _rest(going, waits_for)))


@coroutine
def _rest(going: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """What is left of it: hands on what it waits for, and what comes of that."""
    while True:
        try:
            came = yield waits_for
        except BaseException as error:
            came, failed = None, error
        else:
            failed = None
        try:
            waits_for = going.send(came) if failed is None else going.throw(failed)
        except StopIteration:
            return
