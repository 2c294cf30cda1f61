"""Devices at a server's desk: their own keys and no others, limits, and what the dashboard tells of them and to whom."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from sent import batch, record
from sqlalchemy import inspect

from portside.cloud.fleet import routes, tables
from portside.cloud.fleet.desired import Desired
from portside.cloud.fleet.devices import block, devices, enrol, want
from portside.cloud.fleet.routes import BODY_BYTES, keep_days_of
from portside.cloud.security import keys as of
from portside.sdk.core.records import new_id

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("desk", "doors")]

import made_desk

PATH = "/v1/devices/cam-7/batches"
RELEASE = "sha256:" + "1" * 64


@pytest.fixture
def desk(tmp_path):
    """Doors that ask for keys, the texts of three, and a device's key."""
    made = {"admin": of.new("a", ["admin"], now=1.0), "predict": of.new("p", now=1.0), "other": of.new("o", ["monitor"], ["else"], now=1.0)}
    doors = made_desk.doors(tmp_path, "cells", "else", keys=list(made.values()))
    tables.prepare(doors.desk.database)
    key = enrol(doors.desk.database, "cam-7", {"site": "north"}, time.time_ns() // 1_000_000, ["cells"])
    yield doors, {name: text for name, (_, text) in made.items()}, key
    doors.desk.close()


def sent(*entries, **more):
    return json.loads(batch(*entries, **more))


def test_a_device_is_let_in_by_its_own_key_and_by_no_other(desk):
    doors, texts, key = desk
    assert doors.post(PATH, sent(record(1)), key).json()["held"] == [1]
    for text in (*texts.values(), None, key[:-1]):
        answer = doors.post(PATH, sent(record(2)), text)
        assert answer.status_code == 401 and "portside-devices" in answer.headers["www-authenticate"], text
    assert doors.post("/v1/devices/cam-8/batches", sent(record(2), device="cam-8"), key).status_code == 401
    for method, path in (("GET", "/v1/records"), ("GET", PATH), ("POST", "/v1/labels"), ("POST", "/v1/devices/cam-7"), ("GET", "/metrics"),
                         ("POST", "/v1/devices/cam-7/x/batches"), ("GET", "/dashboard/data/devices"), ("POST", "/predict")):  # fmt: skip
        assert doors.ask(method, path, key).status_code == 401, (method, path)
    block(doors.desk.database, "cam-7", "stolen")
    assert doors.post(PATH, sent(record(2)), key).status_code == 403


def test_limits(desk, monkeypatch):
    doors, _, key = desk
    assert doors.ask("POST", PATH, key, content=b" " * (BODY_BYTES + 1)).status_code == 413
    assert doors.post(PATH, sent(record(1, name="else")), key).json()["refused"][0]["sequence"] == 1, "it is not for that deployment"
    monkeypatch.setattr(routes, "PER_S", 0.001)
    monkeypatch.setattr(routes, "AT_ONCE", 4.0)
    answers = [doors.ask("POST", PATH, key, content=b"{").status_code for _ in range(6)]
    assert set(answers) == {400, 429}, "those that are refused count too"
    assert 0 < int(doors.post(PATH, sent(record(2)), key).headers["retry-after"]) <= 1000


def test_old_rows_go_with_the_records(desk, monkeypatch):
    doors, _, key = desk
    assert keep_days_of(doors.desk) is None
    seen = []
    monkeypatch.setattr(routes, "forget", lambda database, days, now_ms: seen.append(days) or 0)
    for number in (1, 2):
        doors.post(PATH, sent(record(number)), key)
    assert seen == [None], "now and then, not with every batch"


def test_the_dashboard_tells_of_devices_of_the_deployment_alone(desk):
    doors, texts, key = desk
    database = doors.desk.database
    enrol(database, "cam-9", {}, 1, ["else"])
    want(database, Desired("site=north", RELEASE, 1), "ana")
    event = {"sequence": 1, "id": new_id(), "kind": "event", "body": {"name": "rolled-back", "release": RELEASE, "why": "contract"}}
    error = record(2, kind="error", receipt={"reason": "failed", "attempts": ["0:crashed"]})
    doors.post(PATH, sent(event, error, dropped=[{"kind": "record", "reason": "evicted", "count": 3}]), key)
    told = doors.get("/dashboard/data/devices?deployment=cells", texts["admin"]).json()
    (line,) = told["devices"]
    assert (line["id"], line["state"], line["why"], line["errors"], line["lost_total"]) == ("cam-7", "refused", "contract", 1, 3)
    assert told["states"] == {"refused": 1} and told["releases"] == [{"release": RELEASE, "running": 0, "desired": 1}] and told["lost"] == 3
    one = doors.get("/dashboard/data/device?deployment=cells&id=cam-7", texts["admin"])
    assert {told["kind"] for told in one.json()["log"]} == {"event", "error", "desired"}
    assert key not in one.text and "key_hash" not in one.text
    assert [held["id"] for held in doors.get("/dashboard/data/devices?deployment=else", texts["other"]).json()["devices"]] == ["cam-9"]
    assert doors.get("/dashboard/data/devices?deployment=cells", texts["other"]).status_code == 403
    assert doors.get("/dashboard/data/device?deployment=else&id=cam-7", texts["other"]).status_code == 404
    assert doors.get("/dashboard/data/devices", texts["predict"]).status_code == 403


def test_looking_makes_no_tables(tmp_path):
    doors = made_desk.doors(tmp_path)
    assert doors.get("/dashboard/data/devices").json()["devices"] == [] and doors.get("/dashboard/data/device?id=x").status_code == 404
    assert not inspect(doors.desk.database.engine).has_table(tables.DEVICES.name)
    assert doors.post(PATH, sent(), "pdk_x").status_code == 401 and devices(doors.desk.database) == []
    doors.desk.close()
