"""What devices send over HTTP: let in by their own key, refused with the status that says whose fault it is."""

import asyncio
import json

import httpx
import pytest
from sent import NOW, batch, record, zipped

from portside.cloud.fleet.devices import enrol
from portside.cloud.fleet.doors import FleetApp
from portside.cloud.fleet.routes import BODY_BYTES, INFLATED_BYTES
from portside.edge.outbox import Held
from portside.edge.upload import Sender, packed, understood

PATH = "/v1/devices/cam-7/batches"


@pytest.fixture
def fleet(tmp_path):
    """An app and the key of one of its devices."""
    app = FleetApp(tmp_path / "records.sqlite", lambda: NOW)
    yield app, enrol(app.desk.database, "cam-7", {}, NOW)
    app.desk.close()


def post(app, body, path=PATH, **headers):
    """One request."""

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://fleet") as client:
            return await client.post(path, content=body, headers={"content-encoding": "gzip", **headers})

    return asyncio.run(ask())


def test_a_batch_goes_in_and_is_acknowledged(fleet):
    app, key = fleet
    held = [Held(number, record(number)["id"], "record", json.dumps(record(number)["body"]).encode()) for number in (1, 2)]
    sender = Sender("cam-7", "o1", {"agent": "0.1.0"})
    reply = post(app, packed(sender, {("record", "evicted"): 3}, held), authorization=f"Bearer {key}")
    answered = understood(reply.status_code, dict(reply.headers), reply.content, held, sender)
    assert (answered.means, answered.held, answered.highest, answered.refused) == ("held", (1, 2), 2, {})
    plain = post(app, batch(record(3)), authorization=f"Bearer {key}", **{"content-encoding": "identity"})
    assert plain.json()["held"] == [3]


def test_refusals_say_whose_fault_it_is(fleet):
    app, key = fleet
    bearer = {"authorization": f"Bearer {key}"}
    good = zipped(batch(record(1)))
    asked = {
        401: [post(app, good), post(app, good, authorization="Bearer pdk_x"), post(app, good, "/v1/devices/cam-8/batches", **bearer)],
        400: [post(app, b"no gzip", **bearer), post(app, zipped(b"{"), **bearer), post(app, good[:-9], **bearer)],
        413: [post(app, b"x" * (BODY_BYTES + 1), **bearer), post(app, zipped(b" " * (INFLATED_BYTES + 1)), **bearer)],
        415: [post(app, good, **{**bearer, "content-encoding": "br"})],
        422: [post(app, zipped(batch(record(1), device="cam-8")), **bearer), post(app, zipped(batch(record(1), record(1))), **bearer)],
        404: [post(app, good, "/v1/devices/cam-7", **bearer)],
    }
    for status, replies in asked.items():
        for reply in replies:
            assert reply.status_code == status and {"error", "what"} <= reply.json().keys(), reply.text
            assert key not in reply.text


def test_a_database_that_takes_nothing_is_no_fault_of_the_batch(fleet, monkeypatch):
    from sqlalchemy.exc import OperationalError

    from portside.cloud.fleet import routes

    def full(*_):
        raise OperationalError("INSERT", {}, Exception("disk is full"))

    monkeypatch.setattr(routes, "ingest", full)
    reply = post(fleet[0], zipped(batch(record(1))), authorization=f"Bearer {fleet[1]}")
    assert reply.status_code == 503 and reply.headers["retry-after"] == "2"
    assert understood(503, dict(reply.headers), reply.content, [], Sender("cam-7", "o1", {})).means == "later"
