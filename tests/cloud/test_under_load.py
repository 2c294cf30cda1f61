"""A server under load: a thousand requests a second, twice what it can, a version swapped and a worker killed in the middle.

Short form: some seconds each, which assert counts and errors, no times. Full length (`make soak`): ten and five minutes, times too, and
PORTSIDE_SOAK_OUT names a folder for the figures.
"""

import os
import signal
import time

import packages
import pytest
import soaking
import started as servers

from portside.cloud.reloading import reload

TINY = """name = "tiny"

[champion]
package = "main"
isolation = "inline"
trust = true
"""
BUSY = """name = "busy"

[champion]
package = "slow"
isolation = "thread"
trust = true
batch = false

[failover]
deadline_ms = {deadline}

[server.limits]
max_inflight = 16
"""
SLOW = packages.MAIN.replace("score = 1 /", "time.sleep(0.02)\n    score = 1 /", 1)


def written(folder, text, **packed):
    """A deployment file of this text, with packages of these sources."""
    folder.mkdir()
    for name, source in packed.items():
        packages.host_package(folder / name, source, name)
    (folder / "deployment.toml").write_text(text)
    return folder / "deployment.toml"


@pytest.mark.load
@pytest.mark.timeout(1200)
def test_a_thousand_requests_a_second(tmp_path, effort):
    rate, seconds = (1000.0, 600.0) if effort > 1 else (150.0, 6.0)
    file = written(tmp_path / "d", TINY, main=packages.MAIN)
    with servers.serving(servers.SERVE, file.parent) as server, soaking.Loading(server.port, rate, seconds, 50.0) as loading:
        time.sleep(seconds / 10)
        before = soaking.memory_mb(server)
        time.sleep(seconds * 0.85)
        after = soaking.memory_mb(server)
        loading.__exit__()
        step = loading.step
        soaking.keep("thousand", step, memory_mb=[before, after])
    assert step.errors == {} and step.answered == step.sent > 0.9 * rate * seconds and step.failovers == {}
    assert after < before * 1.1 + 15, "memory is flat"
    if effort > 1:
        assert step.judged(0.999, 50.0) == "held", step.latency_ms


@pytest.mark.load
@pytest.mark.timeout(900)
def test_twice_what_it_can(tmp_path, effort):
    """20 ms a call: at most 50 requests/s, and 100 are asked. Who is let in has an answer in time, others hear 429 or 503."""
    seconds, deadline = (300.0, 1000.0) if effort > 1 else (6.0, 2000.0)
    file = written(tmp_path / "d", BUSY.format(deadline=deadline), slow=SLOW)
    with servers.serving(servers.SERVE, file.parent) as server, soaking.Loading(server.port, 100.0, seconds, deadline) as loading:
        before = soaking.memory_mb(server)
        time.sleep(seconds * 0.9)
        after = soaking.memory_mb(server)
        loading.__exit__()
        step = loading.step
        soaking.keep("overload", step, memory_mb=[before, after])
        assert server.ask()[0] == 200, "and afterwards it serves as before"
    assert set(step.errors) <= {"refused (429)", "status 503"}, step.errors
    assert step.answered > 15 * seconds / 2 and step.errors.get("refused (429)", 0) > step.sent * 0.2, step
    assert after < before * 1.1 + 15, "memory is bounded"
    if effort > 1:
        assert step.within >= 0.99 * step.answered, step.latency_ms


@pytest.mark.load
@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_version_is_swapped_in_the_middle(tmp_path, effort):
    seconds = 60.0 if effort > 1 else 10.0
    file = written(tmp_path / "d", TINY, main=packages.MAIN, other=packages.BACKUP)
    with servers.serving(servers.SERVE, file.parent) as server, soaking.Loading(server.port, 100.0, seconds, 1000.0) as loading:
        assert server.ask()[1]["receipt"]["model"] == "main"
        time.sleep(seconds / 4)
        file.write_text(TINY.replace('"main"', '"other"'))
        swapped = reload(file, wait_s=60)
        assert swapped.served, swapped
        assert server.ask()[1]["receipt"]["model"] == "other"
        loading.__exit__()
        soaking.keep("swap", loading.step)
    assert loading.step.errors == {} and loading.step.answered == loading.step.sent, "nobody was dropped"


@pytest.mark.load
@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_a_server_process_is_killed_in_the_middle(tmp_path, effort):
    """Of two processes; what was on its way through it is lost, and nothing else."""
    seconds, connections = 60.0 if effort > 1 else 15.0, 16
    file = written(tmp_path / "d", TINY, main=packages.MAIN)
    how = [servers.SERVE[0], "-c", servers.SERVE[2].replace("port={port}", "port={port}, workers=2")]
    with servers.serving(how, file.parent) as server:
        ends = time.monotonic() + 60
        while len(soaking.children(server)) < 2 or any(status != 200 for status, _, _ in server.ask_many(20)):
            assert time.monotonic() < ends
            time.sleep(0.3)
        with soaking.Loading(server.port, 100.0, seconds, 1000.0, connections) as loading:
            time.sleep(seconds / 4)
            victim = soaking.children(server)[0]
            os.kill(victim, signal.SIGKILL)
            while time.monotonic() < ends + 60 and (victim in soaking.children(server) or len(soaking.children(server)) < 2):
                time.sleep(0.2)
            assert len(soaking.children(server)) == 2, "another one was started"
            loading.__exit__()
        soaking.keep("kill", loading.step)
        assert server.ask()[0] == 200
    lost = loading.step.errors.get("reset", 0)
    assert lost <= connections, "not more than were on their way"
    assert set(loading.step.errors) <= {"reset", "status 503"}, "503: the new one says that its models are being loaded"
    assert loading.step.answered + sum(loading.step.errors.values()) == loading.step.sent > 80 * seconds
