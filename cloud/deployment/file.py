"""The deployment file: intent as typed TOML. Unknown settings are errors that name the line; nothing is guessed.

`docs/deployment-file.md` explains every setting. Paths are relative to the file. Reading needs no package, no runtime and
no network; `resolving.py` turns the intent into what can be loaded.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from ...runtimes.base import Isolation
from ...sdk.core.errors import FormatError
from ...sdk.core.failover import BreakerRules, Entry, EntryKind, Policy
from ...sdk.core.manifest import digest_of
from .errors import explained, place_of

LATER = ("rollout", "automation", "monitor", "step")
"""Sections whose names are taken and which this version cannot honour: refused rather than ignored."""
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base of every section: unknown keys are refused, values are never coerced, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Model(Section):
    """A package that answers.

    Attributes:
        package: a folder, or a reference into the store.
        digest: refuse any other package than this one.
        artifact: a compiled artifact's folder; without it the package is compiled, verified and kept.
        target: name of a runtime.
        isolation: "inline", "thread" or "process".
        trust: host stages of the package may run.
        threads: intra-op threads of the engine.
        concurrency: calls at once on a thread-safe session (isolation "thread").
        kill_after_ms: isolation "process": a cancelled call that does not return within this time ends its worker.
    """

    package: str
    digest: str | None = None
    artifact: str | None = None
    target: str = "onnx-cpu"
    isolation: Isolation = "thread"
    trust: bool = False
    threads: Count = 1
    concurrency: Count = 1
    kill_after_ms: Positive = 1000.0


class Cache(Section):
    """Answers of the champion to the very same input. `stale`: also after `ttl_s`, and said so in the receipt."""

    ttl_s: Positive
    stale: bool = False
    max_entries: Count = 4096


class Endpoint(Section):
    """Another server with the same typed route (`POST url` with {"inputs": ...})."""

    url: Annotated[str, Field(pattern=r"^https?://")]
    timeout_ms: Positive


class Link(Section):
    """One entry of the chain: exactly one of a package (with its settings), a cache, an endpoint or a default."""

    package: str | None = None
    digest: str | None = None
    artifact: str | None = None
    target: str = "onnx-cpu"
    isolation: Isolation = "thread"
    trust: bool = False
    threads: Count = 1
    concurrency: Count = 1
    kill_after_ms: Positive = 1000.0
    cache: Cache | None = None
    endpoint: Endpoint | None = None
    default: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one(self) -> Link:
        given = [name for name in ("package", "cache", "endpoint", "default") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"an entry is exactly one of package, cache, endpoint, default; this one has {', '.join(given) or 'none'}")
        if given != ["package"] and (extra := sorted(self.model_fields_set - set(given))):
            raise ValueError(f"{extra[0]!r} has no meaning beside {given[0]!r}")
        return self

    @property
    def kind(self) -> EntryKind:
        """What the failover policy calls it."""
        kinds: dict[str, EntryKind] = {"package": "model", "cache": "cache", "endpoint": "endpoint", "default": "default"}
        return next(kind for name, kind in kinds.items() if getattr(self, name) is not None)

    def model(self) -> Model:
        """The settings of a package entry."""
        return Model(**{name: getattr(self, name) for name in Model.model_fields})


class Breaker(Section):
    """See sdk/core/failover.py; times in milliseconds."""

    failures: Count = 5
    open_ms: Positive = 1000.0
    max_open_ms: Positive = 8000.0
    probe_ms: Positive = 2000.0


class Failover(Section):
    """Who answers when the champion does not.

    Attributes:
        deadline_ms: budget of a request from its arrival; None: calls are not cut short.
        reserve_ms: how long before the deadline the champion is given up; default: a tenth of the deadline.
        grace_ms: how long a backup that began late may run past the deadline; default: the deadline once more.
        breaker: when an entry is left alone for a while.
        chain: tried in order.
    """

    deadline_ms: Positive | None = None
    reserve_ms: Annotated[float, Field(ge=0)] | None = None
    grace_ms: Annotated[float, Field(ge=0)] | None = None
    breaker: Breaker = Breaker()
    chain: list[Link] = []

    @model_validator(mode="after")
    def _meant(self) -> Failover:
        if self.deadline_ms is None and (self.reserve_ms is not None or self.grace_ms is not None):
            raise ValueError("reserve_ms and grace_ms need a deadline_ms")
        if self.deadline_ms is not None and self.reserve_ms is not None and self.reserve_ms >= self.deadline_ms:
            raise ValueError(f"reserve_ms ({self.reserve_ms:g}) must be below deadline_ms ({self.deadline_ms:g})")
        if any(link.kind == "default" for link in self.chain[:-1]):
            raise ValueError("a default always answers, so it must be the last entry of the chain")
        return self


class Server(Section):
    """Limits of the doors.

    Attributes:
        max_body_mb: larger requests are refused (413).
        max_rows: more rows in one request are refused (422).
        warm_up_s: how long the models may take to be loaded and warm before the service calls itself broken.
    """

    max_body_mb: Positive = 16.0
    max_rows: Count = 4096
    warm_up_s: Positive = 120.0


class Records(Section):
    """Where records go. `path` is relative to the deployment file; `raw_limit_bytes`: larger tensors are described, not kept."""

    enabled: bool = True
    path: str = "records.sqlite"
    queue: Count = 10_000
    raw_limit_bytes: Annotated[int, Field(ge=0)] = 4096


class Deployment(Section):
    """A deployment file, read. `path` is where it was read from."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    champion: Model
    failover: Failover = Failover()
    server: Server = Server()
    records: Records = Records()
    _path: Path = PrivateAttr(default=Path("deployment.toml"))

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
        rules = BreakerRules(**times.breaker.model_dump())
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
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{path.name} is not TOML: {error}", got=str(path)) from error
    for name in LATER:
        if name in data:
            raise FormatError(f"{place_of(path, text, (name,))}: [{name}] is not supported yet by this version of Portside",
                              fix="Remove the section; it would be ignored, and an ignored intent is a wrong deployment.")  # fmt: skip
    try:
        deployment = Deployment.model_validate(data)
    except ValidationError as error:
        raise explained(Deployment, path, text, error) from error
    deployment._path = path
    return deployment
