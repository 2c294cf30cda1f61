"""Runs of retraining: what each is about and how far it came, one JSON file a run, replaced in one step as it goes on.

    $PORTSIDE_HOME/deployments/NAME-HASH/retrain/lock
                                                 runs/RUN/run.json      how far it came
                                                          log.txt       what the command printed
                                                          checkpoints/  the command's own, kept while the run is not over
                                                          attempt-N/    what the N-th attempt of the command left, in out/
                                                          candidate/    that, with its lineage
                                                          gates.json    what was asked of it

A run goes through its stages in order, and every stage can be done again: a run whose process was killed is taken up where it was.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter

from ...sdk.core.errors import FormatError, StoreError
from ...sdk.core.file_errors import complaint
from ...sdk.core.records import new_id
from ...sdk.core.replacing import replace_file
from .triggers import Past, Trigger

FILE, UPSTREAM = "run.json", "upstream.json"
Stage: TypeAlias = Literal["dataset", "training", "lineage", "push", "gates", "hand over", "done", "failed"]
"""What is done next; "done" and "failed" are the ends."""


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        id: UUIDv7.
        deployment: name.
        began_ms, ended_ms: Unix milliseconds; `ended_ms` 0: it goes on.
        triggers: why it began.
        champion: digest of the package it is to follow.
        upstream: reference -> digest, as the run found them.
        stage: what is done next.
        attempts: how often the command was started.
        pid, ticks: of the command that runs, with the time at which the system started it; 0: none does.
        dataset, rows: digest of the dataset, and split -> rows.
        candidate: digest of what was made, `ref`: its name in the store.
        verdict: of the gates.
        why: what became of it, in a sentence.
    """

    id: str
    deployment: str
    began_ms: int
    triggers: tuple[Trigger, ...] = ()
    champion: str = ""
    upstream: Mapping[str, str] = field(default_factory=dict[str, str])
    stage: Stage = "dataset"
    attempts: int = 0
    pid: int = 0
    ticks: int = 0
    dataset: str = ""
    rows: Mapping[str, int] = field(default_factory=dict[str, int])
    candidate: str = ""
    ref: str = ""
    verdict: str = ""
    why: str = ""
    ended_ms: int = 0

    @property
    def over(self) -> bool:
        """Nothing of it is left to be done."""
        return self.stage in ("done", "failed")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        triggers = [held.to_dict() for held in self.triggers]
        return {**vars(self), "triggers": triggers, "upstream": dict(self.upstream), "rows": dict(self.rows)}


@dataclass(frozen=True)
class Runs:
    """The runs of one deployment. `folder`: see above."""

    folder: Path

    def begin(self, deployment: str, now_ms: int, **known: Any) -> Run:
        """A new run, on the disk. Raises StoreError."""
        return self.save(Run(new_id(), deployment, now_ms, **known))

    def place(self, run: Run) -> Path:
        """The folder of a run."""
        return self.folder / "runs" / run.id

    def save(self, run: Run, **changed: Any) -> Run:
        """The run with what has changed, on the disk. Raises StoreError."""
        held = replace(run, **changed)
        self._put(self.place(held) / FILE, held.to_dict())
        return held

    def find(self, run: Run) -> Run:
        """The run as it is on the disk. Raises FormatError."""
        return _read(self.place(run) / FILE)

    def all(self) -> list[Run]:
        """The newest first. Raises FormatError for one that cannot be read."""
        found = sorted((self.folder / "runs").glob(f"*/{FILE}"), reverse=True)
        return [_read(path) for path in found]

    def unfinished(self) -> Run | None:
        """The run that was left in the middle, if one was."""
        return next((run for run in self.all() if not run.over), None)

    def past(self) -> Past:
        """What earlier runs knew: all of them for the cooldown, those that made a candidate for everything else."""
        runs = self.all()
        done = [run for run in runs if run.stage == "done"]
        return Past(runs[0].began_ms if runs else None, done[0].began_ms if done else None,
                    frozenset(trigger.id for run in done for trigger in run.triggers if trigger.id),
                    done[0].upstream if done else self.known_upstream())  # fmt: skip

    def known_upstream(self) -> dict[str, str]:
        """reference -> digest, as they were when somebody first looked. Raises FormatError."""
        path = self.folder / UPSTREAM
        try:
            return _UPSTREAM.validate_json(path.read_bytes(), strict=True)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise FormatError(f"What was built on cannot be read: {complaint(error)}", got=str(path), fix="Remove it.") from error

    def note_upstream(self, found: Mapping[str, str]) -> None:
        """Remember packages that nobody looked at before, so that a change of them is one. Raises StoreError."""
        known = self.known_upstream()
        if new := {name: digest for name, digest in found.items() if name not in known}:
            self._put(self.folder / UPSTREAM, {**known, **new})

    def _put(self, path: Path, data: Mapping[str, Any]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, (json.dumps(data, indent=1) + "\n").encode())
        except OSError as error:
            raise StoreError(f"The run cannot be written down: {error.strerror or error}", got=str(path)) from error

    def forget(self, keep: int) -> None:
        """Remove the folders of all but the newest runs; one that goes on stays. What was pushed stays in the store."""
        for run in self.all()[keep:]:
            if run.over:
                shutil.rmtree(self.place(run), ignore_errors=True)


def _read(path: Path) -> Run:
    """Unknown fields are left out. A run is its folder's: an id that leads elsewhere would be removed there."""
    try:
        run = _RUN.validate_json(path.read_bytes(), strict=True)
        if run.id != path.parent.name:
            raise ValueError("it is about another run")
    except (OSError, ValueError) as error:
        raise FormatError(f"A run of retraining cannot be read: {complaint(error)}", got=str(path), fix="Remove its folder.") from error
    return run


_RUN, _UPSTREAM = TypeAdapter(Run), TypeAdapter(dict[str, str])
