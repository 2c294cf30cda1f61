"""The dashboard's data on a day of real weather whose columns somebody rotated: what it says of it, to whom, and at what cost."""

import time

import made_desk
import pytest
import weather as made

from portside.cloud.dashboard.source import slices_of
from portside.cloud.deployment.file import read
from portside.cloud.desk.desk import Desk
from portside.cloud.security import keys as of
from portside.cloud.security.key_file import write


@pytest.fixture(scope="module")
def board(day):
    """Doors over the day."""
    deployment = read(day.deployment)
    desk = Desk(deployment.records.place(deployment.folder), [deployment], local=True)
    yield made_desk.Doors(desk)
    desk.close()


def test_the_day_at_a_glance(board, day):
    status = board.get("/dashboard/data/status?deployment=rain-tomorrow&span=24h").json()
    assert status["source"] == "monitor" and status["last_ms"] <= day.now_ms and status["monitor_ms"]
    assert 0.95 * len(day.ids) <= status["up"]["requests"] <= len(day.ids)
    assert status["up"]["deadline_ms"] == 50 and 0 < status["up"]["late"] < status["up"]["fallback"] < 200
    assert status["up"]["attempts"][0]["reason"] == "deadline" and status["entries"] == ["rain", "default"]
    assert (
        status["who"]["answers"][0]["model"] == "rain"
        and sum(one["requests"] for one in status["who"]["answers"]) == status["up"]["requests"]
    )
    (rain,) = status["right"]["outputs"]
    assert 0.2 < rain["coverage"] < 0.3 and rain["figure"]["low"] < rain["figure"]["value"] < rain["figure"]["high"] and rain["calibration"]
    assert {part["name"].split("=")[-1] for part in status["right"]["slices"]} >= {"fog", "haze", "clear"}


def test_the_rotated_columns_are_drift_and_an_alert_leads_to_records(board, day):
    status = board.get("/dashboard/data/status?deployment=rain-tomorrow&span=24h").json()
    assert status["changed"]["verdict"] == "drift" and status["changed"]["against"] == "the training data"
    names = {alert["name"] for alert in status["alerts"] if alert["state"] == "firing"}
    assert "drift" in names
    chosen = next(alert for alert in status["alerts"] if alert["name"] == "drift" and alert["state"] == "firing")
    alert = board.get(f"/dashboard/data/alert?deployment=rain-tomorrow&id={chosen['id']}").json()
    assert alert["runbook"] and alert["evidence"]["plot"]["kind"] in ("histogram", "bars") and alert["events"][0]["state"] == "firing"
    assert (
        alert["records"]
        and {one["id"] for one in alert["records"]} <= set(day.ids)
        and alert["field"] in {line["field"] for line in status["changed"]["fields"]}
    )
    record = board.get(f"/v1/records/{alert['records'][0]['id']}").json()
    assert record["inputs"]["sky"][0] in made.SKIES and record["deployment"]


def test_a_feature_is_shown_beside_its_reference_and_within_a_slice(board):
    whole = board.get("/dashboard/data/feature?deployment=rain-tomorrow&span=24h&name=in.temperature").json()
    assert (
        whole["kind"] == "numbers"
        and whole["drift"]["verdict"] in ("drift", "stable", "not enough data")
        and whole["against"] == "the training data"
    )
    assert (
        whole["reference"]["rows"] == made.FITTED
        and len(whole["points"]) == 96
        and any(point.get("p50") is not None for point in whole["points"])
    )
    part = next(name for name in whole["slices"] if name.endswith("fog"))
    asked = {"deployment": "rain-tomorrow", "span": "24h", "name": "in.temperature", "slice": part}
    sliced = board.ask("GET", "/dashboard/data/feature", params=asked).json()
    assert 0 < sliced["now"]["rows"] < whole["now"]["rows"] and sliced["slice"] == part and sliced["beside"]
    sky = board.get("/dashboard/data/feature?deployment=rain-tomorrow&span=24h&name=in.sky").json()
    assert sky["kind"] == "categories" and {line["name"] for line in sky["categories"]} == set(made.SKIES)
    assert board.get("/dashboard/data/feature?deployment=rain-tomorrow&name=in.nothing").status_code == 404


def test_a_slice_is_shown_as_a_deployment_of_its_own(board):
    name = next(
        part["name"] for part in board.get("/dashboard/data/status?span=24h").json()["right"]["slices"] if part["name"].endswith("fog")
    )
    part = board.ask("GET", "/dashboard/data/slice", params={"span": "24h", "name": name}).json()
    assert 0 < part["right"]["rows"] < part["rows"] and part["up"]["requests"] == sum(point["requests"] for point in part["up"]["points"])
    assert part["changed"]["beside"] and part["changed"]["against"] == "all rows of this span", "a slice that differs is no drift"
    assert board.get("/dashboard/data/slice?name=sky%3Dgreen").status_code == 404


def test_what_has_not_changed_is_not_sent_again(board):
    for path in ("status?span=24h", "alerts", "feature?span=24h&name=in.wind"):
        first = board.get(f"/dashboard/data/{path}")
        assert board.get(f"/dashboard/data/{path}", if_none_match=first.headers["etag"]).status_code == 304, path


@pytest.mark.parametrize(
    "path", ["status?span=9d", "status?deployment=nothing", "status?x=1", "alert?id=" + "a" * 65, "feature?name=" + "a" * 301]
)
def test_what_cannot_be_meant_is_refused(board, path):
    assert board.get(f"/dashboard/data/{path}").status_code == 422


def test_an_alert_that_never_was(board):
    assert board.get("/dashboard/data/alert?id=nothing").status_code == 404


def test_without_a_monitor_the_records_are_looked_at(tmp_path):
    if not made.there():
        pytest.skip("needs the weather data")
    alone = made.weather(tmp_path, time.time_ns() // 1_000_000, hours=2, count=300, monitored=False, labelled=0.5)
    deployment = read(alone.deployment)
    desk = Desk(deployment.records.place(deployment.folder), [deployment], local=True)
    status = made_desk.Doors(desk).get("/dashboard/data/status?span=6h").json()
    desk.close()
    assert (status["source"], status["complete"], status["monitor_ms"], status["alerts"]) == ("records", True, None, [])
    assert (
        status["up"]["requests"] == 300
        and status["right"]["outputs"][0]["labelled"] > 100
        and status["changed"]["against"] == "the training data"
    )
    assert {part["name"] for part in status["right"]["slices"]} and slices_of(made.SIGNATURE) == ("sky",)


def test_nothing_was_asked_yet(tmp_path):
    (deployment,) = made_desk.deployments(tmp_path)
    desk = Desk(tmp_path / "records.sqlite", [deployment], local=True)
    doors = made_desk.Doors(desk)
    status = doors.get("/dashboard/data/status").json()
    listed = doors.get("/dashboard/data/deployments").json()["deployments"]
    desk.close()
    assert (
        status["last_ms"] is None
        and status["up"]["requests"] == 0
        and status["right"]["outputs"] == []
        and status["changed"]["against"] is None
    )
    assert listed == [{"name": "cells", "last_ms": None, "monitor_ms": None, "firing": 0}]


def test_a_monitor_key_reads_and_no_other_does(day, tmp_path):
    deployment = read(day.deployment)
    keys = [of.new(scope, [scope], now=1.0) for scope in ("monitor", "predict", "label", "review")]
    mine = of.new("other", ["monitor"], ["elsewhere"], now=1.0)
    write(tmp_path / "keys.json", [key for key, _ in (*keys, mine)])
    desk = Desk(deployment.records.place(deployment.folder), [deployment])
    doors = made_desk.Doors(desk, tmp_path / "keys.json")
    statuses = {key.name: doors.get("/dashboard/data/status", text).status_code for key, text in keys}
    assert (
        statuses == {"monitor": 200, "predict": 403, "label": 403, "review": 403} and doors.get("/dashboard/data/status").status_code == 401
    )
    assert doors.get("/dashboard").status_code == 200 and doors.get("/dashboard/data/deployments", mine[1]).json()["deployments"] == []
    asked = [doors.get(f"/dashboard/data/status?deployment={name}", mine[1]) for name in ("rain-tomorrow", "never-there")]
    assert {answer.status_code for answer in asked} == {403}, "nor does it learn which deployments there are"
    assert all(doors.ask(method, "/dashboard/data/status", keys[0][1]).status_code in (404, 405) for method in ("POST", "PUT", "DELETE"))
    desk.close()
