"""A desk: what the pages for people stand on. One records database, the deployments that write to it, and threads for what blocks.

`cloud/dashboard` and `cloud/review` each have `routes_of(desk)`, which mounting.py puts into the table of a server's doors. The desk
works inside of a serving process and apart from it (`portside dashboard`): it loads no model, and asks nothing but the database.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import FormatError, StoreError
from ...sdk.core.records import Record
from ...sdk.core.signature import Signature
from ..deployment.file import Deployment
from ..doors.asgi import Handler, Incoming, RefusalError, Reply
from ..records.database import Database, reason
from ..records.reading import signature_of
from .replies import Work

P = ParamSpec("P")
T = TypeVar("T")
AGAIN = [(b"retry-after", b"2")]
THREADS = 4
"""The desk's own: however much people look at, answers wait for none of it."""


class Desk:
    """One per process. The database is opened when it is first asked for, so that a server that nobody looks at holds no connection.

    Args:
        where: the database, as `Database.open` takes it.
        deployments: whose records are in it.
        local: nobody has to show a key, and only this machine may ask: see local.py.
    """

    def __init__(self, where: str | Path, deployments: Sequence[Deployment], local: bool = False) -> None:
        self.where, self.deployments, self.local = where, tuple(deployments), local
        self._opened: Database | None = None
        self._signatures: dict[tuple[str, str], Signature] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="portside-desk")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the deployments, in the order given."""
        return tuple(dict.fromkeys(deployment.name for deployment in self.deployments))

    @property
    def database(self) -> Database:
        """Opened at the first call, which blocks. Raises FormatError where it cannot be."""
        with self._lock:
            if self._opened is None:
                self._opened = Database.open(self.where)
            return self._opened

    def deployment(self, name: str) -> Deployment | None:
        """The deployment file of a name, where the desk was given it."""
        return next((deployment for deployment in self.deployments if deployment.name == name), None)

    def signature(self, record: Record) -> Signature | None:
        """What a record holds, as the server that wrote it has said; None: none has. Raises FormatError."""
        key = record.name, record.deployment
        held = self._signatures.get(key)
        if held is None and (held := signature_of(self.database, *key)) is not None:
            self._signatures[key] = held
        return held

    async def run(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Call what blocks in one of the desk's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args, **named))

    def threaded(self, work: Work) -> Handler:
        """A handler from what may block. A database that cannot be read, or written, is a 503 that says so."""

        async def handler(incoming: Incoming) -> Reply:
            try:
                return await self.run(work, incoming)
            except (FormatError, StoreError) as error:
                raise RefusalError(503, type(error)(error.what, fix=error.fix), AGAIN) from error
            except SQLAlchemyError as error:
                raise RefusalError(503, StoreError(f"The database does not answer: {reason(error)}"), AGAIN) from error

        return handler

    def close(self) -> None:
        """End the threads and give the database back."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None
