"""One version of a deployment after another: opened and warmed beside the one that serves, held against it, and ended in peace."""

from __future__ import annotations

import logging
import time
from functools import partial

from ..sdk.core.errors import FormatError, PortsideError
from .answering.answers import Answerer
from .answering.clerk import Clerk
from .answering.consistency import ConsistencyWindow, window_of
from .answering.dialled import DialledEngine
from .answering.engine import Engine
from .answering.opening import open_entries
from .arms.engine import RolloutEngine
from .automating.items import ItemMaker
from .automating.writer import ReviewWriter
from .deployment.generation import folder_of
from .deployment.resolving import Resolved
from .graph.engine import GraphEngine
from .graph.opening import open_graph
from .graph.resolving import ResolvedGraph
from .records.opening import open_store

log = logging.getLogger("portside.host")
PER_VERSION = ("max_rows", "warm_up_s", "drain_s")
"""Settings of [server] that a new version may change."""
PAUSE_S = 0.5


def opened(resolved: Resolved, before: Answerer | None = None) -> Answerer:
    """An engine, loaded and warm. `before`: the one that serves, whose counters and record writer it goes on with.

    Raises PortsideError; nothing is left open then.
    """
    engine = build(resolved, before)
    try:
        engine.warm(resolved.deployment.server.warm_up_s)
    except PortsideError:
        engine.close(records=before is None or engine.records is not before.records)
        raise
    return engine


def build(resolved: Resolved, before: Answerer | None = None) -> Answerer:
    """An engine with every entry opened. Raises PortsideError."""
    if isinstance(resolved, ResolvedGraph):
        return open_graph(resolved, before if isinstance(before, GraphEngine) else None)
    deployment = resolved.deployment
    shared = before.records if before is not None else None
    store = open_store(deployment.records, deployment.folder, shared)
    clerk: Clerk | None = None
    try:
        clerk = clerk_of(resolved)
        entries = open_entries(resolved.entries, resolved.signature)
    except PortsideError:
        if store is not None and store is not shared:
            store.close()
        if clerk is not None:
            clerk.close()
        raise
    metrics = before.metrics if isinstance(before, Engine | RolloutEngine) else None
    window = window_of(deployment.consistency, resolved.signature, _window(before, resolved.champion.digest))
    if resolved.challengers and store is not None:
        folder = folder_of(deployment.name, deployment.path)
        return RolloutEngine(resolved, entries, store, clerk=clerk, metrics=metrics, consistency=window, folder=folder)
    kind = Engine if clerk is None else partial(DialledEngine, clerk=clerk)
    return kind(entries, deployment.policy(), records=store, deployment=resolved.digest, name=deployment.name,
                max_rows=deployment.server.max_rows, traits=deployment.records.traits, metrics=metrics, consistency=window)  # fmt: skip


def _window(before: Answerer | None, champion: str) -> ConsistencyWindow | None:
    """What the version that serves has answered to whom. champion: digest of the new one's."""
    if isinstance(before, RolloutEngine):
        return before.window(champion)
    return before.consistency if isinstance(before, Engine) else None


def clerk_of(resolved: Resolved) -> Clerk | None:
    """Who routes answers to people; None: the model decides everything. Raises FormatError where reviews cannot be kept."""
    plan, deployment, champion = resolved.automation, resolved.deployment, resolved.champion
    if plan is None:
        return None
    fields = champion.codec.wire_fields(champion.signature)
    maker = ItemMaker(deployment.name, champion.signature, fields, plan.output, deployment.review)
    return Clerk(plan, maker, ReviewWriter(deployment.records.place(deployment.folder), plan.queue))


def check_swap(old: Resolved, new: Resolved) -> None:
    """Raise FormatError where a new version says something else of what is set up once per server."""
    if new.deployment.name != old.deployment.name:
        raise FormatError("The new version is of another deployment", got=new.deployment.name, expected=old.deployment.name)
    before, after = old.deployment.server.model_dump(), new.deployment.server.model_dump()
    if changed := [name for name in after if name not in PER_VERSION and after[name] != before[name]]:
        raise FormatError(f"{new.deployment.path.name}: server.{changed[0]} is set up when the server starts", got=after[changed[0]],
                          expected=before[changed[0]], fix="Start the server again to change it.")  # fmt: skip


def retire(engine: Answerer, seconds: float, records: bool) -> None:
    """Close an engine when its last request has ended, at the latest after `seconds`. Blocking."""
    ends = time.monotonic() + seconds
    time.sleep(min(PAUSE_S, seconds))  # a request that chose this engine before the exchange may still be reading its body
    while engine.inflight and time.monotonic() < ends:
        time.sleep(0.02)
    if engine.inflight:
        log.warning("An earlier version is ended with %d requests under way", engine.inflight)
    engine.close(records=records)
