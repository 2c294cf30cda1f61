"""Whose turn it is: of all monitors of a deployment exactly one acts, and what another wrote meanwhile is never built upon.

A lease in the database says who. It is looked at again inside every transaction: writers take turns there, so a monitor that lost its
lease (it was stopped for a while, or its machine was) writes nothing any more, whatever it had begun.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, select, update

from ..records.database import Database
from .tables import LEASES
from .upsert import upsert

LEASE_MS = 15_000
FAR = 4
"""A lease that ends later than so many leases from now was written by a clock that has been set back since: nobody waits for it."""


class LostTurnError(Exception):
    """Another monitor of this deployment acts now."""


def holder() -> str:
    """A name that no other monitor has, and a person can read."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class Turn:
    """The right to write what a monitor of `deployment` writes."""

    database: Database
    deployment: str
    holder: str = field(default_factory=holder)

    def take(self, now_ms: int, lease_ms: int = LEASE_MS) -> bool:
        """Take the lease, or renew it; False while another one holds it. Raises SQLAlchemyError."""
        with self.database.write() as connection:
            held = connection.execute(select(LEASES.c.holder, LEASES.c.until_ms).where(LEASES.c.deployment == self.deployment)).first()
            if held is not None and held[0] != self.holder and now_ms < held[1] <= now_ms + FAR * lease_ms:
                return False
            upsert(connection, LEASES, {"deployment": self.deployment}, {"holder": self.holder, "until_ms": now_ms + lease_ms})
            return True

    def mine(self) -> bool:
        """The lease still says this monitor. Raises SQLAlchemyError."""
        with self.database.read() as connection:
            return connection.execute(select(LEASES.c.holder).where(LEASES.c.deployment == self.deployment)).scalar() == self.holder

    def give_back(self) -> None:
        """Let another one begin at once. Raises SQLAlchemyError."""
        with self.database.write() as connection:
            mine = (LEASES.c.deployment == self.deployment) & (LEASES.c.holder == self.holder)
            connection.execute(update(LEASES).where(mine).values(until_ms=0))

    @contextmanager
    def write(self) -> Generator[Connection]:
        """As `Database.write`, for as long as it is this monitor's turn.

        Raises:
            LostTurnError: it is another's; nothing is written.
            SQLAlchemyError: the database does not take it.
        """
        with self.database.write() as connection:
            held = connection.execute(select(LEASES.c.holder).where(LEASES.c.deployment == self.deployment)).scalar()
            if held != self.holder:
                raise LostTurnError(f"{held or 'nobody'} monitors {self.deployment} now")
            yield connection
