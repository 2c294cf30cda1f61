"""What Portside's own loggers say, as lines of JSON beside those of requests.

A fault of ours is told by its type and the lines it went through. Its message may quote what a caller sent, so it is
written only where the deployment says so.
"""

from __future__ import annotations

import logging
import traceback
from typing import Any, Literal, TypeAlias

from .json_lines import JsonLines

Exceptions: TypeAlias = Literal["frames", "full"]
FRAMES = 20


class ErrorLog(logging.Handler):
    """A handler of the logger "portside". Never blocks."""

    def __init__(self, lines: JsonLines, exceptions: Exceptions = "frames") -> None:
        super().__init__(logging.WARNING)
        self._lines = lines
        self._exceptions: Exceptions = exceptions

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line."""
        line: dict[str, Any] = {"time": record.created, "level": record.levelname.lower(), "event": "log", "logger": record.name}
        line["message"] = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = described(record.exc_info[1], self._exceptions)
        self._lines.put(line, _same)


def described(error: BaseException, exceptions: Exceptions) -> dict[str, Any]:
    """An exception without, or with, its message."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)[-FRAMES:]]
    told: dict[str, Any] = {"type": type(error).__name__, "frames": frames}
    return {**told, "message": str(error)[:2000]} if exceptions == "full" else told


def install(lines: JsonLines, exceptions: Exceptions) -> None:
    """Make it the handler of Portside's loggers in this process, and keep bad requests of strangers out of uvicorn's log."""
    logger = logging.getLogger("portside")
    logger.handlers, logger.propagate = [ErrorLog(lines, exceptions)], False
    logging.getLogger("uvicorn.error").addFilter(_not_a_strangers)


def _same(line: dict[str, Any]) -> dict[str, Any]:
    return line


def _not_a_strangers(record: logging.LogRecord) -> bool:
    """Uvicorn writes a line for every request it cannot parse, on the loop."""
    return record.msg != "Invalid HTTP request received."
