"""The conformance suite: what a runtime must do before it is called done. Public, for runtimes that live elsewhere too.

    import pytest
    from portside.runtimes import checks

    @pytest.mark.parametrize("check", checks.ALL, ids=str)
    def test_my_runtime(check, tmp_path):
        check(MyRuntime, tmp_path)

A check compiles small packages (`runtimes/samples.py`) and holds the answers against numpy. A sample that a target
cannot hold must be refused with UnsupportedError, which passes; anything else is a failure with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from ..sdk.core.errors import PortsideError, UnsupportedError
from .base import Runtime
from .check_answers import ANSWERS
from .check_behaviour import BEHAVIOUR
from .check_kit import Kit

Factory: TypeAlias = Callable[[], Runtime]


@dataclass(frozen=True)
class Check:
    """One promise: a name that reads as a sentence, and what tests it."""

    name: str
    test: Callable[[Kit], None]

    def __call__(self, factory: Factory, folder: Path) -> None:
        """Put a runtime through it, in an empty folder. Raises AssertionError or what the runtime raised."""
        try:
            self.test(Kit(factory(), folder))
        except UnsupportedError:
            return

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


@dataclass(frozen=True)
class Outcome:
    """What became of one check; truthy when it passed."""

    check: str
    passed: bool
    message: str = ""

    def __bool__(self) -> bool:
        return self.passed


ALL: tuple[Check, ...] = tuple(Check(name, test) for name, test in {**ANSWERS, **BEHAVIOUR}.items())


def conformance(factory: Factory, checks: tuple[Check, ...] = ALL) -> list[Outcome]:
    """Every check on one runtime, for a table; pytest users parametrise over `ALL`."""
    return list(_outcomes(factory, checks))


def failures(outcomes: list[Outcome]) -> Mapping[str, str]:
    """Check -> message, of those that failed."""
    return {outcome.check: outcome.message for outcome in outcomes if not outcome}


def _outcomes(factory: Factory, checks: tuple[Check, ...]) -> Iterator[Outcome]:
    for check in checks:
        with TemporaryDirectory(prefix="portside-check-") as folder:
            try:
                check(factory, Path(folder))
            except (AssertionError, PortsideError) as error:
                yield Outcome(check.name, False, str(error))
            else:
                yield Outcome(check.name, True)
