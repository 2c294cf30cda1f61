"""The deployment file: intent as typed TOML. Unknown settings are errors that name the line; nothing is guessed.

`docs/deployment-file.md` explains every setting. Paths are relative to the file. Reading needs no package, no runtime and
no network; `resolving.py` turns the intent into what can be loaded.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from ...sdk.core.errors import FormatError
from ...sdk.core.failover import Entry, Policy
from ...sdk.core.file_errors import explained, place_of
from ...sdk.core.manifest import digest_of
from .automation import Automation
from .failover import Consistency
from .gates import Gates
from .monitor import Monitor
from .records import Records
from .retrain import Retrain
from .review import Review
from .rollout import Rollout
from .sections import Cache as Cache
from .sections import Endpoint as Endpoint
from .sections import Failover, Model, Section
from .sections import Link as Link
from .server import Server
from .steps import Graph, SourcesText, Step, misplaced


class Deployment(Section):
    """A deployment file, read: a champion with its failover, or a graph of steps. `path` is where it was read from."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    champion: Model | None = None
    failover: Failover = Failover()
    consistency: Consistency | None = None
    step: list[Step] = Field(default_factory=list[Step])
    graph: Graph = Graph()
    answer: dict[str, SourcesText] = Field(default_factory=dict)
    server: Server = Server()
    records: Records = Records()
    monitor: Monitor | None = None
    review: Review = Review()
    automation: Automation | None = None
    rollout: Rollout | None = None
    gates: Gates = Gates()
    retrain: Retrain | None = None
    _path: Path = PrivateAttr(default=Path("deployment.toml"))
    _text: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _one(self) -> Deployment:
        if fault := misplaced(self.champion is not None, self.model_fields_set, self.step):
            raise ValueError(fault)
        if self.monitor is not None and not self.records.enabled:
            raise ValueError("[monitor] reads records, and [records] has enabled = false")
        if self.rollout is not None and not self.records.enabled:
            raise ValueError("[rollout] is decided by records, and [records] has enabled = false")
        if self.retrain is not None and not self.records.enabled:
            raise ValueError("[retrain] trains on records, and [records] has enabled = false")
        return self

    def place(self, *where: str | int) -> str:
        """"deployment.toml line 7": where a setting stands in the file."""
        return place_of(self._path, self._text, where)

    def check_workers(self, workers: int) -> None:
        """Raise FormatError where a promise of this file holds for one server process only."""
        if self.consistency is not None and workers > 1:
            raise FormatError(f"{self.place('consistency')}: a consistency window is kept in one server process, so it needs --workers 1",
                              got=workers, fix="Use isolation = \"process\" or concurrency for more calls at once.")  # fmt: skip

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def folder(self) -> Path:
        """Where relative paths start."""
        return self._path.parent

    @property
    def digest(self) -> str:
        """Of the intent, for records: what was asked for, not where the file lies."""
        return digest_of(self.model_dump(mode="json"))

    def policy(self) -> Policy:
        """The failover policy: the champion, then the chain."""
        times, deadline = self.failover, self.failover.deadline_ms
        chain = (Entry("model"), *(Entry(link.kind, link.endpoint.timeout_ms if link.endpoint else None) for link in times.chain))
        rules = times.breaker.rules()
        if deadline is None:
            return Policy(chain, breaker=rules)
        reserve = deadline / 10 if times.reserve_ms is None else times.reserve_ms
        grace = deadline if times.grace_ms is None else times.grace_ms
        return Policy(chain, deadline, reserve, grace, rules)


def read(path: str | Path) -> Deployment:
    """Read and check a deployment file.

    Raises:
        FormatError: not there, not TOML, or a setting that is unknown, of the wrong type, or not supported; names the line.
    """
    path = Path(path).resolve()
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"The deployment file cannot be read: {error}", got=str(path)) from error
    except (ValueError, RecursionError) as error:  # more digits or brackets than any reader takes are no TOML either
        raise FormatError(f"{path.name} is not TOML: {error}", got=str(path)) from error
    try:
        deployment = Deployment.model_validate(data)
    except ValidationError as error:
        raise explained(Deployment, path, text, error) from error
    deployment._path, deployment._text = path, text
    return deployment
