"""A release that breaks its contract on one platform never becomes active there, is told of, and is superseded; on the other it runs."""

from __future__ import annotations

from collections import Counter

import hundred
import pytest
from sent import NOW

from portside.cloud.fleet.desired import Desired
from portside.cloud.fleet.devices import want
from portside.cloud.fleet.doors import prepare
from portside.cloud.fleet.going_back import go_back
from portside.cloud.fleet.overview import fleet, log
from portside.cloud.records.database import Database

pytestmark = pytest.mark.slow
GOOD, BROKEN, MENDED = map(hundred.digest, (101, 102, 103))


class Holds:
    def __init__(self, database):
        self.database = database


def until_quiet(database, devices, now_ms, rounds=60):
    """Turns until what everybody runs and has told is at the server; how each device stands, by name."""
    states = Counter[str]()
    for number in range(rounds):
        now_ms += 60_000
        for device in devices:
            device.turn(now_ms)
        lines = {line.device.id: line for line in fleet(database, now_ms)}
        states = Counter(line.standing.state for line in lines.values())
        moving = states["updating"] + states["new"] + states["silent"]
        if not moving and not any(device.waiting for device in devices) and number > 2:
            return lines
    raise AssertionError(states)


@pytest.mark.long
def test_what_breaks_on_one_platform_runs_on_the_other_alone(tmp_path, effort):
    for seed in range(effort):
        check(tmp_path / f"{seed}.sqlite", seed)


def check(place, seed):
    signed, broken = {GOOD: 1, BROKEN: 2}, {(BROKEN, "tflite")}
    with Database.open(place) as database:
        prepare(Holds(database))
        devices = hundred.devices(database, 100, signed, broken, seed)
        want(database, Desired("", GOOD, 1), "ana")
        lines = until_quiet(database, devices, NOW)
        assert {line.standing.state for line in lines.values()} == {"current"}
        want(database, Desired("", BROKEN, 2), "ana")
        lines = until_quiet(database, devices, NOW + 10**7)
        for device in devices:
            line, kinds = lines[device.name], [(told.kind, told.name) for told in log(database, lines[device.name].device)]
            if device.platform == "tflite":
                assert BROKEN not in device.ran and device.installer.update.active.wanted.release == GOOD
                assert line.standing.state == "refused" and line.standing.why == "contract: 5 of 40 firm rows differ on tflite"
                assert ("event", "rolled-back") in kinds and line.to_dict()["running"] == GOOD
            else:
                assert device.ran[-1] == BROKEN and line.standing.state == "current" and ("event", "rolled-back") not in kinds
        signed |= {MENDED: 3}
        want(database, Desired("platform=tflite", MENDED, 3), "ana")
        lines = until_quiet(database, devices, NOW + 2 * 10**7)
        assert {(device.platform, device.ran[-1]) for device in devices} == {("tflite", MENDED), ("onnx-cpu", BROKEN)}
        assert {line.standing.state for line in lines.values()} == {"current"}
        assert go_back(database, "", "ana", 5) == GOOD
        signed |= {GOOD: 4}  # signed anew as the way back: --rolls-back-to
        lines = until_quiet(database, devices, NOW + 3 * 10**7)
        assert {(device.platform, device.ran[-1]) for device in devices} == {("tflite", MENDED), ("onnx-cpu", GOOD)}
        told = [sorted(f"{name} {release}" for name, release in device.told) for device in devices]
        logs = [log(database, lines[device.name].device, 500) for device in devices]
        here = [sorted(f"{one.name} {one.data['release']}" for one in held if one.kind == "event") for held in logs]
        assert here == told, "each event once, whatever the line lost"
        assert all(BROKEN not in device.ran for device in devices if device.platform == "tflite")
