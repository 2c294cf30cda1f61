"""Summaries of a hundred devices, over HTTP into minutes that a monitor and the dashboard read: the drift of all their answers together."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from sent import batch

from portside.cloud.fleet.batch import parsed
from portside.cloud.fleet.devices import admitted, enrol
from portside.cloud.fleet.ingest import ingest
from portside.cloud.fleet.tables import prepare
from portside.cloud.monitoring import reading
from portside.cloud.monitoring import tables as monitor_tables
from portside.edge.summing import Summaries, SummarySettings
from portside.sdk.core.drift.compare import compare
from portside.sdk.core.records import new_id
from portside.sdk.core.window import Window

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("monitoring", "desk")]

import made_desk
import watched


def told(records):
    """What a device sends of its answers."""
    held = Summaries(watched.NAME, watched.SIGNATURE, SummarySettings(least_rows=1))
    for one in records:
        held.add(one, 0.0)
    return {"sequence": 1, "id": new_id(), "kind": "summary", "body": held.due(0.0, closing=True)}


def test_drift_of_merged_summaries_is_the_drift_of_all_answers(lite):
    monitor_tables.prepare(lite)
    prepare(lite)
    draws, pooled = np.random.default_rng(5), []
    for number in range(100):
        records = watched.stream(60, seconds=0.15, start=60 * number, shift=draws.normal(1.0, 0.5))
        moment = [record.__class__(**{**vars(record), "server_ms": watched.START + place * 150}) for place, record in enumerate(records)]
        name = f"cam-{number}"
        device = admitted(lite, name, enrol(lite, name, {}, watched.START))
        taken = ingest(lite, device, parsed(batch(told(moment), device=name), name), watched.START + watched.MINUTE)
        assert taken.held == (1,), taken
        pooled += moment
    merged = reading.window_between(lite, watched.NAME, watched.START, watched.START + watched.HOUR)
    whole = Window.of(pooled, signature=watched.SIGNATURE)
    assert merged.rows == whole.rows == 6000
    theirs = {line.field: line for line in compare(watched.PROFILE, merged.profile).fields}
    ours = {line.field: line for line in compare(watched.PROFILE, whole.profile).fields}
    assert theirs.keys() == ours.keys() >= {"in.x", "in.cell", "out.label"}
    exact = distance(pooled)
    for field, line in theirs.items():
        assert line.verdict == ours[field].verdict and line.rows == ours[field].rows
        assert abs(line.effect.value - ours[field].effect.value) <= line.error + ours[field].error + 1e-12, field
    assert theirs["in.x"].verdict == "drift" and abs(theirs["in.x"].effect.value - exact) <= theirs["in.x"].error + 1e-12
    watch = watched.Watch(lite, watched.about(spans={"rows": 1000, "minutes": 5}, drift={"looks_a_month": 1000}))
    events = watch.until(watched.START + 10 * watched.MINUTE, watched.MINUTE)
    watch.close()
    assert [(event.alert.name, event.alert.subject) for event in events if event.alert.state == "firing"] == [("drift", "in.x")]


def distance(records):
    """KS between all values and those of the training data, without sketches."""
    values = np.sort(np.asarray([record.inputs["x"][0] for record in records], np.float32).astype(np.float64))
    trained = np.sort(watched.TRAINED["x"])
    grid = np.concatenate([values, trained])
    shares = [np.searchsorted(held, grid, side="right") / len(held) for held in (values, trained)]
    return float(np.abs(shares[0] - shares[1]).max())


def test_without_a_monitor_the_dashboard_shows_what_devices_summed_up(tmp_path):
    doors = made_desk.doors(tmp_path)
    monitor_tables.prepare(doors.desk.database)
    prepare(doors.desk.database)
    now_ms = time.time_ns() // 1_000_000
    key = enrol(doors.desk.database, "cam-7", {}, now_ms)
    held = Summaries("cells", made_desk.SIGNATURE, SummarySettings(least_rows=1))
    for record in watched.stream(40, begin_ms=now_ms - 60_000):
        held.add(record, 0.0)
    said = {"sequence": 1, "id": new_id(), "kind": "summary", "body": held.due(0.0, closing=True)}
    assert doors.post("/v1/devices/cam-7/batches", json.loads(batch(said)), key).json()["held"] == [1]
    status = doors.get("/dashboard/data/status?span=1h").json()
    assert status["source"] == "records" and status["up"]["requests"] == 40 and status["last_ms"]
    doors.desk.close()
