"""A rollout on the dashboard: what its page is told, of a rollout on its way, of one that went back, and where there is none."""

from __future__ import annotations

import json
import time

import made_desk
import pytest
import tried

from portside.cloud.dashboard.rollout import DRAWN, told
from portside.cloud.records.database import Database
from portside.cloud.security import keys as of

NOW = 1_800_000_000_000


@pytest.fixture
def board(tmp_path):
    """Doors over a database in which nothing was served."""
    (tmp_path / "cells.toml").write_text('name = "cells"\n[champion]\npackage = "x"\n[records]\npath = "records.sqlite"\n')
    with Database.open(tmp_path / "records.sqlite"):
        pass
    doors = made_desk.doors(tmp_path)
    (tmp_path / "cells.toml").write_text('name = "cells"\n[champion]\npackage = "x"\n[records]\npath = "records.sqlite"\n')
    yield doors
    doors.desk.close()


def asked(board, **more):
    return board.ask("GET", "/dashboard/data/rollout", params={"deployment": "cells", **more})


def test_where_nothing_was_rolled_out(board):
    assert asked(board).json() == {"rollout": None, "others": []}
    assert asked(board, id="r9").status_code == 404
    assert asked(board, deployment="others").status_code == 422


def test_a_rollout_on_its_way(board, tmp_path):
    held = tried.tried(tmp_path / "cells.toml", NOW, looks=30)
    shown = asked(board).json()["rollout"]
    assert shown["phase"] == held.state.phase == "canary" and not shown["over"] and shown["asks"] == "promote" and not shown["broken"]
    assert shown["champion"] == {"digest": tried.CHAMPION, "name": "rain:3"} and shown["challengers"][0]["name"] == "rain:4"
    assert [stop["state"] for stop in shown["track"]] == ["done"] * 4 + ["now"] + ["next"] * 2
    assert [mark["name"] for mark in shown["marks"]] == ["shadow", "5%", "20%", "50%"]
    whole = [line for line in shown["measures"] if not line["slice"]]
    assert whole == shown["measures"][:3] and [line["words"] for line in whole] == ["errors", "late answers", "wrong answers"]
    for line in whole:
        assert line["verdict"] == "within" and line["high"] < line["limit"] and line["low"] <= line["estimate"] <= line["high"]
        moments = [point["t"] for point in line["points"]]
        assert len(moments) > 10 and moments == sorted(moments) and {point["phase"] for point in line["points"]} == {"shadow", "canary"}
        last = line["points"][-1]
        assert last["rows"] <= line["rows"] and abs(last["estimate"] - line["estimate"]) < 0.02
    assert sum(bool(line["points"]) for line in shown["measures"] if line["slice"]) <= DRAWN
    assert "It asks a person" in shown["why"] and "So far" not in shown["why"]
    assert shown["commands"][0].startswith("portside rollout approve")
    given = {stop["place"]: stop for stop in shown["arms"]}
    assert given["20%"]["units"]["challenger"] < given["20%"]["units"]["champion"] and list(given) == ["shadow", "5%", "20%", "50%"]
    assert given["shadow"]["units"]["champion"] == given["shadow"]["units"]["challenger"] > 0
    assert shown["log"][0]["number"] > shown["log"][-1]["number"] == 1 and shown["log"][-1]["by"] == "ana"
    json.dumps(shown, allow_nan=False)


def test_one_that_went_back_names_the_slice_first_and_an_earlier_one_keeps_its_address(board, tmp_path):
    tried.tried(tmp_path / "cells.toml", NOW, broken="fog", rollout="r1")
    tried.tried(tmp_path / "cells.toml", NOW, looks=2, rollout="r2")
    newest = asked(board).json()
    assert newest["rollout"]["id"] == "r2" and [one["id"] for one in newest["others"]] == ["r1"]
    shown = asked(board, id="r1").json()["rollout"]
    assert shown["over"] and shown["track"][-1]["name"] == "rolled back" and shown["commands"] == [] and not shown["needs"]
    first = next(line for line in shown["measures"] if line["slice"])
    assert (first["slice"], first["measure"], first["verdict"]) == ("sky=fog", "errors", "beyond") and first["points"]
    assert "errors in sky=fog: at least" in shown["why"]
    (entry,) = [one for one in shown["log"] if one["what"] == "roll back"]
    assert entry["to"] == "rolled back" and all(not one["to"] for one in shown["log"] if one["what"] == "paged")


def test_a_key_for_another_deployment_learns_nothing(tmp_path):
    (tmp_path / "cells.toml").write_text('name = "cells"\n[champion]\npackage = "x"\n[records]\npath = "records.sqlite"\n')
    tried.tried(tmp_path / "cells.toml", NOW, looks=2)
    made = [of.new(name, ["monitor"], [owner], now=1.0) for name, owner in (("mine", "cells"), ("other", "spam"))]
    doors = made_desk.doors(tmp_path, "cells", "spam", keys=made)
    (_, mine), (_, other) = made
    path = "/dashboard/data/rollout?deployment=cells"
    assert doors.get(path, key=mine).json()["rollout"]["id"] == "r1"
    assert doors.get(path, key=other).status_code == 403 and doors.get(path).status_code == 401
    doors.desk.close()


def test_the_overview_has_a_line_of_what_goes_on(board, tmp_path):
    assert board.get("/dashboard/data/status?deployment=cells&span=1h").json()["rollout"] is None
    now_ms = time.time_ns() // 1_000_000
    asks = told(tried.tried(tmp_path / "cells.toml", now_ms, looks=30), now_ms)
    assert asks["place"] == "canary 50%" and asks["asks"] == "promote" and asks["challengers"][0]["name"] == "rain:4"
    back = tried.tried(tmp_path / "cells.toml", now_ms + 1, broken="fog", rollout="r2")
    assert told(back, back.phase_ms + 60_000)["place"] == "rolled back" and told(back, back.phase_ms + 2 * 3_600_000) is None
    assert told(None, now_ms) is None
