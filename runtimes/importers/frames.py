"""The user's line at fault: the last frame of a traceback that is neither torch's, ours, nor the standard library's."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

from ...sdk.core.errors import SourceLine

_OURS = str(Path(__file__).resolve().parents[2])
_STDLIB = sysconfig.get_paths()["stdlib"]
_ENGINES = ("/torch/", "/onnxscript/", "/onnx/", "/onnxruntime/", "/numpy/", "/PIL/", "/sklearn/")
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def line_of_error(error: BaseException) -> SourceLine | None:
    """The user's line in an error's traceback, or in those of the errors that caused it."""
    seen: BaseException | None = error
    found: SourceLine | None = None
    while seen is not None and found is None:
        stack = traceback.extract_tb(seen.__traceback__)
        found = _last((frame.filename, frame.lineno or 0) for frame in stack)
        seen = seen.__cause__ or seen.__context__
    return found


def line_of_trace(text: str) -> SourceLine | None:
    """The user's line in a stack trace kept as text (torch keeps one for every node)."""
    return _last((file, int(line)) for file, line in _FRAME.findall(text))


def line_of_frame(frame: FrameType) -> SourceLine | None:
    """The line that a frame stands on, if it is not an engine's or ours."""
    return _last([(frame.f_code.co_filename, frame.f_lineno)])


def line_of_stack() -> SourceLine | None:
    """The user's line that is being run now."""
    return _last((frame.filename, frame.lineno or 0) for frame in traceback.extract_stack())


def line_of_function(function: Callable[..., Any]) -> SourceLine | None:
    """Where a function is defined."""
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    return _line(code.co_filename, code.co_firstlineno)


def is_user_file(file: str) -> bool:
    """True for files of the user, not of installed packages, the standard library or Portside itself."""
    return _rank(file) == 2


def _last(frames: Iterable[tuple[str, int]]) -> SourceLine | None:
    """The last frame in a user's file; failing that, the last one in an installed package that is no engine."""
    best: tuple[int, SourceLine] | None = None
    for file, line in frames:
        rank = _rank(file)
        if rank and (best is None or rank >= best[0]):
            best = (rank, _line(file, line))
    return best[1] if best else None


def _rank(file: str) -> int:
    """2: the user's file. 1: an installed package. 0: an engine, the standard library, or ours."""
    if file.startswith("<") or any(part in file for part in _ENGINES if "site-packages" in file):
        return 0
    if _is_ours(file):  # before the next line: installed, ours is such a package too
        return 0
    if "site-packages" in file or "dist-packages" in file:
        return 1
    return 0 if file.startswith(_STDLIB) else 2


def _is_ours(file: str) -> bool:
    """Portside's own sources; tests, examples and benchmarks beside them in a checkout count as the user's."""
    resolved = str(Path(file).resolve())
    if not resolved.startswith(_OURS + "/"):
        return False
    return resolved[len(_OURS) + 1 :].split("/")[0] in ("sdk", "runtimes", "compress", "edge", "cloud", "__init__.py", "__main__.py")


def _line(file: str, line: int) -> SourceLine:
    return SourceLine(file, line, linecache.getline(file, line).strip())
