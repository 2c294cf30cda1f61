"""A generation: one version of a deployment, pinned, that every worker of a running server takes up beside the one it serves.

`portside reload` proposes one (proposal.py); workers load it, and it becomes the newest generation when all of them hold it ready. What
each serves stands in a file of its own:

    $PORTSIDE_HOME/deployments/NAME-HASH/generation.json    the deployment with every package pinned by digest and artifact
    $PORTSIDE_HOME/deployments/NAME-HASH/workers/PID.json    {"generation", "state", "why"} of each worker process

HASH is of the deployment file's path: two files with one name do not meet. Files are replaced in one step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from ...runtimes.home import home
from ...sdk.core.errors import FormatError, PortsideError
from ...sdk.core.replacing import replace_file as replace_whole
from ...sdk.store_reference import Reference
from .resolving import ResolvedModel

State = Literal["loading", "ready", "serving", "failed"]
NEWEST = "generation.json"


@dataclass(frozen=True)
class Generation:
    """What workers are to serve.

    Attributes:
        number: larger than those before it.
        written: Unix seconds.
        intent: the deployment file's data, every package of it pinned.
        digest: of the deployment as it was resolved, for records.
    """

    number: int
    written: float
    intent: Mapping[str, Any]
    digest: str


@dataclass(frozen=True)
class WorkerState:
    """What one worker process says of itself: the generation it serves, and what became of the newest one it saw.

    "ready": that one is loaded and warm, and waits until the other workers hold it too.
    """

    pid: int
    generation: int
    state: State
    why: str = ""
    seen: int = 0


def folder_of(name: str, path: Path) -> Path:
    """Where the generations of a deployment file are."""
    return home() / "deployments" / f"{name}-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"


def read_generation(folder: Path, name: str = NEWEST) -> Generation | None:
    """The newest generation; None where there is none. Raises FormatError for a file that cannot be read."""
    path = folder / name
    try:
        data = json.loads(path.read_bytes())
        return Generation(int(data["number"]), float(data["written"]), data["intent"], str(data["digest"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"The generation cannot be read: {error}", got=str(path), fix="Run portside reload again.") from error


def write_generation(folder: Path, made: Generation, name: str = NEWEST) -> None:
    """Make it the newest, in one step."""
    replace_file(folder / name, asdict(made))


def stamp(folder: Path, name: str = NEWEST) -> int:
    """Changes whenever another generation is written; 0 where there is none."""
    try:
        found = (folder / name).stat()
    except OSError:
        return 0
    return hash((found.st_mtime_ns, found.st_ino, found.st_size))


def write_state(folder: Path, state: WorkerState) -> None:
    """Say what this process serves."""
    replace_file(folder / "workers" / f"{state.pid}.json", asdict(state))


def forget_state(folder: Path, pid: int) -> None:
    """This process serves nothing any more."""
    (folder / "workers" / f"{pid}.json").unlink(missing_ok=True)


def read_states(folder: Path, alive: Callable[[int], bool]) -> list[WorkerState]:
    """What the worker processes that are alive say; files of others are removed."""
    states = list[WorkerState]()
    for path in sorted((folder / "workers").glob("*.json")):
        try:
            state = WorkerState(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            continue  # it is being replaced, or was; the next look finds it
        if alive(state.pid):
            states.append(state)
        else:
            path.unlink(missing_ok=True)
    return states


def pinned(intent: Any, pins: Mapping[tuple[str, str], Mapping[str, str]]) -> Any:
    """The data of a deployment file with its packages pinned.

    Args:
        intent: as TOML gives it.
        pins: (package, target) -> settings that name exactly what was resolved; see `pins_of`.
    """
    if isinstance(intent, list):
        return [pinned(held, pins) for held in cast("list[Any]", intent)]
    if not isinstance(intent, dict):
        return intent  # text, numbers, dates
    held = {key: pinned(value, pins) for key, value in cast("dict[str, Any]", intent).items()}
    key = (str(held.get("package")), str(held.get("target", "onnx-cpu")))
    return {**held, **pins[key]} if "package" in held and key in pins else held


def whole_challenger(intent: Mapping[str, Any]) -> dict[str, Any]:
    """The data of a deployment file whose challenger is a section, where it was a name alone: so it can be pinned."""
    rollout = intent.get("rollout")
    if not isinstance(rollout, dict) or not isinstance(rollout.get("challenger"), str):  # pyright: ignore[reportUnknownMemberType]
        return dict(intent)
    return {**intent, "rollout": {**rollout, "challenger": {"package": rollout["challenger"]}}}


def pins_of(entries: Iterable[Any], folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    """What was resolved, as settings for `pinned`. `entries`: those of `Resolved`; `folder`: of the deployment file."""
    pins: dict[tuple[str, str], dict[str, str]] = {}
    for entry in entries:
        if not isinstance(entry, ResolvedModel):
            continue
        named = entry.settings.package
        pin = {"digest": entry.digest, "artifact": str(entry.artifact.path.resolve())}
        pins[named, entry.settings.target] = {**pin, "package": named if (folder / named).is_dir() else _with_digest(named, entry.digest)}
    return pins


def _with_digest(named: str, digest: str) -> str:
    """A store reference that cannot move; a folder elsewhere stays what it is, and its digest is checked."""
    try:
        reference = Reference.parse(named)
    except PortsideError:
        return named
    return named if reference.name is None or reference.digest else f"{named}@{digest}"


def replace_file(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON in one step, on the disk when it returns. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(path, json.dumps(data).encode())
