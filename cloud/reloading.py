"""`portside reload`: resolve a deployment here, pin it, and let the workers of its running server take it up."""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from ..sdk.core.errors import InputError
from ..sdk.core.file_errors import explained
from .automating.thresholds import keep_thresholds
from .deployment.file import Deployment, read
from .deployment.generation import (
    Generation,
    WorkerState,
    folder_of,
    pinned,
    pins_of,
    read_states,
    whole_challenger,
)
from .deployment.proposal import propose
from .deployment.resolving import Resolved
from .graph.resolving import resolve

POLL_S = 0.1


@dataclass(frozen=True)
class Reload:
    """What became of a reload: the generation, and what each worker says."""

    generation: int
    digest: str
    workers: tuple[WorkerState, ...]

    @property
    def served(self) -> bool:
        """Every worker serves it."""
        return bool(self.workers) and all(state.generation == self.generation for state in self.workers)

    @property
    def failed(self) -> tuple[WorkerState, ...]:
        """Workers that go on with the version before."""
        return tuple(state for state in self.workers if state.state == "failed" and state.seen == self.generation)


def reload(path: str | Path, wait_s: float = 0.0, progress: Callable[[Sequence[WorkerState]], None] | None = None) -> Reload:
    """Let the running workers of a deployment take up what its file says now: all of them, or none.

    Args:
        path: the deployment file that the server was started with.
        wait_s: how long to wait for every worker to serve it.
        progress: told what the workers say while it waits.

    Raises:
        InputError: no server of this deployment runs on this machine with this $PORTSIDE_HOME.
        PortsideError: whatever is wrong with the deployment; nothing is changed then.
    """
    resolved = resolve(read(path))
    deployment = resolved.deployment
    folder = folder_of(deployment.name, deployment.path)
    if not read_states(folder, alive):
        raise InputError("No running server says that it serves this deployment", field="deployment", got=str(deployment.path),
                         fix="Start one with portside serve, or use the $PORTSIDE_HOME and the path that it was started with.")  # fmt: skip
    said = whole_challenger(tomllib.loads(deployment.path.read_text(encoding="utf-8")))
    intent = pinned(said, pins_of((*resolved.entries, *resolved.challengers), deployment.folder))
    if resolved.automation is not None and deployment.automation is not None and deployment.automation.threshold is None:
        intent["automation"]["thresholds"] = str(keep_thresholds(folder, resolved.automation.fitted))
    made = propose(folder, intent, resolved.digest)
    ends = time.monotonic() + wait_s
    while True:
        seen = Reload(made.number, made.digest, tuple(read_states(folder, alive)))
        if progress is not None:
            progress(seen.workers)
        if seen.served or seen.failed or time.monotonic() >= ends:
            return seen
        time.sleep(POLL_S)


def resolved_of(generation: Generation, path: Path) -> Resolved:
    """A generation, resolved: its packages are opened by digest, its artifacts are there already.

    Raises PortsideError, FormatError for a generation that this version cannot read.
    """
    try:
        deployment = Deployment.model_validate(generation.intent)
    except ValidationError as error:
        raise explained(Deployment, path, "", error) from error
    deployment._path = path
    return replace(resolve(deployment), digest=generation.digest)


def alive(pid: int) -> bool:
    """A process of this id runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
