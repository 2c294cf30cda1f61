"""Teachers that are functions: one that a recipe names as FILE.py:OBJECT, and by what the answers of any are known again."""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

from ..sdk.core.errors import InputError
from ..sdk.objects import named_object

_PLAIN = (str, int, float, bool, bytes, type(None))


def names_object(given: object) -> bool:
    """`FILE.py:OBJECT`, not a folder or a name in the store."""
    return isinstance(given, str) and given.rpartition(":")[0].endswith(".py") and not Path(given).exists()


def object_of(word: str) -> Any:
    """What `FILE.py:OBJECT` names; a function without arguments is called for it. Raises InputError where it is not there.

    A file runs once until its text changes: a recipe is looked at before it runs, and a teacher may be large.
    """
    file, _, name = word.rpartition(":")
    return _object(f"{Path(file).resolve()}:{name}", file_digest(word))


@lru_cache(maxsize=4)
def _object(word: str, digest: str) -> Any:
    found = named_object(word)
    if inspect.isfunction(found) and not inspect.signature(found).parameters:
        return found()
    return found


def file_digest(word: str) -> str:
    """Of the file that `FILE.py:OBJECT` names. Raises InputError where it is not there."""
    file = Path(word.rpartition(":")[0])
    if not file.is_file():
        raise InputError("There is no such Python file", field="teacher", got=str(file), fix="Paths begin at the working directory.")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def function_key(function: Any) -> list[Any]:
    """By what a function is known again, JSON-ready: its name, its text, and the values that it carries, models and arrays too.

    These are arguments of a `partial`, what a nested function closes over, attributes of the object that is called. What it reads
    elsewhere (a global, a file, a server) is not seen.
    """
    if isinstance(function, partial):
        held = cast("partial[Any]", function)
        return ["partial", function_key(held.func), _carried(dict(enumerate(held.args))), _carried(held.keywords)]
    if inspect.ismethod(function):
        return ["method", function_key(function.__func__), _carried(getattr(function.__self__, "__dict__", {}))]
    if inspect.isfunction(function):
        closed = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
        values = {name: _content(cell) for name, cell in closed.items()}
        defaults = dict(enumerate(function.__defaults__ or ()))
        return ["function", function.__module__, function.__qualname__, _text(function), _carried(values), _carried(defaults)]
    kind = cast("type[Any]", type(function))
    return ["object", kind.__module__, kind.__qualname__, _text(kind), _carried(getattr(function, "__dict__", {}))]


def _text(held: Any) -> str | None:
    """The source; without a file, as in an interactive session, a function's compiled code."""
    try:
        return inspect.getsource(held)
    except (OSError, TypeError):
        code = getattr(held, "__code__", None)
        return None if code is None else code.co_code.hex() + repr([held for held in code.co_consts if isinstance(held, _PLAIN)])


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _carried(values: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): repr(held) if isinstance(held, _PLAIN) else content_digest(held) for name, held in values.items()}


def content_digest(held: object) -> str:
    """Of a model, an array, a list: of its pickle, which nobody reads; what cannot be pickled is known by its type alone."""
    digest = hashlib.sha256()
    try:
        pickle.Pickler(cast("Any", _Hashed(digest.update)), protocol=5).dump(held)
    except Exception:  # whatever a user's object raises when it is pickled
        return f"{type(held).__module__}.{type(held).__qualname__}"
    return digest.hexdigest()


@dataclass(frozen=True)
class _Hashed:
    """A file that keeps nothing: large arrays are not copied."""

    write: Callable[[Any], None]
