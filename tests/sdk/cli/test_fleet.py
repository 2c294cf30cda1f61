"""`portside fleet`: a device enrolled, told what to run, looked at, taken back, blocked, in a terminal."""

from __future__ import annotations

import json
import time

import pytest

from portside.cloud.fleet.batch import parsed
from portside.cloud.fleet.devices import admitted
from portside.cloud.fleet.ingest import ingest
from portside.cloud.monitoring.tables import prepare
from portside.cloud.records.database import Database
from portside.sdk.cli.main import main
from portside.sdk.core.records import new_id

ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")


@pytest.fixture
def file(tmp_path):
    """A deployment that nothing was served of yet."""
    path = tmp_path / "deployment.toml"
    path.write_text('name = "cells"\n[champion]\npackage = "x"\n')
    return path


@pytest.fixture
def fleet(file, capsys):
    """Runs a sub-command: (exit code, its answer)."""

    def ask(action, *words, text=False):
        code = main(["fleet", action, str(file), *words, *([] if text else ["--json"])])
        out = capsys.readouterr().out
        return code, out if text else json.loads(out)

    return ask


def tell(file, key, device, *entries, **versions):
    """What an agent sends."""
    now_ms = time.time_ns() // 1_000_000
    body = {"version": 1, "device": device, "outbox": "o", "versions": versions, "dropped": [], "entries": [
        {"sequence": number, "id": new_id(), "kind": kind, "body": said} for number, (kind, said) in enumerate(entries, 1)]}  # fmt: skip
    with Database.open(file.parent / "records.sqlite") as database:
        prepare(database)
        known = admitted(database, device, key)
        return ingest(database, known, parsed(json.dumps(body).encode(), device), now_ms)


def test_a_fleet_is_led_from_a_terminal(fleet, file):
    file.write_text(file.read_text() + '[records]\npath = "records.sqlite"\n')
    code, made = fleet("enrol", "cam-1", "--label", "site=north", "--label", "line=3")
    assert code == 0 and made["key"].startswith("pdk_") and made["labels"] == {"site": "north", "line": "3"}
    assert made["key"] not in (file.parent / "records.sqlite").read_bytes().decode("latin-1")
    other = fleet("enrol", "cam-2", "--label", "site=south")[1]["key"]
    assert fleet("set", ONE, "--all")[1]["devices"] == ["cam-1", "cam-2"]
    assert fleet("set", TWO, "--label", "site=north")[1]["devices"] == ["cam-1"]
    assert fleet("set", ONE, "--device", "cam-1")[1]["others"] == []
    assert fleet("set", TWO, "--all")[1]["others"] == ["cam-1"]
    assert fleet("set", "none", "--device", "cam-1")[1]["release"] is None
    error = ("error", {"name": "cells", "receipt": {"reason": "failed", "attempts": ["0:crashed"]}, "inputs": {}, "outputs": {}})
    event = ("event", {"name": "rolled-back", "release": TWO, "why": "contract"})
    assert tell(file, made["key"], "cam-1", event, error, release=ONE).desired == TWO
    tell(file, other, "cam-2", ("event", {"name": "release", "release": TWO}), release=TWO)
    code, (first, second) = fleet("ls")
    assert code == 1 and (first["state"], first["why"], first["errors"]) == ("refused", "contract", 1) and second["state"] == "current"
    code, shown = fleet("ls", "--label", "site=south", text=True)
    assert code == 0 and "1 current" in shown and "cam-1" not in shown
    code, log = fleet("logs", "cam-1")
    assert {told["kind"] for told in log} == {"event", "error", "desired"} and "0:crashed" in str(log)
    assert fleet("rollback", "--label", "site=north")[0] == 2
    assert fleet("rollback", "--device", "cam-1")[1]["wanted"] == {"device:cam-1": ONE}
    assert fleet("rollback", "--all")[1]["wanted"] == {"": ONE}
    assert fleet("ls")[0] == 0 and "rolls-back-to" in fleet("rollback", "--device", "cam-1", text=True)[1]
    fleet("block", "cam-2", "--why", "stolen")
    assert [one["state"] for one in fleet("ls")[1]] == ["refused", "blocked"]
    fleet("block", "cam-2", "--again")
    assert fleet("enrol", "cam-2")[1]["again"]


WRONG = ("set latest --all", f"set {ONE}", f"set {ONE} --all --device cam-1", f"set {ONE} --label site", "logs cam-9", "block cam-9",
         "enrol ../x", "rollback --device cam-1", "enrol a --label x=1 --label x=2")  # fmt: skip


@pytest.mark.parametrize("words", WRONG)
def test_what_cannot_be_meant_is_refused_with_the_next_step(fleet, words):
    fleet("enrol", "cam-1")
    code, said = fleet(*words.split())
    assert code == 2 and (said.get("fix") or said.get("expected")), said


def test_a_fleet_that_is_not_there_teaches(fleet):
    code, said = fleet("ls")
    assert code == 3 and "fleet enrol" in said["fix"]
    fleet("enrol", "cam-1")
    assert "1 new" in fleet("ls", text=True)[1] and "nothing came" in fleet("logs", "cam-1", text=True)[1]
