"""A model whose target cannot run on this machine (no GPU), in a chain that has others: never ready, so that the policy passes over it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...runtimes.base import Cancel, SessionInfo
from ...runtimes.elsewhere import compiler, unproven
from ...runtimes.isolation import Lane
from ...runtimes.session import describe
from ...sdk.core.errors import EngineError
from ...sdk.core.signature import Array
from ..deployment.resolving import ResolvedModel
from .chain import ModelEntry, room_of

log = logging.getLogger("portside.host")


class AbsentSession:
    """What stands in a lane for a session that cannot be opened here.

    Args:
        info: of the session that it would be.
        why: it cannot, in words.
    """

    ready = False

    def __init__(self, info: SessionInfo, why: str) -> None:
        self.info, self._why = info, why

    def run(self, inputs: Mapping[str, Any], cancel: Cancel | None = None) -> dict[str, Array]:
        """Raises EngineError."""
        raise EngineError(f"The target {self.info.target} cannot run here", got=self._why,
                          fix="Serve it on a machine that has what it needs.")  # fmt: skip

    def close(self) -> None:
        """Nothing to free."""


def why_absent(model: ResolvedModel) -> str | None:
    """Why a model's target cannot run on this machine, in words; None where it can, and for targets that lack a package alone."""
    return unproven(compiler(model.settings.target))


def absent(model: ResolvedModel, why: str) -> ModelEntry:
    """The entry of a model that cannot run here; said once, in the log."""
    artifact = model.artifact
    log.warning("%s cannot run on %s here (%s): the rest of the chain answers", model.name, artifact.target, why)
    info = describe(artifact.signature, artifact.target, artifact.package_digest, batch_invariant=False, host=False, cancellable=False)
    lane = Lane(AbsentSession(replace(info, thread_safe=True), why), threads=0)
    return ModelEntry(model.name, model.digest, artifact.target, artifact.digest, model.front, model.signature, model.codec, lane,
                      room_of(model.settings))  # fmt: skip
