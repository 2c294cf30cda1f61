"""From a candidate that passed its gates to its rollout: the server takes it up, and the rollout of the deployment's file begins.

The file is the user's: nothing is written into it. A file that names the tag "NAME:candidate" as its challenger names whatever passed
last; any other file is told, in words, which line to change.
"""

from __future__ import annotations

from ...sdk.core.errors import PortsideError
from ...sdk.opening import open as open_package
from ..deployment.file import Deployment
from ..deployment.resolving import reference_of
from ..deployment.retrain import Retrain
from ..deployment.sections import Model
from ..records.database import Database
from ..releasing.gates import ReleaseGates
from ..reloading import reload
from ..rollouts.control import start
from ..rollouts.storing import every
from .run import Run

CANDIDATE = "candidate"
"""The tag of what passed its gates last."""
WAIT_S = 600.0
AUTHOR = "portside retrain"


def challenger_of(deployment: Deployment, run: Run) -> Model:
    """The candidate with the settings of the challenger whose place it takes, else of the champion."""
    settings = _named(deployment, run) or deployment.champion
    assert settings is not None  # noqa: S101  whoever retrains has a champion
    return settings.model_copy(update={"package": run.ref, "digest": run.candidate, "artifact": None})


def in_the_way(deployment: Deployment, database: Database, own: str = "") -> str | None:
    """What a new candidate has to wait for: a rollout that goes on, or one whose winner is not the champion of the file yet.

    `own`: id of the candidate's run, whose rollout is not in its own way.
    """
    held = next(iter(every(database, deployment.name)), None)
    if held is None or held.id == own:
        return None
    tried = held.about["challengers"][0]
    if not held.closed:
        return f"{tried['name']} is being tried (rollout {held.number}, {held.place})"
    if held.state.phase == "promoted" and not _is_champion(deployment, tried["digest"]):
        return (f"{tried['name']} ({tried['digest'][7:19]}) was promoted and answers, and the file names another champion: "
                "name it under [champion], and reload")  # fmt: skip
    return None


def hand_over(deployment: Deployment, section: Retrain, run: Run, gates: ReleaseGates | None, tagged: str) -> str:
    """Let the server take the candidate up and begin its rollout; what became of that, in a sentence. Done twice it is done once."""
    passed = f"{run.ref} passed its gates, and is {tagged} now"
    if _named(deployment, run) is None:
        return f"{passed}. To try it, say [rollout] challenger = \"{tagged}\" in {deployment.path.name}, then: portside rollout start"
    if not section.rollout:
        return f"{passed}. To try it: portside rollout start {deployment.path.name}"
    try:
        return f"{passed}; {_tried(deployment, run, gates)}"
    except PortsideError as error:
        return f"{passed}. It is not tried yet: {error}"


def _tried(deployment: Deployment, run: Run, gates: ReleaseGates | None) -> str:
    with Database.open(deployment.records.place(deployment.folder)) as database:
        begun = next((held for held in every(database, deployment.name) if held.id == run.id), None)
    if begun is None:
        done = reload(deployment.path, WAIT_S)
        if done.failed or not done.served:
            why = done.failed[0].why if done.failed else f"not every worker served it within {WAIT_S:g} s"
            return f"the server goes on without it: {why}"
        asked = {} if gates is None else {gates.name: gates}
        begun = start(deployment, AUTHOR, asked, "; ".join(trigger.why for trigger in run.triggers), rollout=run.id)
    return f"its rollout has begun (number {begun.number}, {begun.place})"


def _named(deployment: Deployment, run: Run) -> Model | None:
    """The challenger of the file that is the tag of this candidate."""
    name = run.ref.rpartition(":")[0]
    held = deployment.rollout.challengers if deployment.rollout is not None else ()
    return next((model for model in held if model.package in (f"{name}:{CANDIDATE}", run.ref)), None)


def _is_champion(deployment: Deployment, digest: str) -> bool:
    settings = deployment.champion
    if settings is None:
        return False
    return open_package(reference_of(deployment, settings.package), settings.digest, settings.trust).digest == digest
