"""The process of a shadow: as that of any isolated model, at the lowest priority, and it says how long a call kept a processor busy.

The system gives such a process only what nobody else wants at that moment, so the clock on the wall says little about the model: a
call that waits for a core is not slow. On a processor the time that it really worked is what it would have taken in the champion's place.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ...runtimes.base import Cancel, Session
from ...runtimes.isolation_worker import open_artifact_session
from ...sdk.core.signature import Array

OPENER = "portside.cloud.arms.low:open_low"
BUSY_S = "/busy_s"
"""Beside the outputs of a call: seconds of processor time, of all its threads."""
NICEST = 19


class LowSession:
    """A session whose `run` also gives `BUSY_S`."""

    def __init__(self, session: Session) -> None:
        self.info, self._session = session.info, session

    def run(self, inputs: Mapping[str, Any], cancel: Cancel | None = None) -> dict[str, Array]:
        """As `Session.run`."""
        began = time.process_time()
        outputs = self._session.run(inputs, cancel)
        return {**outputs, BUSY_S: np.array([time.process_time() - began])}

    def predict(self, inputs: Any = None, cancel: Cancel | None = None) -> dict[str, Array]:
        """As `Session.predict`."""
        return self._session.predict(inputs, cancel)

    def close(self) -> None:
        """As `Session.close`."""
        self._session.close()


def open_low(**arguments: Any) -> Session:
    """Step behind everybody else, then open an artifact: the threads of the engine inherit it."""
    with suppress(OSError):
        os.nice(NICEST)
    if hasattr(os, "SCHED_IDLE"):  # Linux: only what is left over, and at once gone when somebody wakes
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    return LowSession(open_artifact_session(**arguments))
