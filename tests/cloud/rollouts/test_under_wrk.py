"""A rollout comes to everyone, and another goes back, while wrk keeps asking: no request fails."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import time

import packages
import pytest
import started as servers

from portside.cloud.deployment.file import read
from portside.cloud.deployment.generation import folder_of
from portside.cloud.deployment.traffic import read_traffic
from portside.cloud.rollouts import control

DEPLOYMENT = """name = "rolled"
[champion]
package = "main"
isolation = "inline"
trust = true
[failover]
deadline_ms = 2000
[rollout]
challenger = { package = "new", trust = true, isolation = "inline" }
shadow_first = false
steps = [0.3]
min_rows = 100
min_minutes = 0.02
watch_minutes = 0.05
[rollout.limits]
errors = 0.3
late = 0.3
"""
# Each request is somebody else's, and every third asks for what a faulty challenger cannot answer.
SCRIPT = """
local place = 0
request = function()
  place = place + 1
  local first = place % 3 == 0 and 3 or 1
  return wrk.format("POST", nil, {["content-type"] = "application/json"},
                    string.format('{"row": {"x": [%d, 1, 1]}, "entity": "caller %d"}', first, place))
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{"requests": %d, "status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}\\n',
                         summary.requests, e.status, e.connect, e.read, e.write, e.timeout))
end
"""
FAULT = packages.MAIN.replace("    score = 1", "    if x[0, 0] == 3:\n        raise ValueError('a three')\n    score = 1")


@contextlib.contextmanager
def asking(server, folder):
    """wrk with 8 callers that never rest, until the end; yields a list to which its figures are added."""
    script, counts = folder / "ask.lua", []
    script.write_text(SCRIPT)
    words = ["wrk", "-t1", "-c8", "-d120s", "--timeout", "5s", "-s", str(script), f"http://127.0.0.1:{server.port}/predict"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield counts
        finally:
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=20)
    counts.append(json.loads(said.splitlines()[-1]))


@pytest.mark.load
@pytest.mark.parametrize(("challenger", "comes_to"), [(packages.MAIN.replace("0.5", "0.5000001"), "promoted"), (FAULT, "rolled back")])
def test_no_request_fails(tmp_path, challenger, comes_to):
    assert shutil.which("wrk"), "install wrk: it is the load of this test"
    packages.host_package(tmp_path / "main")
    packages.host_package(tmp_path / "new", challenger)
    file = tmp_path / "deployment.toml"
    file.write_text(DEPLOYMENT)
    folder, seen = folder_of("rolled", file), set()
    with servers.serving(servers.SERVE, tmp_path, seconds=120) as server, asking(server, tmp_path) as counts:
        held = control.start(read(file), "ana")
        ends = time.monotonic() + 100
        while comes_to not in seen:
            traffic = read_traffic(folder)
            seen |= {traffic.phase} if traffic.rollout == held.id else set()
            assert time.monotonic() < ends, (seen, server.log.read_text(errors="replace")[-2000:])
            time.sleep(0.05)
        time.sleep(1)  # and what comes after the last turn
        receipts = [server.ask({"row": {"x": [1, 1, 1]}, "entity": f"late {place}"})[1]["receipt"]["version"] for place in range(10)]
    assert "canary" in seen and (set(receipts) == {held.about["challengers"][0]["digest"]}) == (comes_to == "promoted"), (seen, receipts)
    [figures] = counts
    print(f"{comes_to}: {figures}")
    assert figures.pop("requests") > 1000
    assert figures == dict.fromkeys(figures, 0), "no request failed"
