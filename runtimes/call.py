"""One call in a lane: what is asked, until when, and its one outcome. Cheaper than a Future, of which it is the needed half."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ..sdk.core.errors import EngineError, PortsideError
from ..sdk.core.signature import Array
from .base import Cancel

Inputs: TypeAlias = "Mapping[str, Array] | Callable[[], Mapping[str, Array]]"
"""Typed tensors, or a function that makes them in the thread of the call (a batch is put together there)."""
Outputs: TypeAlias = dict[str, Array]


class Call:
    """One call. Its outcome is set exactly once: by the model, or by `Lane.abandon`.

    Attributes:
        until: monotonic seconds; None: as long as it takes.
        cancel: raised when the call is given up; a running engine obeys it.
        started: the model has begun.
        outcome: outputs or the error; None while there is none.
    """

    __slots__ = ("_freed", "_then", "cancel", "inputs", "outcome", "started", "until")

    def __init__(self, inputs: Inputs, until: float | None, then: Callable[[Call], None] | None = None,
                 freed: Callable[[], None] | None = None) -> None:  # fmt: skip
        self.inputs, self.until, self.cancel = inputs, until, Cancel()
        self.started, self.outcome = False, None
        self._then, self._freed = then, freed

    outcome: Outputs | Exception | None

    @property
    def done(self) -> bool:
        """There is an outcome."""
        return self.outcome is not None

    def expired(self) -> bool:
        """Its time has passed."""
        return self.until is not None and time.monotonic() >= self.until

    def settle(self, outcome: Outputs | Exception) -> None:
        """Set the outcome and tell who waits, in the calling thread. The caller knows that there is none yet."""
        self.outcome = outcome
        self.inputs = {}
        if self._then is not None:
            self._then(self)

    def freed(self) -> None:
        """A call that had been given up has really ended."""
        if self._freed is not None:
            self._freed()

    def result(self) -> Outputs:
        """The outputs of a call that is done. Raises its error."""
        if isinstance(self.outcome, Exception):
            raise self.outcome
        assert self.outcome is not None  # noqa: S101  the caller has waited
        return self.outcome


class WaitedCall(Call):
    """A call that a thread waits for."""

    __slots__ = ("_event",)

    def __init__(self, inputs: Inputs, until: float | None) -> None:
        self._event = threading.Event()
        super().__init__(inputs, until, then=lambda _: self._event.set())

    def wait(self, seconds: float | None) -> bool:
        """Wait for the outcome; False when there is none by then."""
        return self._event.wait(seconds)


def attempt(run: Callable[[Mapping[str, Any], Cancel], Outputs], call: Call) -> Outputs | Exception:
    """Run a call; everything that goes wrong is an outcome, foreign errors wrapped."""
    try:
        return run(call.inputs() if callable(call.inputs) else call.inputs, call.cancel)
    except PortsideError as error:
        return error
    except Exception as error:  # a foreign error is wrapped where it enters
        wrapped = EngineError(f"The model failed: {type(error).__name__}: {error}")
        wrapped.__cause__ = error
        return wrapped
