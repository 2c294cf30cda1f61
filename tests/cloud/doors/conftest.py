"""A host in process, closed afterwards, and the doors in front of it."""

import pytest
from made_host import Serving

from portside.cloud.doors.http_app import HttpApp


@pytest.fixture
def serving():
    made = Serving()
    yield made
    if made.engine:
        made.engine.close()


@pytest.fixture
def app(serving):
    return HttpApp(serving, max_body_bytes=100_000)
