"""A function that gives doors over a desk; whatever it gave is closed afterwards."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import made_desk


@pytest.fixture
def doors(tmp_path):
    given = []

    def make(*names, keys=None):
        given.append(made_desk.doors(tmp_path, *names, keys=keys))
        return given[-1]

    yield make
    for one in given:
        one.desk.close()
