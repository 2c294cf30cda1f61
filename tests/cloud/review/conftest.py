"""Both databases, and doors over a desk with reviews in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "desk")]

import made_desk  # noqa: E402  found beside these tests

from portside.cloud.records.database import Database  # noqa: E402
from portside.cloud.review.queue import prepare  # noqa: E402


@pytest.fixture
def database(place: str | Path) -> Iterator[Database]:
    """An empty queue."""
    with Database.open(place) as opened:
        prepare(opened)
        yield opened


@pytest.fixture
def queue_file(tmp_path: Path) -> Iterator[Database]:
    """An empty queue in the SQLite file that `doors` stand on."""
    with Database.open(tmp_path / "records.sqlite") as opened:
        prepare(opened)
        yield opened


@pytest.fixture
def doors(tmp_path: Path):
    """A function that gives doors over a desk."""
    given = []

    def make(*names: str, keys=None, text: str = ""):
        if keys is not None:
            made_desk.write(tmp_path / "keys.json", [key for key, _ in keys])
        held = made_desk.deployments(tmp_path, *names, text=text)
        desk = made_desk.Desk(tmp_path / "records.sqlite", held, local=keys is None)
        given.append(made_desk.Doors(desk, tmp_path / "keys.json" if keys is not None else None))
        return given[-1]

    yield make
    for one in given:
        one.desk.close()
