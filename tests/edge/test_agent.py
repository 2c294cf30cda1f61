"""The agent on real artifacts: who answers when something does not, what goes home of it, and what a restart finds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from made_agents import ROW, WEIGHT, break_entry, cloud, install, made, settings, told

from portside.edge.agent import Agent
from portside.edge.folder_source import FolderSource
from portside.edge.reporting import seen, versions
from portside.edge.settings import read
from portside.edge.update_state import Active, DesiredSeen, RolledBack, Trial
from portside.edge.walking import NoAnswerError
from portside.sdk.core.errors import EngineError, FormatError, InputError, StoreError

DEFAULT = 'default = { scores = [0.0, 0.0, 0.0], label = "c" }'
SURE = {"scores": [[9.0, 0.0, 0.0]], "label": ["b"]}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return made(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture
def device(artifacts, tmp_path):
    """Function that makes an agent that answers only, its slot filled; all of them are closed."""
    agents = []

    def make(*chain, slot="first", top="", failover="", background=False):
        if slot and not (tmp_path / "state").exists():
            install(tmp_path / "state", artifacts[slot])
        agents.append(Agent(settings(tmp_path, *chain, top=top, failover=failover), background))
        return agents[-1]

    yield make
    for agent in agents:
        agent.close()


def test_it_answers_from_its_slot_with_a_receipt(device):
    agent = device("slot = true")
    found = agent.predict(ROW, entity="part-1", event_ms=5)
    assert found.outputs["label"].tolist() == ["a"]
    np.testing.assert_allclose(found.outputs["scores"], ROW["x"] @ WEIGHT, atol=1e-5)
    said = found.receipt.to_dict()
    assert (said["model"], said["target"], said["entry"], said["reason"], said["attempts"]) == ("first", "onnx-cpu", 0, "primary", [])
    assert found.receipt.version == agent.status()["answers"]["package"]
    assert [field.name for field in agent.fields] == ["x"]
    json.dumps(agent.status())


def test_each_fault_moves_one_entry_on(device, artifacts):
    with cloud({"scores": [[1.0, 2.0, 3.0]], "label": ["c"]}) as (url, asked):
        agent = device(
            "slot = true", f"artifact = '{artifacts['small']}'", f"endpoint = {{ url = '{url}', timeout_ms = 5000 }}", "cache = {}",
            DEFAULT,
            failover="breaker = { failures = 2, open_ms = 60000.0, max_open_ms = 60000.0 }",
        )  # fmt: skip
        assert agent.predict(ROW).receipt.model == "first"
        slot = break_entry(agent, 0)
        second = agent.predict(ROW)
        assert (second.receipt.model, second.receipt.reason, second.receipt.attempts) == ("small", "failed", ("0:failed",))
        break_entry(agent, 1, "nan")
        third = agent.predict(ROW)
        assert (third.receipt.target, third.receipt.attempts) == ("endpoint", ("0:failed", "1:non-finite"))
        assert third.outputs["label"].tolist() == ["c"]
        assert asked[-1][1] == {"inputs": ROW}
    fourth = agent.predict(ROW)  # the cloud is gone, and the slot's breaker is open
    assert slot.calls == 2
    assert (fourth.receipt.model, fourth.receipt.attempts) == ("cache", ("0:breaker-open", "1:non-finite", "2:failed"))
    assert fourth.outputs["label"].tolist() == ["a"]
    assert fourth.receipt.age_ms > 0
    last = agent.predict({"x": [[0.0, 4.0, 0.0, 0.0]] * 2})
    assert (last.receipt.model, last.outputs["label"].tolist()) == ("default", ["c", "c"])
    assert agent.status()["chain"][0]["breaker"] == "open"


def test_a_deadline_is_kept_by_the_smaller_model(device, artifacts):
    agent = device("slot = true", f"artifact = '{artifacts['small']}'", failover="deadline_ms = 200.0")
    break_entry(agent, 0, "slow", 0.6)
    found = agent.predict(ROW)
    assert (found.receipt.model, found.receipt.reason, found.receipt.deadline_ms) == ("small", "deadline", 200.0)


def test_a_slow_cloud_is_given_up(device):
    with cloud(SURE, wait_s=1.0) as (url, _):
        agent = device("slot = true", f"endpoint = {{ url = '{url}', timeout_ms = 50 }}", DEFAULT)
        break_entry(agent, 0)
        assert agent.predict(ROW).receipt.attempts == ("0:failed", "1:deadline")


def test_what_the_door_refuses_no_backup_is_asked(device, artifacts):
    agent = device("slot = true", DEFAULT)
    with pytest.raises(InputError):
        agent.predict({"x": [[1.0, 2.0]]})
    assert agent.counts == {"refused": 1}
    assert told(agent) == []


def test_what_nothing_could_answer_goes_home_whole(device):
    agent = device("slot = true")
    break_entry(agent, 0)
    with pytest.raises(NoAnswerError) as caught:
        agent.predict(ROW, entity="part-2")
    ((kind, body),) = told(agent)
    assert (kind, body["arm"], body["outputs"], body["entity"], body["device"]) == ("error", "none", {}, "part-2", "cam-7")
    assert body["id"] == caught.value.receipt.record
    assert body["inputs"] == ROW


def test_answers_are_counted_not_told(device):
    agent = device("slot = true", top="[outbox]\nleast_rows = 2")
    buffer = np.array(ROW["x"], np.float32)
    for _ in range(30):
        agent.predict({"x": buffer})
    buffer[:] = 1e6  # callers use their buffers again: what is counted is what was answered
    assert told(agent) == []
    agent.telling.tick(closing=True)
    ((kind, body),) = told(agent)
    assert (kind, body["window"]["rows"]) == ("summary", 30)
    assert "1000000" not in json.dumps(body)


def test_records_go_whole_where_they_are_asked_for(device):
    agent = device("slot = true", top='[outbox]\nrecords = "whole"')
    receipt = agent.predict(ROW, entity="part-3", event_ms=7).receipt
    ((kind, body),) = told(agent)
    assert (kind, body["id"], body["name"], body["arm"], body["event_ms"]) == ("record", receipt.record, "cells", "champion", 7)
    assert body["outputs"]["label"] == [0]
    assert body["package"] == receipt.version


ASK = '[escalate]\noutput = "scores"\nbelow = 3.0\n'


def test_uncertain_answers_go_home_for_review(device):
    agent = device("slot = true", top=ASK)
    agent.predict(ROW)  # its largest score is 4
    agent.predict({"x": [[1.0, 0.0, 0.0, 0.0]]})
    ((kind, body),) = told(agent)
    assert (kind, body["selection"], body["selection_reason"], body["arm"]) == ("review", 1.0, "uncertain", "champion")
    assert agent.counts["uncertain"] == 1


def test_an_output_that_there_is_not_is_said(device):
    agent = device("slot = true", top='[escalate]\noutput = "confidence"\nbelow = 3.0')
    agent.predict(ROW)
    assert "there are: scores" in agent.status()["escalation_fault"]


def test_the_page_shows_a_file_that_is_read(tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "edge.md").read_text(encoding="utf-8")
    (tmp_path / "agent.toml").write_text(page.partition("## The agent")[2].partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    found = read(tmp_path / "agent.toml")
    assert [entry.kind for entry in found.failover.policy().chain] == ["model", "model", "endpoint", "cache", "default"]


def test_an_uncertain_answer_is_asked_of_the_cloud_once(device):
    with cloud(SURE) as (url, asked):
        agent = device("slot = true", f"endpoint = {{ url = '{url}', timeout_ms = 5000 }}", top=f"{ASK}ask = true")
        assert agent.predict(ROW).receipt.reason == "primary"
        assert not asked
        found = agent.predict({"x": [[1.0, 0.0, 0.0, 0.0]]})
        assert found.outputs["label"].tolist() == ["b"]
        assert (found.receipt.target, found.receipt.reason, found.receipt.attempts) == ("endpoint", "uncertain", ("0:uncertain",))
    found = agent.predict({"x": [[1.0, 0.0, 0.0, 0.0]]})  # the cloud is away: the device's own answer stands
    assert (found.receipt.model, found.receipt.reason, found.receipt.attempts) == ("first", "primary", ("1:failed",))
    assert [(kind, body["arm"]) for kind, body in told(agent)] == [("review", "fallback"), ("review", "champion")]


def test_marked_fields_stay(device, artifacts, tmp_path):
    with cloud(SURE) as (url, asked):
        agent = device("slot = true", f"endpoint = {{ url = '{url}', timeout_ms = 5000 }}", DEFAULT, slot="secret",
                       top='[outbox]\nrecords = "whole"')  # fmt: skip
        break_entry(agent, 0)
        assert agent.predict({"x": [[41.25, 0.0, 0.0, 0.0]]}).receipt.model == "default"
        assert not asked
    assert "stays on the device" in agent.status()["chain"][1]["fault"]
    assert "41.25" not in json.dumps(told(agent))


def test_a_memory_on_tflite_is_the_callers_and_has_no_backup(device, artifacts):
    agent = device("slot = true", f"artifact = '{artifacts['first']}'", slot="memory")
    assert agent.signature.state
    frame = np.array([[0.0, 1.0, 2.0, -3.0]], np.float32)
    one = agent.predict({"frame": frame})
    assert one.receipt.target == "tflite"
    held = {pair.input: one.outputs[pair.output] for pair in agent.signature.state}
    two = agent.predict({"frame": frame, **held})
    assert not np.array_equal(one.outputs["answer"], two.outputs["answer"])
    assert "memory" in agent.status()["chain"][1]["fault"]


def test_threads_share_an_agent(device, artifacts):
    agent = device("slot = true", DEFAULT, failover="deadline_ms = 5000.0", top='[outbox]\nrecords = "whole"')
    rows = np.random.default_rng(0).normal(size=(8, 20, 4)).astype(np.float32)
    wrong = []

    def ask(part):
        for row in part:
            found = agent.predict({"x": row[None]})
            if not np.allclose(found.outputs["scores"], row[None] @ WEIGHT, atol=1e-4) or found.receipt.entry:
                wrong.append(found.receipt)

    threads = [threading.Thread(target=ask, args=(part,)) for part in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert agent.counts["answered"] == 160


def test_a_second_agent_on_a_folder_is_refused(device, tmp_path):
    first = device("slot = true")
    with pytest.raises(StoreError, match=str(os.getpid())):
        Agent(tmp_path / "agent.toml")
    assert seen(first.settings)["running"]
    first.close()
    assert not seen(first.settings)["running"]
    with pytest.raises(EngineError, match="closed"):
        first.predict(ROW)
    assert Agent(tmp_path / "agent.toml", background=False).close() is None


def test_an_update_is_tried_beside_and_then_answers(device, artifacts):
    agent = device("slot = true", f"artifact = '{artifacts['small']}'")
    small = agent._chain.entries[1]
    source = FolderSource(artifacts["alike"], 2)
    agent.updates.installer.source = source
    agent.updates.installer.handle(DesiredSeen(source.wanted))
    agent.updates.turn()
    assert isinstance(agent.updates.installer.update.phase, Trial)
    for row in np.random.default_rng(1).normal(size=(100, 4)).astype(np.float32):
        assert agent.predict({"x": row[None]}).receipt.model == "first"
    agent.updates.turn()
    agent._follow()
    assert isinstance(agent.updates.installer.update.phase, Active)
    assert agent.predict(ROW).receipt.model == "alike"
    assert agent._chain.entries[1] is small  # what stays is not opened again
    agent.rollback()
    assert isinstance(agent.updates.installer.update.phase, RolledBack)
    assert agent.predict(ROW).receipt.model == "first"
    running = versions(agent.updates.installer.update)
    first, second = running["release"], running["refused"]
    said = [(body["name"], body["release"]) for kind, body in told(agent) if kind == "event"]
    assert said == [("release", second), ("rolled-back", second), ("release", first)]


def test_a_trial_outlives_a_restart_of_the_agent(device, artifacts):
    agent = device("slot = true")
    source = FolderSource(artifacts["alike"], 2)
    agent.updates.installer.source = source
    agent.updates.installer.handle(DesiredSeen(source.wanted))
    rows = iter(np.random.default_rng(1).normal(size=(100, 4)).astype(np.float32))
    for counted in (0, 50):
        agent.updates.turn()
        assert agent.status()["release"]["trial"]["live"] == counted
        for _ in range(50):
            assert agent.predict({"x": next(rows)[None]}).receipt.model == "first"
        agent.updates.turn()
        agent._follow()
        if not counted:
            agent.close()
            agent = device("slot = true")
    assert agent.predict(ROW).receipt.model == "alike"


def test_a_device_without_a_release_says_what_to_do(tmp_path):
    with pytest.raises(EngineError, match="no release is in a slot"):
        Agent(settings(tmp_path, "slot = true"))


def test_a_backup_that_is_not_there_is_passed_over(device):
    agent = device("slot = true", "artifact = 'nowhere'", DEFAULT)
    break_entry(agent, 0)
    assert agent.predict(ROW).receipt.attempts == ("0:failed", "1:down")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nmae = 'x'", "Did you mean 'name'"),
        ("[failover]\ndeadline = 5.0", "line 4: unknown setting 'deadline'"),
        ("[[failover.chain]]\nslot = true\nartifact = 'x'", "exactly one of"),
        ("[[failover.chain]]\ncache = {}", "begins with a model"),
        ("[escalate]\noutput = 'x'", "exactly one of below, above"),
        ("[updates]\nmirror = 'm'\nroot = 'r'\nname = 'n'\nplatform = 'p'\nfollow = 'server'", "needs .upload."),
        ("[[failover.chain]]\nslot = true\n[[failover.chain]]\ndefault = {}\n[[failover.chain]]\ncache = {}", "last entry"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path, text, says):
    path = tmp_path / "agent.toml"
    path.write_text(f"name = 'cells'\ndevice = 'cam-7'\n{text}\n", encoding="utf-8")
    with pytest.raises(FormatError, match=says):
        read(path)


def test_a_file_that_is_not_there_says_how_one_begins(tmp_path):
    with pytest.raises(FormatError, match=r"no such agent file.*agent.toml.*name = .*docs/edge.md"):
        read(tmp_path / "agent.toml")


def test_killed_and_started_again_no_number_is_used_twice(artifacts, tmp_path):
    install(tmp_path / "state", artifacts["first"])
    path = settings(tmp_path, "slot = true", top='[outbox]\nrecords = "whole"')
    command = [sys.executable, "-m", "portside", "edge", "run", str(path), "--source", "stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(5):
            process.stdin.write(json.dumps({"row": {"x": ROW["x"][0]}}) + "\n")
        process.stdin.flush()
        lines = [json.loads(process.stdout.readline()) for _ in range(5)]
        process.stdin.write("{\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["error"] == "InputError"
        os.kill(process.pid, signal.SIGKILL)
    assert [line["outputs"]["label"] for line in lines] == [["a"]] * 5
    with Agent(path) as agent:
        agent.predict(ROW)
        agent.writer.flush()
        held = agent.outbox.batch()
    numbers = [one.sequence for one in held]
    assert len(numbers) == len(set(numbers)) == len({one.id for one in held})
    before = {line["receipt"]["record"] for line in lines}
    assert max(numbers) == next(one.sequence for one in held if one.kind == "record" and one.id not in before)
    assert (tmp_path / "state" / "clean").exists()
