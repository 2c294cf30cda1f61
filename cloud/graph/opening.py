"""A graph, opened: an engine for each step, all of which write into one file of records."""

from __future__ import annotations

from functools import partial
from typing import cast

from ...sdk.core.errors import PortsideError
from ...sdk.core.signature import Signature
from ..answering.engine import Engine
from ..answering.opening import open_entries
from ..records.draft import Drafted, Row
from ..records.opening import open_store
from ..records.store import RecordStore
from .engine import GraphEngine
from .golden import require
from .resolving import ResolvedGraph, ResolvedStep


class SharedRecords:
    """A step's way to the graph's record store; closing it closes nothing.

    Attributes:
        few_bytes: see RecordStore.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store, self.few_bytes = store, store.few_bytes

    def gauges(self) -> dict[str, float]:
        """Of the store."""
        return self._store.gauges()

    def introduce(self, name: str, digest: str, signature: Signature) -> None:
        """Say what the records of a step hold."""
        self._store.introduce(name, digest, signature)

    def put(self, draft: Drafted | Row, size_bytes: int | None = None) -> bool:
        """Queue a record."""
        return self._store.put(draft, size_bytes)

    def close(self, seconds: float = 10.0) -> None:
        """The store stays open: the graph closes it."""


def open_graph(resolved: ResolvedGraph, before: GraphEngine | None = None, proven: bool = True) -> GraphEngine:
    """Every step's models opened, or none.

    Args:
        resolved: the graph.
        before: the version that serves, whose counters and record writer this one goes on with.
        proven: warming ends with the golden answers, where there are some.

    Raises PortsideError.
    """
    store, shared = _store(resolved, before), before.records if before is not None else None
    if store is not None:
        store.introduce(resolved.deployment.name, resolved.digest, resolved.signature)
    engines: dict[str, Engine] = {}
    try:
        for step in resolved.steps:
            engines[step.plan.name] = _opened(step, resolved, store)
    except PortsideError:
        for engine in engines.values():
            engine.close()
        if store is not None and store is not shared:
            store.close()
        raise
    metrics = before.metrics if before is not None else None
    return GraphEngine(resolved, engines, store, metrics, proof=partial(require, resolved) if proven else None)


def _store(resolved: ResolvedGraph, before: GraphEngine | None) -> RecordStore | None:
    return open_store(resolved.deployment.records, resolved.deployment.folder, before.records if before is not None else None)


def _opened(step: ResolvedStep, graph: ResolvedGraph, store: RecordStore | None) -> Engine:
    own = step.resolved
    entries = open_entries(own.entries, own.signature)
    shared = None if store is None else cast("RecordStore", SharedRecords(store))
    return Engine(entries, own.deployment.policy(), records=shared, deployment=graph.digest,
                  name=f"{graph.deployment.name}/{step.plan.name}", max_rows=own.deployment.server.max_rows,
                  traits=own.deployment.records.traits)  # fmt: skip
