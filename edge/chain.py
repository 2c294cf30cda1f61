"""The failover chain of a device as things that can be asked: opened models, the cloud, kept answers, a default.

What cannot be opened or does not fit is passed over, with the reason in `faults`: a device with one good model left goes on answering.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ..runtimes.artifact import read_artifact
from ..runtimes.base import LoadOptions
from ..runtimes.bench import golden, one_row
from ..runtimes.isolation import Lane, isolate
from ..runtimes.loading import load
from ..sdk.core import failover
from ..sdk.core.chain_answers import default_row
from ..sdk.core.codec.codec import Codec
from ..sdk.core.door import Checked, Door
from ..sdk.core.errors import FormatError, PortsideError
from ..sdk.core.signature import Array, Signature, TensorSpec
from .cloud_entry import CloudSession
from .kept import Kept
from .leaving import hidden
from .settings import AgentSettings, Link

READY_S = 30.0
NO_RELEASE = "no release is in a slot yet"
log = logging.getLogger("portside.agent")


@dataclass(eq=False)
class OpenModel:
    """A model: codec and door of its own in front of its lane.

    Attributes:
        name, digest, target, artifact: for receipts and records.
        signature, codec: of its artifact.
    """

    name: str
    digest: str
    target: str
    artifact: str
    signature: Signature
    codec: Codec
    lane: Lane
    door: Door = field(init=False)

    def __post_init__(self) -> None:
        self.door = Door(self.signature)
        alone = self.lane.inline and not self.lane.info.thread_safe
        self._turn = threading.Lock() if alone else nullcontext()

    def encode(self, wire: Any) -> Checked:
        """Wire fields to typed arrays that passed the door. Raises InputError."""
        return self.door.check(self.codec.encode(wire))

    def ask(self, arrays: Any, until_s: float | None) -> dict[str, Array]:
        """The answer by `until_s` (monotonic seconds). Raises EngineError, InputError."""
        if not self.lane.inline:
            return self.lane.run(arrays, until=until_s)
        with self._turn:
            return self.lane.run_inline(arrays, until_s)


@dataclass(eq=False)
class Cloud:
    """An endpoint: asked in a lane, so that waiting for it is bounded."""

    name: str
    lane: Lane


Opened: TypeAlias = "OpenModel | Cloud | Kept | dict[str, Array] | None"
"""An entry; a mapping is a default's row, None one that is passed over."""


def open_model(path: Path, link: Link, settings: AgentSettings) -> OpenModel:
    """Open a compiled artifact and warm it with a golden row. Raises PortsideError."""
    threads, deadline = settings.limits.threads, settings.failover.deadline_ms
    isolation = link.isolation or ("inline" if deadline is None else "thread")
    if isolation == "process":
        lane = isolate(path, "process", LoadOptions(threads=threads, trust=link.trust, door=False))
    else:
        session = load(path, threads=threads, trust=link.trust, door=False)
        lane = Lane(session, threads=0 if isolation == "inline" else 1, replace=isolation == "thread" and session.info.thread_safe)
    artifact = read_artifact(path)
    try:
        codec = Codec.from_steps(artifact.codec, artifact.read)
        model = OpenModel(artifact.name, artifact.package_digest, artifact.target, artifact.digest, artifact.signature, codec, lane)
        if wait := getattr(lane.session, "wait_ready", None):
            wait(READY_S)
        model.ask(model.door.check(one_row(artifact.signature, golden(artifact.contract()))).arrays, time.monotonic() + READY_S)
    except BaseException:
        lane.close()
        raise
    return model


class Chain:
    """The entries of one moment; a new release makes a new chain, which takes over what stays.

    Args:
        settings: of the agent.
        slot: folder of the active release's artifact; None: there is none.
        before: the chain that this one follows.

    Attributes:
        entries, faults: by place; a fault says why an entry is passed over, "" where it is not.
        champion, place: the first model that is open, whose signature callers see, and where it stands; None, -1.
        breakers: as the policy has them; changed under `lock`.
        users: calls under way.
    """

    def __init__(self, settings: AgentSettings, slot: Path | None, before: Chain | None = None) -> None:
        self.settings, self.slot, self.lock, self.users = settings, slot, threading.Lock(), 0
        links = settings.failover.chain
        self.policy = settings.failover.policy()
        self.entries: list[Opened] = [None] * len(links)
        self.faults = [""] * len(links)
        self.champion, self.place = None, -1
        self._retired, self._leaving = False, list[Lane]()
        for place, link in enumerate(links):
            if link.kind == "model":
                self._try(place, lambda place=place, link=link: self._model(place, link, before))
        for place, link in enumerate(links):
            if link.kind != "model":
                self._try(place, lambda place=place, link=link: self._other(place, link, before))
        fresh = failover.start(self.policy)
        held = before.breakers if before else fresh
        self.breakers = tuple(new if link.slot else old for new, old, link in zip(fresh, held, links, strict=True))

    champion: OpenModel | None

    @property
    def signature(self) -> Signature | None:
        """What callers see."""
        return self.champion.signature if self.champion else None

    @property
    def escalation_fault(self) -> str:
        """Why no answer will be found uncertain although `agent.toml` says which ones are; "": nothing is wrong."""
        asked, signature = self.settings.escalate, self.signature
        if asked is None or signature is None:
            return ""
        numbers = [spec.name for spec in signature.outputs if spec.dtype not in ("string", "bool") and spec.categories is None]
        if asked.output in numbers:
            return ""
        return f"no output of numbers is named {asked.output!r}; there are: {', '.join(numbers) or 'none'}"

    @property
    def slot_fault(self) -> str:
        """Why the slot is passed over; "": it is not, or has no place in the chain."""
        return next((fault for fault, link in zip(self.faults, self.settings.failover.chain, strict=True) if link.slot), "")

    @property
    def model_faults(self) -> list[str]:
        """Why models are passed over."""
        return [fault for fault, link in zip(self.faults, self.settings.failover.chain, strict=True) if link.kind == "model" and fault]

    def lanes(self) -> list[Lane]:
        """Of models and endpoints."""
        return [entry.lane for entry in self.entries if isinstance(entry, OpenModel | Cloud)]

    def unready(self) -> list[int]:
        """Places that cannot be called now."""
        return [place for place, entry in enumerate(self.entries)
                if entry is None or (isinstance(entry, OpenModel | Cloud) and not entry.lane.ready)]  # fmt: skip

    def retire(self, after: Chain | None = None) -> None:
        """Close what `after` has not taken over, once nobody uses it."""
        kept = {id(lane) for lane in after.lanes()} if after else set[int]()
        self._leaving = [lane for lane in self.lanes() if id(lane) not in kept]
        with self.lock:
            self._retired, free = True, self.users == 0
        if free:
            self._close()

    def enter(self) -> bool:
        """A call begins; False where the chain is retired, and another one answers."""
        with self.lock:
            self.users += not self._retired
            return not self._retired

    def leave(self) -> None:
        """A call has ended."""
        with self.lock:
            self.users -= 1
            last = self._retired and self.users == 0
        if last:
            self._close()

    def _close(self) -> None:
        for lane in self._leaving:
            lane.close()

    def _try(self, place: int, opened: Any) -> None:
        try:
            self.entries[place] = opened()
        except Exception as error:  # recorded: whatever is wrong with one entry, the others answer
            self.faults[place] = str(error) if isinstance(error, PortsideError | OSError) else repr(error)
            if not waits(self.faults[place]):
                log.error("Entry %d of the chain is passed over: %s", place, self.faults[place])
            return
        if self.champion is None and isinstance(found := self.entries[place], OpenModel):
            self.champion, self.place = found, place

    def _model(self, place: int, link: Link, before: Chain | None) -> OpenModel:
        path = self.slot if link.slot else self.settings.at(str(link.artifact))
        if path is None:
            raise FormatError(NO_RELEASE)
        held = before.entries[place] if before and not link.slot else None
        model = held if isinstance(held, OpenModel) else open_model(path, link, self.settings)
        try:
            if self.champion is not None:
                check_backup(self.champion.signature, model.signature)
        except FormatError:
            if model is not held:
                model.lane.close()
            raise
        return model

    def _other(self, place: int, link: Link, before: Chain | None) -> Opened:
        if self.champion is None:
            raise FormatError("There is no model whose answers it could stand for")
        signature = self.champion.signature
        if link.default is not None:
            return default_row(link.default, signature)
        if signature.state:
            raise FormatError("A model with a memory is backed by a default alone: what it remembers is its own")
        if link.cache is not None:
            return Kept(link.cache)  # what another release answered is not kept
        return self._cloud(link, signature)

    def _cloud(self, link: Link, signature: Signature) -> Cloud:
        assert link.endpoint is not None  # noqa: S101  the kinds are these
        if stays := sorted(hidden(signature) & {spec.name for spec in signature.inputs}):
            raise FormatError(f"The field {stays[0]!r} stays on the device, so the endpoint cannot be asked")
        key = self.settings.secret(link.endpoint.key_file) if link.endpoint.key_file else None
        return Cloud(link.endpoint.url, Lane(CloudSession(link.endpoint.url, key, signature), replace=True))


def waits(fault: str) -> bool:
    """An entry is passed over because no release has been installed yet, which an update changes."""
    return fault.startswith(NO_RELEASE)


def check_backup(first: Signature, other: Signature) -> None:
    """Raise FormatError unless answers of `other` can stand for those of `first`."""
    if first.state or other.state:
        raise FormatError("A model with a memory is backed by a default alone: what it remembers is its own")
    given = {spec.name: spec for spec in other.outputs}
    for spec in first.outputs:
        if spec.name not in given or not _alike(spec, given[spec.name]):
            raise FormatError(f"Its outputs do not fit those of the first model: {spec.name!r}",
                              got=_text(given[spec.name]) if spec.name in given else ", ".join(given), expected=_text(spec))  # fmt: skip


def _alike(one: TensorSpec, other: TensorSpec) -> bool:
    sizes = zip(one.shape, other.shape, strict=False)
    same = all(a == b for a, b in sizes if isinstance(a, int) and isinstance(b, int)) and len(one.shape) == len(other.shape)
    return same and (one.dtype, one.batch_axis, one.categories) == (other.dtype, other.batch_axis, other.categories)


def _text(spec: TensorSpec) -> str:
    return f"{spec.dtype} {spec.shape}" + (f" of {list(spec.categories)}" if spec.categories else "")
