"""Options of passes, checked before any work: what every pass asks of a number, a share, a list of names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from ..sdk.core.errors import InputError


def check(field: str, value: object, right: bool, expected: str) -> None:
    """Raises InputError, which names the option, where it is not right."""
    if not right:
        raise InputError(f"The option {field!r} means nothing", field=field, got=value, expected=expected)


def check_share(field: str, value: object, one: bool = False) -> None:
    """Raises InputError unless the value is above 0 and below 1, or 1 where that is allowed."""
    held = cast("Any", value)
    check(field, value, number(value) and (0 < held < 1 or (one and held == 1)), f"a share above 0, {'up to' if one else 'below'} 1")


def check_whole(field: str, value: object, least: int = 1) -> None:
    """Raises InputError unless the value is a whole number from `least` on."""
    held = cast("Any", value)
    check(field, value, isinstance(value, int) and number(value) and held >= least, f"a whole number from {least} on")


def check_choice(field: str, value: object, choices: Sequence[object]) -> None:
    """Raises InputError unless the value is one of these."""
    same = any(type(value) is type(choice) and value == choice for choice in choices)
    check(field, value, same, ", ".join(str(choice) for choice in choices))


def check_epochs(epochs: object) -> None:
    """Raises InputError for what is no number of epochs; None is one."""
    held = cast("Any", epochs)
    check("epochs", epochs, epochs is None or (number(epochs) and 0 <= held < float("inf")), "0 or more; 0: no fine-tuning")


def number(value: object) -> bool:
    """An int or a float that is not NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def words(field: str, value: object) -> tuple[str, ...]:
    """An option that lists names. Raises InputError for what is no list of texts."""
    listed = not isinstance(value, str) and isinstance(value, Iterable)
    check(field, value, listed, 'a list of names, e.g. ["head.1"]')
    held = tuple(cast("Iterable[object]", value))
    check(field, value, all(isinstance(word, str) and word for word in held), 'a list of names, e.g. ["head.1"]')
    return tuple(str(word) for word in held)
