"""Both databases: what holds for one holds for the other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from portside.cloud.records.database import Database

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """Where an empty database would be."""
    return tmp_path / "deep" / "records.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql").database()


@pytest.fixture
def database(place: str | Path) -> Iterator[Database]:
    """An empty database."""
    with Database.open(place) as opened:
        yield opened


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`lost_writes.c`, compiled."""
    made = tmp_path_factory.mktemp("lost_writes") / "lost_writes.so"
    words = ["gcc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O1", "-o", made, HERE / "lost_writes.c", "-ldl"]
    subprocess.run(words, check=True)
    return made
