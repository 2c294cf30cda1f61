"""Where somebody's records are: a deployment file says it, or it is the file or the database itself."""

from __future__ import annotations

from pathlib import Path

from ...sdk.core.errors import FormatError
from ..deployment.file import read
from .database import Database


def place_of(source: str | Path) -> str | Path:
    """The place for `Database.open`. `source`: DEPLOYMENT.toml, a SQLite file, or a URL.

    Raises FormatError, also where there is no such file: whoever looks for records does not mean to make some.
    """
    said = str(source)
    if "://" in said and not said.startswith("sqlite:"):
        return said
    where: str | Path = Path(said.removeprefix("sqlite:///"))
    if where.suffix == ".toml":
        deployment = read(where)
        where = deployment.records.place(deployment.folder)
    if isinstance(where, Path) and not where.is_file():
        raise FormatError("There is no file of records", got=str(where), fix="Records are written from the first served answer on.")
    return where


def open_records(source: str | Path) -> Database:
    """The database of `place_of`, opened. Raises FormatError, MissingExtraError."""
    return Database.open(place_of(source))
