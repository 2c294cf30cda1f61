"""A day of weather, made once."""

import sys
import time
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "desk")]

import weather as made  # noqa: E402  found beside this file


@pytest.fixture(scope="session")
def day(tmp_path_factory):
    """A watched deployment with a day of records; nobody changes it."""
    if not made.there():
        pytest.skip("needs the weather data")
    return made.weather(tmp_path_factory.mktemp("weather"), time.time_ns() // 1_000_000)
