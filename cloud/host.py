"""What a worker process holds: the resolved deployment, and the engine once its models are loaded and warm.

Loading happens in a thread of its own, so that the process answers `/livez` (and says on `/readyz` what it waits for)
from the first moment. A champion that cannot be loaded leaves the service unready with the reason, not restarting for ever.

Another version is loaded and warmed beside the one that serves, and takes its place between two requests; the old one ends
when its last request has. Where the new one cannot be loaded the old one goes on.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from ..sdk.core.errors import PortsideError
from .answering.answers import Answerer, NotReadyError
from .deployment.resolving import Resolved, ResolvedModel
from .deployment.version import version_of
from .doors.openapi import describe
from .doors.wire import Wire
from .versions import check_swap, opened, retire

log = logging.getLogger("portside.host")
EXCHANGE_S = 10.0
"""How long the event loop may take to come to an exchange of versions."""


class Host:
    """One per worker process. `engine` is None until the models are ready.

    Attributes:
        name, version: what callers name it by.
        wire: between requests and the champion's codec.
        openapi: the document of the doors.
        max_body_bytes: larger requests are refused.
        receipt: where receipts go when a request does not say.
        loop: the event loop of the doors, on which versions are exchanged; None: nobody serves yet.
        settled: called when all of a version is in memory and, after an exchange, the old one has ended.
    """

    def __init__(self, resolved: Resolved) -> None:
        self.resolved, self.fault = resolved, "the models are not loaded yet"
        self.name, self.max_body_bytes = resolved.deployment.name, int(resolved.deployment.server.max_body_mb * (1 << 20))
        self.receipt: str = resolved.deployment.server.receipt
        self.engine: Answerer | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.settled: Callable[[], None] = lambda: None
        self._hold(resolved, None)
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

    @property
    def failed(self) -> bool:
        """The loading has ended, and nothing is served."""
        loading = self._loading
        return self.engine is None and loading is not None and not loading.is_alive() and not self._closed.is_set()

    def swap(self, resolved: Resolved, served: Callable[[], None] | None = None) -> None:
        """Take up another version beside the running one, or where none could be loaded. Blocking, until the old one has ended.

        Args:
            resolved: the version.
            served: told when it answers new requests.

        Raises:
            FormatError: it is another deployment, or changes what is set up once per server.
            PortsideError: it cannot be loaded. The old version goes on.
        """
        self.take_up(resolved, self.prepare(resolved), served)

    def prepare(self, resolved: Resolved) -> Answerer:
        """Another version, loaded and warm beside the one that serves, for `take_up` or `drop`. Blocking. Raises as `swap`."""
        check_swap(self.resolved, resolved)
        if self.engine is None and not self.failed:
            raise NotReadyError(self.fault)
        return opened(resolved, self.engine)

    def take_up(self, resolved: Resolved, engine: Answerer, served: Callable[[], None] | None = None) -> None:
        """Let a version that was prepared answer from now on. Blocking, until the old one has ended. Raises NotReadyError."""
        old = self.engine
        self._exchange(resolved, engine)
        engine.report()
        engine.metrics.reloaded("swapped")
        if served is not None:
            served()
        if old is not None:
            retire(old, resolved.deployment.server.drain_s, records=engine.records is not old.records)
        self.settled()

    def drop(self, engine: Answerer) -> None:
        """End a version that was prepared and is not taken up."""
        engine.close(records=self.engine is None or engine.records is not self.engine.records)

    def close(self) -> None:
        """End models, workers and the record writer; records are flushed."""
        self._closed.set()
        engine, self.engine, self.fault = self.engine, None, "the service is shutting down"
        if engine is not None:
            engine.close()

    def _load(self) -> None:
        try:
            engine = opened(self.resolved)
        except PortsideError as error:
            self.fault = str(error)
            log.error("The models cannot be loaded: %s", error)
            return
        if self._closed.is_set():
            engine.close()
        else:
            self.settled()
            self.engine = engine

    def _hold(self, resolved: Resolved, engine: Answerer | None) -> None:
        """Everything that a request reads, of one version."""
        champion = resolved.champion
        models = [entry.about for entry in (*resolved.entries, *resolved.challengers) if isinstance(entry, ResolvedModel)]
        wire = Wire(champion.codec, champion.signature)
        openapi = describe(self.name, wire.fields, champion.signature, champion.digest[:19], models)
        self.resolved, self.version, self.wire, self.openapi, self.engine = resolved, version_of(resolved), wire, openapi, engine

    def _exchange(self, resolved: Resolved, engine: Answerer) -> None:
        """Between two requests: on the loop that answers them, where there is one."""
        done, given_up = threading.Event(), threading.Event()

        def now() -> None:
            if not self._closed.is_set() and not given_up.is_set():
                self._hold(resolved, engine)
            done.set()

        if self.loop is None or self.loop.is_closed():
            now()
        else:
            self.loop.call_soon_threadsafe(now)
            done.wait(EXCHANGE_S)
        given_up.set()
        if self.engine is not engine:
            self.drop(engine)
            raise NotReadyError("the service is shutting down, or too busy to exchange versions")
