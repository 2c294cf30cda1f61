"""The same entity with the same content gets the same answer for a while, whoever gave it first.

- A window starts with the first answer and does not slide: an entity that asks often is not held to an old answer for ever.
- Strict: an entity has one window. In it the entity keeps its decisions (outputs of kind "decision"), also where its content
  has changed since; scores and values are those of the new content.
- Bounded by entries and bytes. The oldest leave first, before their window has ended if there are too many; that is counted.

One event loop only. Two requests under way at once for the same entity: the first to end is the answer of both.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple, TypeAlias

from ...sdk.core.records import UNANSWERED
from ...sdk.core.signature import Array, Signature
from ..deployment.failover import Consistency
from .cache import owned, size_of

Outputs: TypeAlias = Mapping[str, Array]


class Author(NamedTuple):
    """Who gives an answer, as receipts and records say it.

    Attributes:
        place: in the chain.
        model, version, target: see Receipt.
        package, artifact, arm, decided_by: see Record.
    """

    place: int
    model: str
    version: str
    target: str
    package: str
    artifact: str
    arm: str
    decided_by: str


NOBODY = Author(-1, "", "", "", "", "", UNANSWERED, "none")
"""Who answers where nothing could."""


class Held(NamedTuple):
    """The answer that an entity gets. `age_ms`: since it was first given; None: it is new."""

    outputs: Outputs
    author: Author
    age_ms: float | None = None


class _Said(NamedTuple):
    """What was said. `at`: clock seconds when its window began."""

    outputs: Outputs
    author: Author
    at: float
    size: int


class ConsistencyWindow:
    """What was answered to whom. `settings` says for how long; the signature says which outputs are decisions.

    Attributes:
        evicted: answers that had to leave before their window ended.
        size_bytes: about what is kept.
    """

    def __init__(self, settings: Consistency, signature: Signature, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings, self.signature, self._clock = settings, signature, clock
        self._decisions = [spec.name for spec in signature.outputs if spec.kind == "decision"]
        self._strict = settings.strict and bool(self._decisions)
        self._most = int(settings.max_mb * (1 << 20))
        self._said: OrderedDict[Hashable, _Said] = OrderedDict()
        self.size_bytes, self.evicted = 0, 0

    def __len__(self) -> int:
        return len(self._said)

    def held(self, entity: str, key: bytes) -> Held | None:
        """What was said to this entity about this content."""
        now = self._clock()
        said = self._within((entity, key), now)
        return None if said is None else Held(said.outputs, said.author, (now - said.at) * 1e3)

    def settle(self, entity: str, key: bytes, outputs: Outputs, author: Author) -> Held:
        """What a new answer becomes: itself, and kept; or what was said meanwhile; strict: with the decisions that hold."""
        now = self._clock()
        if (said := self._within((entity, key), now)) is not None:
            return Held(said.outputs, said.author, (now - said.at) * 1e3)
        held, began = self._bound(entity, outputs, author, now) if self._strict else (outputs, now)
        self._keep((entity, key), held, author, began)
        return Held(held, author, None if held is outputs else (now - began) * 1e3)

    def _bound(self, entity: str, outputs: Outputs, author: Author, now: float) -> tuple[Outputs, float]:
        """The outputs with the decisions that hold for the entity, and when its window began."""
        said = self._within(entity, now)
        if said is None:
            self._keep(entity, {name: outputs[name] for name in self._decisions}, author, now)
            return outputs, now
        same = [outputs[name].shape == kept.shape and bool((outputs[name] == kept).all()) for name, kept in said.outputs.items()]
        other = any(outputs[name].shape != kept.shape for name, kept in said.outputs.items())  # other rows: another question
        return (outputs if other or all(same) else {**outputs, **said.outputs}), said.at

    def _within(self, key: Hashable, now: float) -> _Said | None:
        self._expire(now)
        said = self._said.get(key)
        return None if said is None or now - said.at >= self.settings.window_s else said

    def _expire(self, now: float) -> None:
        """What was said first stands first; what stands first and whose window has ended leaves."""
        while self._said and now - next(iter(self._said.values())).at >= self.settings.window_s:
            self._leave()

    def _keep(self, key: Hashable, outputs: Outputs, author: Author, at: float) -> None:
        own = owned(outputs)
        said = _Said(own, author, at, size_of(own))
        if (old := self._said.pop(key, None)) is not None:
            self.size_bytes -= old.size
        self._said[key] = said
        self.size_bytes += said.size
        while len(self._said) > self.settings.max_entries or self.size_bytes > self._most:
            self._leave()
            self.evicted += 1

    def _leave(self) -> None:
        _, said = self._said.popitem(last=False)
        self.size_bytes -= said.size


def window_of(settings: Consistency | None, signature: Signature, before: ConsistencyWindow | None = None) -> ConsistencyWindow | None:
    """The window of an engine; `before`: that of the version before it, which goes on where it was set alike and the outputs are alike."""
    if settings is None:
        return None
    same = before is not None and before.settings == settings and before.signature.outputs == signature.outputs
    return before if same else ConsistencyWindow(settings, signature)
