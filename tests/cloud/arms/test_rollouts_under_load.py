"""A real server under load while its challenger is switched to, rolled back, crashes and hangs: no request fails, and records say who was
given what. Short form: some seconds each."""

import time
from collections import Counter

import armed
import packages
import pytest
import soaking
import started as servers

from portside.cloud.deployment.file import read
from portside.cloud.deployment.generation import folder_of
from portside.cloud.deployment.traffic import read_traffic
from portside.cloud.records.reading import records
from portside.cloud.reloading import reload
from portside.cloud.rollouts import control

TEXT = """name = "tried"

[champion]
package = "main"
isolation = "inline"
trust = true

[failover]
deadline_ms = 500

[rollout]
challenger = {{ package = "new", trust = true, kill_after_ms = 200 }}
shadow_first = false
min_minutes = 0
{settings}
"""


def written(folder, settings):
    folder.mkdir()
    packages.host_package(folder / "main")
    packages.host_package(folder / "new", armed.NEW, "main")
    (folder / "deployment.toml").write_text(TEXT.format(settings=settings))
    return folder / "deployment.toml"


def phase_until(file, wanted, seconds):
    """Wait for the controller; what workers are told."""
    folder, ends = folder_of("tried", file.resolve()), time.monotonic() + seconds
    while (now := read_traffic(folder)).phase != wanted:
        assert time.monotonic() < ends, f"{now.phase} and not {wanted}"
        time.sleep(0.1)
    return now


def answered_by(server, challenger, seconds=20):
    """Wait until a worker goes along: who answers."""
    ends = time.monotonic() + seconds
    while (server.ask()[1]["receipt"]["entry"] == -1) is not challenger:
        assert time.monotonic() < ends
        time.sleep(0.05)


@pytest.mark.load
@pytest.mark.timeout(300)
@pytest.mark.long
def test_switched_to_and_rolled_back(tmp_path, effort, new_fault):
    seconds = 60.0 if effort > 1 else 12.0
    file = written(tmp_path / "d", 'mode = "blue-green"')
    with servers.serving(servers.SERVE, file.parent) as server, soaking.Loading(server.port, 100.0, seconds, 500.0) as loading:
        control.start(read(file), "ana")
        phase_until(file, "switched", 20)
        answered_by(server, challenger=True)
        time.sleep(seconds / 6)
        control.rollback(read(file), "ana", "for a trial")
        answered_by(server, challenger=False)
        loading.__exit__()
        soaking.keep("switched", loading.step)
    assert loading.step.errors == {} and loading.step.answered == loading.step.sent
    arms = Counter((record.arm, record.features.get("rollout", {}).get("assigned")) for record in records(file.parent / "records.sqlite"))
    assert arms.keys() == {("champion", None), ("challenger", "challenger")} and min(arms.values()) > 50


@pytest.mark.load
@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_whole_way_of_a_challenger(tmp_path, effort, new_fault):
    """A server without a rollout gets one, switches, and is told that the challenger is its champion: three versions, no request fails."""
    seconds = 60.0 if effort > 1 else 14.0
    file = written(tmp_path / "d", 'mode = "blue-green"')
    tried = file.read_text()
    plain = tried[: tried.index("[rollout]")]
    file.write_text(plain)
    with servers.serving(servers.SERVE, file.parent) as server, soaking.Loading(server.port, 80.0, seconds, 500.0) as loading:
        file.write_text(tried)
        assert reload(file, wait_s=60).served
        control.start(read(file), "ana")
        answered_by(server, challenger=True)
        file.write_text(plain.replace('"main"\nisolation = "inline"', '"new"\nisolation = "process"'))
        assert reload(file, wait_s=60).served
        receipt = server.ask()[1]["receipt"]
        loading.__exit__()
        soaking.keep("whole-way", loading.step)
    assert loading.step.errors == {} and loading.step.answered == loading.step.sent
    kept = list(records(file.parent / "records.sqlite"))
    first, new = kept[0].package, receipt["version"]
    assert {(record.arm, record.package) for record in kept} == {("champion", first), ("challenger", new), ("champion", new)}
    assert receipt["entry"] == 0 and first != new


@pytest.mark.load
@pytest.mark.chaos
@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", ["exit", *(pytest.param(fault, marks=pytest.mark.long) for fault in ("wedge", "throw"))])
def test_a_challenger_that_breaks_is_rolled_back_and_nobody_is_without_an_answer(tmp_path, effort, new_fault, fault):
    seconds = 60.0 if effort > 1 else 12.0
    file = written(tmp_path / "d", "steps = [0.5]\nmin_rows = 100000")
    with servers.serving(servers.SERVE, file.parent) as server:
        control.start(read(file), "ana")
        phase_until(file, "canary", 20)
        answered_by(server, challenger=True)
        with soaking.Loading(server.port, 100.0, seconds, 500.0) as loading:  # all of it is there to show the fault
            new_fault(fault)
            traffic = phase_until(file, "rolled back", 30)
            answered_by(server, challenger=False)
        soaking.keep(f"broken-{fault}", loading.step)
    assert loading.step.errors == {} and loading.step.answered == loading.step.sent
    kept = [record for record in records(file.parent / "records.sqlite") if record.features.get("rollout", {}).get("id") == traffic.rollout]
    assert {record.arm for record in kept} >= {"champion", "challenger"} and {record.propensity for record in kept} == {0.5}
    fell_back = [record for record in kept if record.features["rollout"]["assigned"] == "challenger" and record.arm == "champion"]
    assert fell_back and all(record.receipt["attempts"][0].startswith("challenger:") for record in fell_back)
