"""Served for real: versions exchanged and servers ended under load, without a request that fails."""

import os
import signal
import threading
import time
from collections import Counter

import httpx
import packages
import pytest
from started import ROW, SERVE, alive, serving

from portside.cloud.deployment.generation import folder_of, read_states
from portside.cloud.following import EVERY_S
from portside.cloud.reloading import alive as runs
from portside.cloud.reloading import reload
from portside.sdk.core.errors import InputError, PortsideError

TEXT = """name = "swapper"

[champion]
package = "{package}"
isolation = "{isolation}"
trust = true

[records]
enabled = false
"""


def deploy(folder, isolation="thread"):
    packages.host_package(folder / "one", packages.MAIN, "one")
    packages.host_package(folder / "two", packages.BACKUP, "two")
    file = folder / "deployment.toml"
    file.write_text(TEXT.format(package="one", isolation=isolation))
    return file


def say(file, package, isolation="thread"):
    file.write_text(TEXT.format(package=package, isolation=isolation))


def all_serve(file, workers, seconds=60):
    """Wait until so many workers serve: "ready" is the word of one."""
    ends = time.monotonic() + seconds
    while [state.state for state in read_states(folder_of("swapper", file), runs)] != ["serving"] * workers:
        assert time.monotonic() < ends
        time.sleep(0.05)


class Load:
    """Clients that ask without a pause; what they got, by status and model."""

    def __init__(self, port, clients=4):
        self.seen, self.failures, self._stop = Counter(), [], threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(port,)) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def leave(self):
        """Every client ends after the answer that it waits for."""
        self._stop.set()

    def wait(self, count, seconds=20):
        """Until so many more requests were answered."""
        until, ends = sum(self.seen.values()) + count, time.monotonic() + seconds
        while sum(self.seen.values()) < until and time.monotonic() < ends:
            time.sleep(0.01)

    def _ask(self, port):
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post("/predict", json=ROW)
                    self.seen[answer.status_code, answer.json().get("receipt", {}).get("model", "")] += 1
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))


@pytest.mark.load
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_versions_are_exchanged_under_load_without_a_failed_request(tmp_path, isolation):
    file = deploy(tmp_path, isolation)
    command = [word.replace("port={port}", "port={port}, workers=2") for word in SERVE]
    with serving(command, tmp_path) as server:
        all_serve(file, 2)
        with Load(server.port) as load:
            for package in ("two", "one", "two"):
                load.wait(30)
                say(file, package, isolation)
                done = reload(file, wait_s=60)
                assert done.served and len(done.workers) == 2, done
                assert server.call("/readyz")[0] == 200
                load.wait(30)
                assert server.ask()[1]["receipt"]["model"] == package
    assert load.failures == [] and {status for status, _ in load.seen} == {200}
    assert {model for _, model in load.seen} == {"one", "two"}


@pytest.mark.load
def test_a_version_that_cannot_be_loaded_leaves_the_old_one_and_a_worker_that_is_replaced_serves_the_newest(tmp_path):
    file = deploy(tmp_path)
    with serving(SERVE, tmp_path) as server:
        say(file, "absent")
        with pytest.raises(PortsideError):
            reload(file, wait_s=30)
        file.write_text(TEXT.format(package="two", isolation="thread") + "\n[server]\nmax_body_mb = 3.0\n")
        failed = reload(file, wait_s=30)
        assert failed.failed and "max_body_mb" in failed.failed[0].why and not failed.served
        assert server.ask()[1]["receipt"]["model"] == "one"
        assert b'portside_reloads_total{outcome="failed"}' in server.call("/metrics")[1]
        say(file, "two")
        done = reload(file, wait_s=30)
        assert done.served and server.ask()[1]["receipt"]["model"] == "two"
        say(file, "one")  # edited, not reloaded: a worker that is replaced still serves what was reloaded
        first = done.workers[0].pid
        os.kill(first, signal.SIGKILL)
        ends = time.monotonic() + 40
        while time.monotonic() < ends:
            try:
                if not alive(first) and server.call("/readyz", timeout=2)[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        assert server.ask()[1]["receipt"]["model"] == "two"
    with pytest.raises(InputError, match="No running server"):
        reload(file)


@pytest.mark.load
def test_sigterm_says_so_first_and_every_request_that_was_taken_has_its_answer(tmp_path, fault):
    deploy(tmp_path)
    fault("slow")
    with serving(SERVE, tmp_path) as server, Load(server.port) as load:
        load.wait(4)
        server.process.send_signal(signal.SIGTERM)
        load.leave()
        ends = time.monotonic() + 20
        while server.call("/readyz")[0] != 503 and time.monotonic() < ends:
            time.sleep(0.01)
        assert server.call("/livez")[0] == 200
        status, _, headers = server.call(data=ROW)
        assert status == 200 and headers["connection"] == "close"
        load.stop()
        server.process.wait(30)
    assert load.failures == [] and {status for status, _ in load.seen} == {200}


@pytest.mark.chaos
@pytest.mark.load
def test_a_killed_model_process_costs_at_most_what_it_was_answering(tmp_path):
    deploy(tmp_path, "process")
    clients = 4
    with serving(SERVE, tmp_path) as server, Load(server.port, clients) as load:
        load.wait(50)
        os.kill(server.workers()[0], signal.SIGKILL)
        time.sleep(0.2)
        lost = sum(count for (status, _), count in load.seen.items() if status != 200)
        server_says = server.call("/metrics")[1].decode()
        load.stop()
    assert load.failures == []
    crashed = [line for line in server_says.splitlines() if line.startswith("portside_failovers_total") and "crashed" in line]
    assert sum(float(line.rsplit(" ", 1)[1]) for line in crashed) <= clients <= lost + clients


def test_workers_look_often_enough():
    assert EVERY_S <= 1.0
