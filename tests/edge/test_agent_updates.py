"""An agent and its updates: a new device installs what is signed, and answers; what cannot be had or opened stops nothing."""

from __future__ import annotations

import shutil
import time

import pytest
from made_agents import ROW, install, made, settings, told
from signed_mirror import Publisher

from portside.edge.agent import Agent
from portside.edge.assembling_signed import signed
from portside.edge.reporting import versions
from portside.edge.settings import read
from portside.edge.stopped import Reason
from portside.edge.updating import CAP_S
from portside.runtimes.artifact import open_artifact
from portside.sdk.core.errors import EngineError, FormatError
from portside.sdk.core.release import Release, ReleasePart
from portside.sdk.signing.publish import publish_folders


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return made(tmp_path_factory.mktemp("artifacts"), only=("first", "small"))


@pytest.fixture
def publisher(tmp_path):
    return Publisher(tmp_path / "publisher", time.time)


def publish(publisher, path):
    """Sign an artifact as a release for devices."""
    artifact = open_artifact(path)
    part = ReleasePart("onnx-cpu", "any", artifact.digest, "passed", artifact.size_bytes)
    release = Release("cells", artifact.package_digest, (part,), artifact.digest)
    (index,) = publish_folders(publisher.repository, release, {"onnx-cpu": path}, publisher.online)
    return index


def device(folder, publisher, *chain, more=""):
    """An agent.toml of a device that is updated from this publisher's folder."""
    (folder / "root.json").write_bytes(publisher.root)
    mirror = (publisher.folder / "repository").as_uri()
    top = f"[updates]\nmirror = '{mirror}'\nroot = 'root.json'\nname = 'cells'\nplatform = 'onnx-cpu'\nreserve_mb = 0.0\n{more}"
    return settings(folder, *(chain or ("slot = true",)), top=top)


@pytest.mark.parametrize("linked", [False, True], ids=["a folder", "a link to one"])
def test_a_new_device_installs_what_is_signed_and_answers(publisher, artifacts, tmp_path, linked):
    if linked:  # what systemd makes for a service with a user of its own
        (tmp_path / "private").mkdir()
        (tmp_path / "state").symlink_to("private")
    index = publish(publisher, artifacts["first"])
    with Agent(device(tmp_path, publisher)) as agent:
        ends = time.monotonic() + 20
        while agent.signature is None and time.monotonic() < ends:
            time.sleep(0.02)
        assert agent.predict(ROW).receipt.model == "first"
        status = agent.status()["release"]
        assert (status["phase"], status["active"]["release"], status["stopped"]) == ("active", index.release, None)
        assert versions(agent.updates.installer.update)["release"] == index.release
        ends = time.monotonic() + 5
        while (tmp_path / "state" / "incoming").exists() and time.monotonic() < ends:
            time.sleep(0.02)
        assert not (tmp_path / "state" / "incoming").exists()
    with Agent(tmp_path / "agent.toml", background=False) as agent:
        assert agent.predict(ROW).receipt.model == "first"


def test_until_there_is_a_release_nothing_answers(publisher, tmp_path):
    with Agent(device(tmp_path, publisher), background=False) as agent:
        assert (agent.signature, agent.fields) == (None, ())
        with pytest.raises(EngineError, match="nothing on this device"):
            agent.predict(ROW)
        agent.updates.turn()
        assert agent.updates.stopped.reason is Reason.MISSING
        assert agent.status()["answers"] is None


def test_a_mirror_that_is_away_is_asked_ever_more_rarely_and_stops_no_answer(publisher, artifacts, tmp_path):
    install(tmp_path / "state", artifacts["small"])
    with Agent(device(tmp_path, publisher), background=False) as agent:
        shutil.rmtree(publisher.folder / "repository")
        for failures in range(1, 12):
            agent.updates.due = 0.0
            agent.updates.turn()
            assert agent.updates.failures == failures
            assert 0 <= agent.updates.due - time.monotonic() <= min(CAP_S, 5.0 * 2 ** (failures - 1))
        assert agent.updates.stopped.reason is Reason.OFFLINE
        assert agent.predict(ROW).receipt.model == "small"


def test_only_what_the_server_names_is_wanted(publisher, artifacts, tmp_path):
    (tmp_path / "key").write_text("secret")
    first, second = publish(publisher, artifacts["first"]), publish(publisher, artifacts["small"])
    path = device(tmp_path, publisher, more="follow = 'server'\n[upload]\nurl = 'http://127.0.0.1:9'\nkey_file = 'key'")
    with Agent(path, background=False) as agent:
        agent.updates.turn()
        assert agent.status()["release"]["phase"] == "idle"
        agent._desired(first.release)
        agent.updates.turn()
        agent._follow()
        assert agent.predict(ROW).receipt.model == "first"
        assert second.sequence > first.sequence


def test_a_release_that_cannot_be_opened_gives_way_to_the_one_before(artifacts, tmp_path):
    install(tmp_path / "state", artifacts["first"])
    with Agent(settings(tmp_path, "slot = true"), background=False) as agent:
        slots = agent.updates.installer.slots
        shutil.copytree(slots.folder("a"), slots.folder("b"))
        agent._loaded = None  # as after a switch to a slot whose engine does not start
        real, agent._slot = agent._slot, lambda: tmp_path / "nowhere"
        agent._back = lambda fault: told_of.append(fault)
        told_of = []
        agent._follow()
        agent._slot = real
        assert told_of
        assert agent.predict(ROW).receipt.model == "first"
        assert told(agent) == []


def test_a_root_that_is_not_there_is_said(publisher, tmp_path):
    path = device(tmp_path, publisher)
    (tmp_path / "root.json").unlink()
    with pytest.raises(FormatError, match=r"1\.root\.json"):
        Agent(path)
    with pytest.raises(FormatError):
        signed(read(path), read(path).updates, None, bool)
