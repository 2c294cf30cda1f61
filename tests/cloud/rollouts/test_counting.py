"""Who was counted: once each, and forgotten when asked for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rolled import CHALLENGER, MINUTE, OTHER, QUICK, START, Rig, World, number, record, rolled, write
from sqlalchemy import func, select

from portside.cloud.records.database import Database
from portside.cloud.records.forgetting import forget_entity
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollouts.counting import forget_counted, observed, total
from portside.cloud.rollouts.tables import SEEN
from portside.sdk.cli.main import main

POLICY = Policy((CHALLENGER,), **{**QUICK, "min_rows": 10_000})
CALLERS = 12
STAGES = {
    "shadow": replace(POLICY, mode="shadow", challengers=(CHALLENGER, OTHER)),
    "canary": replace(POLICY, shadow_first=False),
    "a step for a segment": replace(POLICY, shadow_first=False, first="cell=poly", slices=("cell",)),
    "switched": replace(POLICY, mode="blue-green", shadow_first=False, watch_minutes=1e6),
}  # fmt: skip


def seen(database):
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(SEEN)).scalar_one()


def counted(database, policy):
    with database.read() as connection:
        return total(observed(connection, "r1", policy, 0))


@pytest.fixture
def rig(request, quick, tmp_path):
    """A rollout at some stage that has counted every caller."""
    rolled(quick, STAGES[request.param])
    made = Rig(quick, tmp_path / "workers", World(cells=lambda caller: {"cell": "poly" if caller % 2 else "mono"}), STAGES[request.param])
    made.look()
    made.minutes(1, CALLERS)
    return made


@pytest.mark.parametrize("rig", STAGES, indirect=True)
def test_nothing_is_left_of_who_is_deleted(rig):
    policy, everyone = rig.controller.look().held.policy, seen(rig.database)
    units = counted(rig.database, policy)
    gone = forget_entity(rig.database, "caller 1", forget_counted)
    assert gone.rows["records"] and gone.rows["rollout_seen"] == everyone - seen(rig.database) > 0
    assert "rollout_seen" not in forget_entity(rig.database, "somebody else", forget_counted).rows
    for caller in range(CALLERS):
        forget_entity(rig.database, f"caller {caller}", forget_counted)
    assert seen(rig.database) == 0 and counted(rig.database, policy) == units, "sums stay"


@pytest.mark.parametrize("rig", ["canary"], indirect=True)
def test_who_comes_again_counts_once_and_after_a_deletion_anew(rig):
    policy, first = STAGES["canary"], counted(rig.database, STAGES["canary"])
    traffic = rig.look().traffic
    rig.world.serve(rig.database, traffic, range(CALLERS), rig.now)
    rig.look()
    assert counted(rig.database, policy) == first
    forget_entity(rig.database, "caller 3", forget_counted)
    rig.world.serve(rig.database, traffic, range(CALLERS), rig.now)
    rig.look()
    assert counted(rig.database, policy) == first + first // CALLERS


@pytest.mark.parametrize("rig", ["shadow"], indirect=True)
def test_the_command_reaches_it(rig, tmp_path, capsys):
    before = seen(rig.database)
    assert main(["records", str(tmp_path / "records.sqlite"), "delete", "--entity", "caller 2", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rollout_seen"] == before - seen(rig.database) > 0


def test_what_a_device_sends_is_of_no_arm(quick, tmp_path):
    """It may say anything, and a rollout is decided by what the server noted."""
    rolled(quick, STAGES["switched"])
    rig = Rig(quick, tmp_path / "workers", policy=STAGES["switched"])
    noted = {"rollout": {"id": "r1", "assigned": "shadow", "agrees": [False] * 5, "slices": "none"}}
    more = {"device": "press-7", "package": CHALLENGER, "features": noted, "receipt": {"time_ms": "soon", "reason": "crashed"}}
    said = [record(place, START + MINUTE, sequence=place, arm=arm, parent=parent, **more)
            for place in range(900, 1400) for arm, parent in [(("shadow", number(1)), ("champion", None))[place % 2]]]  # fmt: skip
    write(quick, said)
    done = rig.look(START + 2 * MINUTE)
    assert done.acted and done.units == 0 and done.held.state.phase == "switched"


def test_a_database_without_rollouts_has_nothing_of_anybody(tmp_path):
    with Database.open(tmp_path / "records.sqlite") as database:
        assert forget_entity(database, "ana", forget_counted).rows == {"records": 0}
