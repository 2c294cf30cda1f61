"""A Session whose calls run elsewhere: in threads of its own, or in a worker process that may crash alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..sdk.core.signature import Array
from .artifact import Artifact
from .base import Cancel, Isolation, LoadOptions
from .isolation import isolate
from .predicting import Predictor

START_S = 60.0
"""How long a worker process may take to open its session."""


class IsolatedSession:
    """An artifact under isolation.

    Args:
        artifact: audited.
        isolation: "thread" or "process".
        options: how the session is opened.

    Raises EngineError where a worker process does not come up.
    """

    def __init__(self, artifact: Artifact, isolation: Isolation, options: LoadOptions) -> None:
        self._lane = isolate(artifact.path, isolation, options)
        self.info = replace(self._lane.info, thread_safe=True)  # calls queue in front of the engine
        self._predict = Predictor(artifact.signature, artifact.codec, artifact.read)
        if isolation == "process":
            self._lane.session.wait_ready(START_S)  # type: ignore[attr-defined]

    def run(self, inputs: Mapping[str, Any], cancel: Cancel | None = None) -> dict[str, Array]:
        """As `Session.run`. Raises InputError, EngineError ("crashed" where the worker died)."""
        return self._lane.run(inputs, cancel)

    def __repr__(self) -> str:
        """One line: target, package, inputs and outputs."""
        return str(self.info)

    def predict(self, inputs: Any = None, cancel: Cancel | None = None) -> dict[str, Array]:
        """As `Session.predict`; the codec runs here."""
        return self._predict(self.run, inputs, cancel)

    def close(self) -> None:
        """End the threads or the process."""
        self._lane.close()
