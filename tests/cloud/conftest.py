"""The fakes beside these tests are importable, and every deployment has its own home and fault file."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "doors")]

from postgresql_server import Server  # noqa: E402  found beside this file


@pytest.fixture
def fault(tmp_path, monkeypatch):
    """A function that switches the main model's fault."""
    file = tmp_path / "fault"
    file.write_text("ok")
    monkeypatch.setenv("PORTSIDE_FAULT", str(file))
    return file.write_text


@pytest.fixture(scope="session")
def postgresql():
    """A PostgreSQL server for the whole session: `.database()` is the URL of a new, empty database."""
    made = Server()
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where an empty database would be, of each kind."""
    return tmp_path / "records.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql").database()
