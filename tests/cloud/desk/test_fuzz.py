"""Requests made from the OpenAPI document of the desk: statuses, types and bodies are what it says, whatever is sent."""

import os
import tempfile
from pathlib import Path

import made_desk
import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance, unsupported_method

from portside.cloud.desk.desk import Desk
from portside.cloud.doors.asgi import Reply
from portside.cloud.doors.openapi_desk import with_desk

FULL = os.environ.get("PORTSIDE_EFFORT") == "full"
FOLDER = tempfile.TemporaryDirectory(prefix="portside-desk-")
REFUSAL = {"type": "object", "required": ["error", "what"], "properties": {"error": {"type": "string"}, "what": {"type": "string"}}}
DOCUMENT = with_desk(
    {"openapi": "3.1.0", "info": {"title": "desk", "version": "1"}, "paths": {}, "components": {"schemas": {"Refusal": REFUSAL}}}
)
QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck))


def doors():
    """A desk with some records, which also tells its document."""
    folder = Path(FOLDER.name)
    made_desk.fill(folder, made_desk.drafts(30))
    held = made_desk.Doors(Desk(folder / "records.sqlite", made_desk.deployments(folder)))

    async def document(_):
        return Reply(200, orjson.dumps(DOCUMENT))

    held.app.routes.exact["/openapi.json"] = {"GET": document}
    return held


DOORS = doors()
asgi = schemathesis.openapi.from_asgi("/openapi.json", DOORS.app)


@asgi.parametrize()
@settings(QUICK, max_examples=12)
def test_by_schema_short_form(case):
    by_schema(case)


@pytest.mark.fuzz
@asgi.parametrize()
@settings(QUICK, max_examples=1000 if FULL else 80)
def test_by_schema(case):
    by_schema(case)


def by_schema(case):
    """What is valid there may still be refused: a value that an output cannot hold, a key that is not for it."""
    answer = case.call_and_validate(excluded_checks=[positive_data_acceptance, unsupported_method])
    assert answer.status_code < 500, answer.text
