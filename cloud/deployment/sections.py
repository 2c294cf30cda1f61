"""The sections that say who answers: a package with its settings, a cache, an endpoint, a default, and the chain of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from ...runtimes.base import Isolation
from ...sdk.core.failover import EntryKind
from .base import Count, Positive, Section
from .failover import Breaker, Cache, Precomputed


class Batch(Section):
    """How calls of a model share batches. `max_wait_ms`: under load, how long a batch that is not full waits for more calls."""

    max_rows: Count = 64
    max_mb: Positive = 16.0
    max_wait_ms: Annotated[float, Field(ge=0)] = 0.0


class Limits(Section):
    """How much may wait for a model: calls, megabytes of inputs, and calls that wait or run. More is "busy"."""

    max_waiting: Count = 1024
    max_waiting_mb: Positive = 256.0
    max_inflight: Count | None = None


class Opened(Section):
    """How a package is opened.

    Attributes:
        digest: refuse any other package than this one.
        artifact: a compiled artifact's folder; without it the package is compiled, verified and kept.
        target: name of a runtime.
        isolation: "inline", "thread" or "process".
        trust: host stages of the package may run.
        threads: intra-op threads of the engine.
        concurrency: calls at once on a thread-safe session (isolation "thread").
        kill_after_ms: isolation "process": a cancelled call that does not return within this time ends its worker.
        batch: whether and how calls share batches; None: where it is faster, as measured at the start.
        limits: how much may wait.
    """

    digest: str | None = None
    artifact: str | None = None
    target: str = "onnx-cpu"
    isolation: Isolation = "thread"
    trust: bool = False
    threads: Count = 1
    concurrency: Count = 1
    kill_after_ms: Positive = 1000.0
    batch: bool | Batch | None = None
    limits: Limits = Limits()


class Model(Opened):
    """A package that answers. `package`: a folder, or a reference into the store."""

    package: str


class Endpoint(Section):
    """Another server with the same typed route (`POST url` with {"inputs": ...})."""

    url: Annotated[str, Field(pattern=r"^https?://")]
    timeout_ms: Positive


KINDS: dict[str, EntryKind] = {"package": "model", "cache": "cache", "precomputed": "cache", "endpoint": "endpoint", "default": "default"}
"""What the failover policy calls the entries of a chain."""


class Link(Opened):
    """One entry of the chain: exactly one of a package (with its settings), a cache, precomputed answers, an endpoint or a default."""

    package: str | None = None
    cache: Cache | None = None
    precomputed: Precomputed | None = None
    endpoint: Endpoint | None = None
    default: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one(self) -> Link:
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"an entry is exactly one of {', '.join(KINDS)}; this one has {', '.join(given) or 'none'}")
        if given != ["package"] and (extra := sorted(self.model_fields_set - set(given))):
            raise ValueError(f"{extra[0]!r} has no meaning beside {given[0]!r}")
        return self

    @property
    def kind(self) -> EntryKind:
        """What the failover policy calls it."""
        return next(kind for name, kind in KINDS.items() if getattr(self, name) is not None)

    def model(self) -> Model:
        """The settings of a package entry."""
        return Model(**{name: getattr(self, name) for name in Model.model_fields})


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
    chain: list[Link] = Field(default_factory=list[Link])

    @model_validator(mode="after")
    def _meant(self) -> Failover:
        if self.deadline_ms is None and (self.reserve_ms is not None or self.grace_ms is not None):
            raise ValueError("reserve_ms and grace_ms need a deadline_ms")
        if self.deadline_ms is not None and self.reserve_ms is not None and self.reserve_ms >= self.deadline_ms:
            raise ValueError(f"reserve_ms ({self.reserve_ms:g}) must be below deadline_ms ({self.deadline_ms:g})")
        if any(link.kind == "default" for link in self.chain[:-1]):
            raise ValueError("a default always answers, so it must be the last entry of the chain")
        return self
