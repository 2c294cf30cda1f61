"""`FILE.py:OBJECT`: an object of a user's file, or what a function of that name returns."""

from __future__ import annotations

from typing import Any

from ..core.errors import InputError
from ..objects import named_object


def load_object(word: str, kind: type) -> Any:
    """The object that `FILE.py:OBJECT` names, called if it is a function without arguments.

    Raises InputError when the word, the file or the name is wrong, or the object is not a `kind`.
    """
    value = named_object(word)
    value = value() if callable(value) and not isinstance(value, kind) else value
    if not isinstance(value, kind):
        raise InputError(f"{word} is not a {kind.__name__}", got=type(value).__name__,
                         expected=f"a {kind.__name__}, or a function without arguments that returns one")  # fmt: skip
    return value
