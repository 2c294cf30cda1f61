"""What the records of a deployment hold, written down once per version: its signature."""

from __future__ import annotations

import time

from sqlalchemy import delete
from sqlalchemy import insert as insert_into

from ...sdk.core.signature import Signature
from .database import Database
from .rows import text_of
from .tables import DEPLOYMENTS


def introduce(database: Database, name: str, digest: str, signature: Signature) -> None:
    """Write down the signature of a deployment version; the newest to be served is the newest to be said. Raises SQLAlchemyError."""
    table = DEPLOYMENTS.c
    said = {"digest": digest, "name": name, "signature": text_of(signature.to_dict()), "seen_ms": time.time_ns() // 1_000_000}
    with database.write() as connection:
        connection.execute(delete(DEPLOYMENTS).where(table.digest == digest, table.name == name))
        connection.execute(insert_into(DEPLOYMENTS).values(said))
