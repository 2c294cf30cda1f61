"""What a worker process holds: the resolved deployment, and the engine once its models are loaded and warm.

Loading happens in a thread of its own, so that the process answers `/livez` (and says on `/readyz` what it waits for)
from the first moment. A champion that cannot be loaded leaves the service unready with the reason, not restarting for ever.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from typing import Any

from ..sdk.core.errors import PortsideError
from .answering.engine import Engine
from .answering.opening import open_entries
from .deployment.resolving import Resolved, ResolvedModel
from .deployment.version import version_of
from .doors.openapi import describe
from .doors.wire import Wire
from .records.store import RecordStore

log = logging.getLogger("portside.host")


class Host:
    """One per worker process. `engine` is None until the models are ready.

    Attributes:
        name, version: what callers name it by.
        wire: between requests and the champion's codec.
        openapi: the document of the doors.
        max_body_bytes: larger requests are refused.
    """

    def __init__(self, resolved: Resolved) -> None:
        self.resolved, self.fault = resolved, "the models are not loaded yet"
        self.name, self.version = resolved.deployment.name, version_of(resolved)
        self.max_body_bytes = int(resolved.deployment.server.max_body_mb * (1 << 20))
        champion = resolved.champion
        self.wire = Wire(champion.codec, champion.signature)
        models = [entry.about for entry in resolved.entries if isinstance(entry, ResolvedModel)]
        name, version = resolved.deployment.name, champion.digest[:19]
        self.openapi: dict[str, Any] = describe(name, self.wire.fields, champion.signature, version, models)
        self.engine: Engine | None = None
        self._closed = threading.Event()
        self._loading: threading.Thread | None = None

    def start(self) -> None:
        """Begin loading; returns at once."""
        self.fault = "the models are being loaded"
        self._loading = threading.Thread(target=self._load, name="portside-load", daemon=True)
        self._loading.start()

    def wait(self, seconds: float) -> bool:
        """Wait for the loading to end, well or not."""
        if self._loading is not None:
            self._loading.join(seconds)
        return self.engine is not None

    def close(self) -> None:
        """End models, workers and the record writer; records are flushed."""
        self._closed.set()
        engine, self.engine, self.fault = self.engine, None, "the service is shutting down"
        if engine is not None:
            engine.close()

    def _load(self) -> None:
        engine: Engine | None = None
        try:
            engine = build(self.resolved)
            engine.warm(self.resolved.deployment.server.warm_up_s)
        except PortsideError as error:
            self.fault = str(error)
            log.error("The models cannot be loaded: %s", error)
            if engine is not None:
                engine.close()
            return
        if self._closed.is_set():
            engine.close()
        else:
            self.engine = engine


def build(resolved: Resolved) -> Engine:
    """An engine with every entry opened. Raises PortsideError."""
    deployment = resolved.deployment
    kept = deployment.records
    store = RecordStore(deployment.folder / kept.path, kept.queue, kept.raw_limit_bytes) if kept.enabled else None
    try:
        entries = open_entries(resolved.entries, resolved.signature)
    except PortsideError:
        if store is not None:
            store.close()
        raise
    return Engine(entries, deployment.policy(), records=store, deployment=resolved.digest, max_rows=deployment.server.max_rows)


def leave_with_parent(seconds: float = 1.0) -> None:
    """End this process when its parent is gone: a killed supervisor must not leave workers that hold the port."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="portside-parent", daemon=True).start()
