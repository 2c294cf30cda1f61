"""Reading and writing the tables of reviews, with faults of the database said in our words."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import StoreError
from ..records.database import Database, reason


@contextmanager
def writing(database: Database) -> Generator[Connection]:
    """One transaction, durable when this ends without an error. Raises StoreError where the database does not take it."""
    try:
        with database.write() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise StoreError(f"The review queue cannot be written: {reason(error)}", got=database.place,
                         fix="Nothing was changed; ask again.") from error  # fmt: skip


@contextmanager
def reading(database: Database) -> Generator[Connection]:
    """A connection to read by. Raises StoreError."""
    try:
        with database.read() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise StoreError(f"The review queue cannot be read: {reason(error)}", got=database.place, fix="Ask again.") from error
