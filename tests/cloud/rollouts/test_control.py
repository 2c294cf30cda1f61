"""What people do: begin, approve, go back; and the controller as a process."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass

import pytest
from packages import MAIN, host_package
from rolled import MINUTE, QUICK, START, World, rolled
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

import portside as ps
from portside.cloud.deployment.file import read
from portside.cloud.deployment.generation import folder_of
from portside.cloud.deployment.traffic import read_traffic
from portside.cloud.records.database import Database
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollouts import companions, control
from portside.cloud.rollouts.companions import Steered, command
from portside.cloud.rollouts.known import about_of, known
from portside.cloud.rollouts.log import read_log, verify_log
from portside.cloud.rollouts.process import Steersman
from portside.cloud.rollouts.storing import every
from portside.cloud.rollouts.tables import prepare
from portside.sdk.core.errors import FormatError, InputError

SECTION = 'mode = "canary"\nsteps = [0.2, 0.5]\nmin_rows = 50\nmin_minutes = 2\nwatch_minutes = 3\n'
LIMITS = "[rollout.limits]\nerrors = 0.05\nlatency_ms = 50\nlate = 0.05\naccuracy_drop = 0.1\n"


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A champion and two challengers, whose only use here is their digests and signatures."""
    folder = tmp_path_factory.mktemp("nets")
    return [host_package(folder / limit, MAIN.replace("score > 0.5", f"score > {limit}")).path for limit in ("0.5", "0.4", "0.3")]


def deploy(folder, packages, challenger=1, more="", champion=0):
    path = folder / "deployment.toml"
    path.write_text(f'name = "cells"\n[champion]\npackage = "{packages[champion]}"\n[rollout]\nchallenger = "{packages[challenger]}"\n'
                    f"{SECTION}{more}{LIMITS}")  # fmt: skip
    deployment = read(path)
    folder_of(deployment.name, deployment.path).mkdir(parents=True, exist_ok=True)
    return deployment


@pytest.fixture
def asked(packages):
    """Digest of the challenger, whose gates are asked."""
    return ps.open(packages[1]).digest


def traffic_of(deployment):
    return read_traffic(folder_of(deployment.name, deployment.path))


def opened(deployment):
    return Database.open(deployment.records.place(deployment.folder))


@dataclass
class Gates:
    verdict: str
    challenger: str

    def to_dict(self):
        return {"verdict": self.verdict}

    def __str__(self):
        return f"card: {self.verdict}"


def test_what_is_known_of_a_deployment(tmp_path, packages):
    policy, stored = known(deploy(tmp_path, packages, more='slices = ["x"]\n'))
    about = about_of("r1", policy, stored)
    assert about.output == "label" and about.late_ms == 50 and about.floor is None and policy.limits["errors"] == 0.05
    assert policy.challengers == (ps.open(packages[1]).digest,) and stored["champion"]["digest"] == ps.open(packages[0]).digest
    with pytest.raises(FormatError, match="the challenger is the champion"):
        known(deploy(tmp_path, packages, challenger=0))


def test_the_least_chance_of_a_review_is_that_of_the_dial(tmp_path, packages):
    deployment = deploy(tmp_path, packages)
    path = deployment.path
    path.write_text(path.read_text() + '[automation]\nlevel = "partial"\nthreshold = 0.9\ncheck_share = 0.2\n'
                    '[automation.slices."label=1"]\nlevel = "assist"\n')  # fmt: skip
    assert known(read(path))[1]["floor"] == 0.2


def test_it_begins_and_workers_are_told_at_once(tmp_path, packages, asked):
    deployment = deploy(tmp_path, packages)
    held = control.start(deployment, "ana", {"net": Gates("passed", asked)}, "a better one")
    assert held.place == "shadow" and traffic_of(deployment).phase == "shadow"
    with opened(deployment) as database:
        entries = read_log(database, held.id)
        assert [(entry.kind, entry.author) for entry in entries] == [("started", "ana"), ("begin", "ana")]
        assert entries[0].why == "a better one" and entries[1].evidence["gates"]["net"] == {"verdict": "passed"}
        assert verify_log(database, held.id) == held.head
    with pytest.raises(InputError, match="goes on"):
        control.start(deployment, "ben")
    assert control.start(deployment, "ana", rollout=held.id).entries == held.entries, "asked again, by whoever was interrupted"
    with pytest.raises(InputError, match="has a name"):
        control.start(deployment, " ")


@pytest.mark.parametrize("verdict", ["failed", "not enough data"])
def test_a_gate_that_is_not_passed_ends_it_before_any_traffic(tmp_path, packages, asked, verdict):
    deployment = deploy(tmp_path, packages)
    held = control.start(deployment, "ana", {"net": Gates(verdict, asked)})
    assert held.closed and held.place == "rolled back" and traffic_of(deployment).challengers == ()
    with opened(deployment) as database:
        assert f"card: {verdict}" in read_log(database, held.id)[1].why
    assert control.start(deployment, "ana", {"net": Gates("passed", asked)}).number == 2, "and another one may begin"


@pytest.mark.parametrize("said", ["\udcff", "a\0b", "x" * 200_000])
def test_what_no_log_can_hold_is_refused_and_changes_nothing(tmp_path, packages, said):
    deployment = deploy(tmp_path, packages)
    for by, why, field in ((said, "", "by"), ("ana", said, "why")):
        with pytest.raises(InputError) as caught:
            control.start(deployment, by, why=why)
        assert caught.value.field == field
    held = control.start(deployment, "ana")
    with pytest.raises(InputError):
        control.rollback(deployment, "ana", said)
    with opened(deployment) as database:
        assert [one.place for one in every(database, "cells")] == ["shadow"] and verify_log(database, held.id) == held.head


def test_a_package_that_was_put_in_the_place_of_the_one_whose_gates_passed_is_not_tried(tmp_path, packages, asked):
    deployment = deploy(tmp_path, packages, challenger=2)
    with pytest.raises(InputError, match="another package than its gates were asked of") as caught:
        control.start(deployment, "ana", {"net": Gates("passed", asked)})
    assert caught.value.expected == asked
    with opened(deployment) as database:
        assert every(database, "cells") == []


def test_a_challenger_stands_once(tmp_path, packages):
    deployment = deploy(tmp_path, packages)
    named = f'{{ package = "{packages[1]}" }}'
    text = deployment.path.read_text().replace('mode = "canary"', 'mode = "shadow"').replace(f'"{packages[1]}"', f"[{named}, {named}]")
    deployment.path.write_text(text)
    with pytest.raises(FormatError, match="stands twice"):
        known(read(deployment.path))


def test_somebody_says_yes_and_somebody_goes_back(tmp_path, packages, asked):
    deployment = deploy(tmp_path, packages, more='shadow_first = false\napprove = ["canary"]\n')
    with pytest.raises(InputError, match="has no rollout"):
        control.approve(deployment, "ben")
    held = control.start(deployment, "ana", {"net": Gates("passed", asked)})
    assert held.place == "waiting" and traffic_of(deployment).challengers == ()
    held = control.approve(deployment, "ben", "go")
    assert held.place == "canary 20%" and traffic_of(deployment).share == 0.2
    with pytest.raises(FormatError, match="means nothing"):
        control.approve(deployment, "ben")
    serial = traffic_of(deployment).serial
    held = control.rollback(deployment, "cem", "complaints")
    assert held.closed and traffic_of(deployment).challengers == () and traffic_of(deployment).serial > serial
    with opened(deployment) as database:
        last = [entry for entry in read_log(database, held.id) if entry.author == "cem"]
        assert [(entry.kind, entry.before, entry.after) for entry in last] == [("rolled back by hand", "canary 20%", "rolled back")]
        assert "complaints" in last[0].why and verify_log(database, held.id)
    with pytest.raises(FormatError, match="means nothing"):
        control.rollback(deployment, "cem")


def test_what_was_promoted_answers_until_the_file_says_so_too(tmp_path, packages):
    deployment = deploy(tmp_path, packages)
    _promoted(deployment, packages)
    with pytest.raises(InputError, match="the file names another champion"):
        control.start(deploy(tmp_path, packages, challenger=2), "ana")
    assert control.start(deploy(tmp_path, packages, challenger=2, champion=1), "ana").number == 2


def test_a_promotion_can_be_taken_back_by_hand(tmp_path, packages):
    deployment = deploy(tmp_path, packages)
    _promoted(deployment, packages)
    assert traffic_of(deployment).phase == "promoted"
    assert control.rollback(deployment, "cem").place == "rolled back" and traffic_of(deployment).phase == "rolled back"


def test_the_process_looks_counts_and_survives_its_database(tmp_path, packages):
    deployment = deploy(tmp_path, packages)
    control.start(deployment, "ana", clock=lambda: START)
    now = [START]
    steersman = Steersman(deployment, lambda: now[0], 10 * MINUTE)
    try:
        assert steersman.look().held.place == "shadow" and steersman.looks == 1
        database = steersman._controller.turn.database
        world, places = World(), []
        for minute in range(12):
            world.serve(database, traffic_of(deployment), range(minute * 150, minute * 150 + 150), now[0])
            now[0] += MINUTE
            if minute == 2:
                refuse = _full(database)
                assert not steersman.look().acted and "full" in steersman.fault
                event.remove(database.engine, "before_cursor_execute", refuse)
            done = steersman.look()
            places.append(done.held.place)
        assert steersman.fault == "" and places[-1] in ("canary 50%", "switched", "promoted"), places
    finally:
        steersman.close()


def test_the_process_takes_up_another_file_when_the_server_does(tmp_path, packages):
    deployment = deploy(tmp_path, packages)
    control.start(deployment, "ana")
    steersman = Steersman(deployment)
    try:
        held = steersman.look().held
        assert steersman._controller.concerns(held)
        deploy(tmp_path, packages, challenger=2)
        held = steersman.look().held
        assert steersman._controller.concerns(held), "a file that is edited and not taken up changes nothing"
        (folder_of(deployment.name, deployment.path) / "generation.json").write_text("{}")
        held = steersman.look().held
        assert not steersman._controller.concerns(held)
    finally:
        steersman.close()


@pytest.mark.slow
def test_a_process_of_its_own_tells_workers_and_gives_back_its_turn(tmp_path, packages):
    deployment = deploy(tmp_path, packages)
    control.start(deployment, "ana")
    file = folder_of(deployment.name, deployment.path) / "traffic.json"
    file.unlink()
    process = subprocess.Popen(command(deployment.path), env=os.environ.copy(), stderr=subprocess.DEVNULL)
    try:
        _until(file.is_file)
        assert traffic_of(deployment).phase == "shadow"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    with closing(sqlite3.connect(deployment.folder / "records.sqlite")) as connection:
        assert connection.execute("SELECT until_ms FROM monitor_leases WHERE deployment = 'rollout:cells'").fetchone() == (0,)


def test_a_reload_that_adds_a_rollout_begins_its_controller_and_one_that_removes_it_ends_it(tmp_path, packages, monkeypatch):
    class Host:
        engine = object()

    host = Host()
    host.resolved = type("Resolved", (), {"deployment": deploy(tmp_path, packages).model_copy(update={"rollout": None})})()
    monkeypatch.setattr(companions, "command", lambda path: [sys.executable, "-c", "import time; time.sleep(60)"])
    steered = Steered([host], lambda: True)
    steered.look()
    assert steered._processes == {}
    host.resolved.deployment = deploy(tmp_path, packages)
    steered.look()
    _until(lambda: steered._processes[0].pid is not None)
    pid = steered._processes[0].pid
    host.resolved.deployment = host.resolved.deployment.model_copy(update={"rollout": None})
    steered.look()
    assert steered._processes == {}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    steered.close()


def _promoted(deployment, packages):
    """As if it had gone its way."""
    policy, stored = known(deployment)
    with opened(deployment) as database:
        prepare(database)
        quick = {**QUICK, "shadow_first": False, "watch_minutes": 0.0, "min_minutes": 0.0, "min_rows": 1}
        rolled(database, Policy(policy.challengers, "blue-green", **quick), about={**stored, "author": "ana"})
    now = [START]
    steersman = Steersman(deployment, lambda: now[0])
    try:
        steersman.look()
        World().serve(steersman._controller.turn.database, traffic_of(deployment), range(30), START)
        now[0] += MINUTE
        steersman.look()
    finally:
        steersman.close()
    with opened(deployment) as database:
        assert every(database, "cells")[0].place == "promoted"


def _full(database):
    def refuse(connection, cursor, statement, parameters, context, executemany):
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            raise OperationalError(statement, {}, sqlite3.OperationalError("database or disk is full"))

    event.listen(database.engine, "before_cursor_execute", refuse)
    return refuse


def _until(true, seconds=60.0):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_a_fault_that_nobody_thought_of_is_said_and_the_next_look_is_made(tmp_path, packages, monkeypatch):
    deployment = deploy(tmp_path, packages)
    control.start(deployment, "ana")
    steersman = Steersman(deployment)
    with monkeypatch.context() as patched:
        patched.setattr("portside.cloud.rollouts.controller.newest", lambda *_: {}["errors"])
        assert not steersman.look().acted and "KeyError" in steersman.fault
    assert steersman.look().acted and steersman.fault == ""
    steersman.close()
