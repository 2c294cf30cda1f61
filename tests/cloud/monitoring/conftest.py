"""Both databases, with the monitor's tables."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from portside.cloud.monitoring.tables import prepare
from portside.cloud.records.database import Database

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """Where an empty database would be."""
    return tmp_path / "records.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql").database()


@pytest.fixture
def database(place: str | Path) -> Iterator[Database]:
    """An empty database."""
    with Database.open(place) as opened:
        prepare(opened)
        yield opened


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database."""
    with Database.open(tmp_path / "records.sqlite") as opened:
        prepare(opened)
        yield opened
