"""A real runtime, as far as the conformance suite can tell, that fails on command.

Commands are lines of a file, taken one per call, so that they also reach sessions in other processes:

    answer            as the reference does (also when the file is empty or absent)
    throw             raise EngineError
    nan               every float output is NaN
    slow SECONDS      answer late, cancellable
    wedge SECONDS     answer late, whatever is cancelled
    die               end the process without a word
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import ClassVar

import numpy as np

from portside.runtimes.artifact import read_artifact
from portside.runtimes.reference import Reference
from portside.sdk.core.errors import EngineError

COMMANDS = "PORTSIDE_FAULTS"
"""Environment variable that names the file of commands."""


class FaultyRuntime(Reference):
    """Compiles like the reference under a name of its own; its sessions obey the commands."""

    name: ClassVar[str] = "faulty"

    def load(self, artifact, options):
        """A session that looks for a command before each call."""
        read_artifact(artifact)
        return FaultySession(super().load(artifact, options))


class FaultySession:
    """The reference's answers, unless a command says otherwise."""

    def __init__(self, session):
        self._session = session
        self.info = session.info

    def run(self, inputs, cancel=None):
        """Obey the next command, then answer."""
        word, _, argument = next_command().partition(" ")
        if word == "throw":
            raise EngineError("The engine failed on command")
        if word == "die":
            os._exit(1)
        if word in ("slow", "wedge"):
            wait(float(argument), cancel if word == "slow" else None)
        outputs = self._session.run(inputs, cancel)
        return {name: spoilt(value) if word == "nan" else value for name, value in outputs.items()}

    def predict(self, inputs, cancel=None):
        """As the reference; commands apply to `run` alone."""
        return self._session.predict(inputs, cancel)

    def close(self):
        """Close the reference."""
        self._session.close()


def spoilt(value):
    """NaN in the place of every float."""
    return np.full_like(value, np.nan) if value.dtype.kind == "f" else value


def wait(seconds, cancel):
    """Sleep, in steps that notice a cancellation."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if cancel is not None and cancel.cancelled:
            raise EngineError("The call was cancelled", reason="cancelled")
        time.sleep(0.002)


def next_command():
    """Take the first line of the command file; "answer" when there is none."""
    path = Path(os.environ.get(COMMANDS, ""))
    if not path.is_file() or not (lines := path.read_text().splitlines()):
        return "answer"
    path.write_text("".join(f"{line}\n" for line in lines[1:]))
    return lines[0]
