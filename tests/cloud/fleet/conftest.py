"""Both databases."""

import sys
from pathlib import Path

import pytest

from portside.cloud.records.database import Database

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def database(place):
    """An empty database."""
    with Database.open(place) as opened:
        yield opened


@pytest.fixture
def lite(tmp_path):
    """An empty SQLite database, for what does not depend on which it is."""
    with Database.open(tmp_path / "lite.sqlite") as opened:
        yield opened
