"""`agent.toml`: what a device runs, who answers when that does not, what goes home. Strict: what is not known is an error, not ignored.

`docs/edge.md` explains every setting. Paths are relative to the file. Reading opens no model and asks no network.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from ..runtimes.base import Isolation
from ..sdk.core.canonical import digest_of
from ..sdk.core.errors import FormatError
from ..sdk.core.failover import BreakerRules, Entry, EntryKind, Policy
from ..sdk.core.file_errors import explained

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
KINDS: dict[str, EntryKind] = {"slot": "model", "artifact": "model", "endpoint": "endpoint", "cache": "cache", "default": "default"}
"""What the failover policy calls the entries of a chain."""


class Section(BaseModel):
    """Base of every section: unknown keys are refused, values are never coerced, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Endpoint(Section):
    """A server with the same typed route (`POST url` with {"inputs": ...}). key_file: holds its API key. timeout_ms: bounds one attempt."""

    url: Annotated[str, Field(pattern=r"^https?://")]
    timeout_ms: Positive
    key_file: str | None = None


class Cache(Section):
    """Answers of the first model to the very same input. stale: answer from it after `ttl_s` too; the receipt says so."""

    ttl_s: Positive = 3600.0
    stale: bool = False
    max_entries: Count = 1024
    max_mb: Positive = 16.0


class Link(Section):
    """One entry of the chain: exactly one of the active slot, an artifact's folder, an endpoint, a cache or a default.

    Attributes:
        isolation: where a model's calls run; default: "thread" where there is a deadline, which "inline" cannot keep, else "inline".
        trust: host stages of the model may run.
    """

    slot: Literal[True] | None = None
    artifact: str | None = None
    endpoint: Endpoint | None = None
    cache: Cache | None = None
    default: dict[str, Any] | None = None
    isolation: Isolation | None = None
    trust: bool = False

    @model_validator(mode="after")
    def _one(self) -> Link:
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"an entry is exactly one of {', '.join(KINDS)}; this one has {', '.join(given) or 'none'}")
        if self.kind != "model" and (extra := sorted(self.model_fields_set - set(given))):
            raise ValueError(f"{extra[0]!r} has no meaning beside {given[0]!r}")
        return self

    @property
    def kind(self) -> EntryKind:
        """What the failover policy calls it."""
        return next(kind for name, kind in KINDS.items() if getattr(self, name) is not None)


class Breaker(Section):
    """When an entry is left alone for a while: see sdk/core/breaker.py; times in milliseconds, rates as shares."""

    failures: Count = 5
    open_ms: Positive = 1000.0
    max_open_ms: Positive = 8000.0
    probe_ms: Positive = 2000.0
    probes: Count = 1
    error_rate: Share | None = None
    slow_rate: Share | None = None
    slow_ms: Positive | None = None
    min_calls: Count = 20

    @model_validator(mode="after")
    def _meant(self) -> Breaker:
        try:
            self.rules()
        except FormatError as error:
            raise ValueError(str(error)) from error
        return self

    def rules(self) -> BreakerRules:
        """As the policy takes them."""
        return BreakerRules(**self.model_dump(exclude_none=True))


class Failover(Section):
    """Who answers, in order; times as in a deployment file."""

    deadline_ms: Positive | None = None
    reserve_ms: Annotated[float, Field(ge=0)] | None = None
    grace_ms: Annotated[float, Field(ge=0)] | None = None
    breaker: Breaker = Breaker()
    chain: list[Link] = Field(default_factory=lambda: [Link(slot=True)])

    @model_validator(mode="after")
    def _meant(self) -> Failover:
        if not self.chain or self.chain[0].kind != "model":
            raise ValueError("the chain begins with a model on this device: slot = true, or artifact = a folder")
        if sum(link.slot is True for link in self.chain) > 1:
            raise ValueError("there is one active slot, so slot = true stands once")
        if any(link.kind == "default" for link in self.chain[:-1]):
            raise ValueError("a default always answers, so it must be the last entry of the chain")
        if self.deadline_ms is None and (self.reserve_ms is not None or self.grace_ms is not None):
            raise ValueError("reserve_ms and grace_ms need a deadline_ms")
        if self.deadline_ms is not None and self.reserve_ms is not None and self.reserve_ms >= self.deadline_ms:
            raise ValueError(f"reserve_ms ({self.reserve_ms:g}) must be below deadline_ms ({self.deadline_ms:g})")
        return self

    def policy(self) -> Policy:
        """As everywhere else: a tenth of the deadline is kept for the backups, which may take as long again."""
        chain = tuple(Entry(link.kind, link.endpoint.timeout_ms if link.endpoint else None) for link in self.chain)
        rules, deadline = self.breaker.rules(), self.deadline_ms
        if deadline is None:
            return Policy(chain, breaker=rules)
        reserve = deadline / 10 if self.reserve_ms is None else self.reserve_ms
        grace = deadline if self.grace_ms is None else self.grace_ms
        return Policy(chain, deadline, reserve, grace, rules)


class OutboxSection(Section):
    """What waits to go home.

    Attributes:
        quota_mb: of all its files together, in 2^20 bytes.
        records: "summaries": answers are counted, "whole": every record goes home. Errors and reviews always go whole.
        span_s, least_rows: of a summary; see `summing.py`. raw_kb: larger tensors leave as shape, dtype and sha256.
    """

    quota_mb: Annotated[float, Field(ge=1)] = 64.0
    records: Literal["summaries", "whole"] = "summaries"
    span_s: Positive = 300.0
    least_rows: Count = 20
    raw_kb: Positive = 4.0


class Upload(Section):
    """Where the outbox goes. key_file: holds this device's key. ca: certificates to trust instead of the system's."""

    url: str
    key_file: str
    every_s: Positive = 10.0
    hello_s: Positive = 300.0
    ca: str | None = None


class Updates(Section):
    """Where releases come from, and what is asked of them.

    Attributes:
        mirror: URL of a signed repository. root: its 1.root.json, shipped with the device.
        name: of the package; platform: of this device, e.g. "tflite".
        every_s: how often is looked. follow: "newest" that is signed, or what the upload's "server" says.
        p95_ms, max_disagreement, agree, most_rows: of a trial, see `health.Limits`.
        quota_mb: how large a release may be; reserve_mb: what stays free on the disk; in 2^20 bytes.
    """

    mirror: str
    root: str
    name: Annotated[str, Field(pattern=NAME)]
    platform: str
    every_s: Positive = 3600.0
    follow: Literal["newest", "server"] = "newest"
    p95_ms: Positive | None = None
    max_disagreement: Annotated[float, Field(gt=0, lt=1)] = 0.05
    agree: list[str] | None = None
    most_rows: Count = 10_000
    quota_mb: Positive | None = None
    reserve_mb: Annotated[float, Field(ge=0)] = 16.0


class Escalate(Section):
    """Which answers are uncertain: the largest number of `output` in a row is below, or above, a limit.

    Attributes:
        ask: ask the chain's endpoint for its answer, once, within its time.
    """

    output: str
    below: float | None = None
    above: float | None = None
    ask: bool = False

    @model_validator(mode="after")
    def _one(self) -> Escalate:
        if (self.below is None) == (self.above is None):
            raise ValueError("uncertain is below or above a limit: give exactly one of below, above")
        return self


class Limits(Section):
    """What the agent may take. threads: of each engine. memory_mb: over it, the agent ends orderly, to be started anew; in 2^20 bytes."""

    threads: Count = 1
    memory_mb: Positive | None = None


class AgentSettings(Section):
    """An `agent.toml`, read. doors: where local callers are answered, see `door_settings.py`; None: nowhere."""

    name: Annotated[str, Field(pattern=NAME)]
    device: Annotated[str, Field(pattern=NAME)]
    folder: str = "state"
    failover: Failover = Failover()
    outbox: OutboxSection = OutboxSection()
    upload: Upload | None = None
    updates: Updates | None = None
    escalate: Escalate | None = None
    limits: Limits = Limits()
    doors: dict[str, Any] | None = None
    _path: Path = PrivateAttr(default=Path("agent.toml"))

    @model_validator(mode="after")
    def _whole(self) -> AgentSettings:
        if self.updates is not None and self.updates.follow == "server" and self.upload is None:
            raise ValueError('follow = "server" needs [upload]: the server that says which release is wanted here')
        if self.escalate is not None and self.escalate.ask and not any(link.endpoint for link in self.failover.chain):
            raise ValueError("[escalate] ask = true needs an endpoint in the chain")
        return self

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def root(self) -> Path:
        """The folder of slots, outbox and what else the agent keeps."""
        return self.at(self.folder)

    @property
    def digest(self) -> str:
        """Of the intent, for records."""
        return digest_of(self.model_dump(mode="json"))

    def at(self, path: str) -> Path:
        """A path of the file, from where the file lies."""
        return self._path.parent / Path(path).expanduser()

    def secret(self, path: str) -> str:
        """The key in a file. Raises FormatError where it cannot be read or is empty."""
        try:
            held = self.at(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise FormatError(f"The key file cannot be read: {error}", fix="Put the key alone into the file.") from error
        if not held:
            raise FormatError("The key file is empty", got=str(self.at(path)), fix="Put the key alone into the file.")
        return held


def read(path: str | Path) -> AgentSettings:
    """Read and check an `agent.toml`.

    Raises:
        FormatError: not there, not TOML, or a setting that is unknown, of the wrong type, or not meant so; names the line.
    """
    path = Path(path).resolve()
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except FileNotFoundError as error:
        raise FormatError(
            "There is no such agent file", got=str(path), fix='Begin with name = "..." and device = "..."; see docs/edge.md.'
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"The agent's file cannot be read: {error}", got=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{path.name} is not TOML: {error}", got=str(path)) from error
    try:
        settings = AgentSettings.model_validate(data)
    except ValidationError as error:
        raise explained(AgentSettings, path, text, error) from error
    settings._path = path
    return settings
