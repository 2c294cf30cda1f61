"""Databases with the tables of rollouts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from portside.cloud.records.database import Database
from portside.cloud.rollouts.tables import prepare

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def database(place: str | Path) -> Iterator[Database]:
    """An empty database, of each kind."""
    with Database.open(place) as opened:
        prepare(opened)
        yield opened


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database."""
    with Database.open(tmp_path / "records.sqlite") as opened:
        prepare(opened)
        yield opened
