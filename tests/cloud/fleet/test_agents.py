"""What a real agent says of itself is what a fleet shows: it runs what is wanted, and it went back."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
from sent import NOW, known

from portside.cloud.fleet.batch import parsed
from portside.cloud.fleet.desired import Desired
from portside.cloud.fleet.devices import want
from portside.cloud.fleet.ingest import ingest
from portside.cloud.fleet.overview import fleet, log
from portside.edge.agent import Agent
from portside.edge.folder_source import FolderSource
from portside.edge.reporting import versions
from portside.edge.update_state import DesiredSeen
from portside.edge.upload import Sender, packed

sys.path.append(str(Path(__file__).parents[2] / "edge"))

import made_agents


def told(database, device, agent):
    """Send what waits, as an agent's thread does; how the device stands then, and which release it is to run."""
    agent.writer.flush()
    entries = agent.outbox.batch(1 << 24, 500)
    body = packed(Sender(device.id, agent.outbox.id, versions(agent.updates.installer.update)), agent.outbox.dropped(), entries)
    taken = ingest(database, device, parsed(gzip.decompress(body), device.id), NOW)
    assert not taken.refused and agent.outbox.settle(taken.held) == len(entries)
    (line,) = fleet(database, NOW)
    return line, taken.desired


def test_an_agent_is_shown_as_it_stands(lite, tmp_path):
    artifacts, device = made_agents.made(tmp_path, only=("first", "alike")), known(lite)
    made_agents.install(tmp_path / "state", artifacts["first"])
    source = FolderSource(artifacts["alike"], 2)
    with Agent(made_agents.settings(tmp_path, "slot = true"), background=False) as agent:
        line, desired = told(lite, device, agent)
        first = line.to_dict()["running"]
        assert (line.standing.state, desired) == ("free", None) and first
        want(lite, Desired("site=north", source.wanted.release, NOW), "ana")
        line, desired = told(lite, device, agent)
        assert line.standing.state == "updating" and desired == source.wanted.release
        agent.updates.installer.source = source
        agent.updates.installer.handle(DesiredSeen(source.wanted))
        agent.updates.turn()
        for row in np.random.default_rng(1).normal(size=(100, 4)).astype(np.float32):
            agent.predict({"x": row[None]})
        agent.updates.turn()
        agent._follow()
        assert told(lite, device, agent)[0].standing.state == "current"
        agent.rollback()
        line, _ = told(lite, device, agent)
        assert line.standing.state == "refused" and "operator" in line.standing.why and line.to_dict()["running"] == first
        names = [one.name for one in log(lite, line.device) if one.kind == "event"]
        assert sorted(names) == ["release", "release", "rolled-back"] and line.errors == 0
