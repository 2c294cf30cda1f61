"""A served deployment in child processes, for tests: an ephemeral port, bounded waits, and nothing left behind."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROW = {"row": {"x": [1, 2, 3]}}


GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")
_dice = random.SystemRandom()


def free_port():
    """One that nobody listens on, of those that the system gives to nobody: one of the others is taken before a server has started."""
    above = int(GIVEN.read_text().split()[0]) if GIVEN.exists() else 32_768
    while True:
        port = _dice.randrange(above - 12_000, above)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def descendants(pid):
    """Pids of the live children of a process, and theirs, by reading /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if entry.name.isdigit() and int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found += [int(entry.name), *descendants(int(entry.name))]
    return found


def command_of(pid):
    """The command line of a process, nothing where it has ended."""
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid):
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Server:
    def __init__(self, process, port, log):
        self.process, self.port, self.log = process, port, log

    def call(self, path="/predict", data=None, headers=None, timeout=20):
        """(status, body, headers)"""
        body = json.dumps(data).encode() if isinstance(data, dict) else data
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers or {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def ask(self, data=None):
        started = time.perf_counter()
        status, body, _ = self.call(data=data or ROW)
        return status, json.loads(body), (time.perf_counter() - started) * 1e3

    def ask_many(self, count, clients=8):
        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(lambda _: self.ask(), range(count)))

    def wait_for(self, reason, seconds=20):
        """Ask until the receipt says `reason`; the number of requests it took."""
        ends = time.monotonic() + seconds
        for number in range(100_000):
            if self.ask()[1].get("receipt", {}).get("reason") == reason:
                return number + 1
            assert time.monotonic() < ends, f"never {reason}"
            time.sleep(0.02)
        return None

    def workers(self):
        """Pids of the model processes."""
        return [pid for pid in descendants(self.process.pid) if b"isolation_worker" in command_of(pid)]


@contextlib.contextmanager
def serving(command, folder, environment=None, ready=True, seconds=60):
    """Run `command` (with {port}) in `folder`; SIGTERM at the end; every descendant must be gone soon after."""
    port, log = free_port(), Path(folder) / "server.log"
    words = [word.format(port=port) for word in command]
    environment = {**os.environ, "BENTOML_HOME": str(Path(folder) / "bentoml"), "OMP_NUM_THREADS": "1", **(environment or {})}
    with log.open("wb") as output:
        process = subprocess.Popen(words, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=environment)
    server = Server(process, port, log)
    family = []
    try:
        if ready:
            _wait_ready(server, seconds)
        yield server
    finally:
        family = descendants(process.pid)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        ends = time.monotonic() + 15
        while any(alive(pid) for pid in family) and time.monotonic() < ends:
            time.sleep(0.05)
        left = [pid for pid in family if alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left, f"processes were left behind: {left}\n{log.read_text(errors='replace')[-2000:]}"


def _wait_ready(server, seconds):
    until(lambda: server.call("/readyz", timeout=2)[0] == 200, server, seconds)


def until(ready, server, seconds=60):
    """Ask until `ready()`; an OSError counts as no."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and server.process.poll() is None:
        with contextlib.suppress(OSError):
            if ready():
                return
        time.sleep(0.1)
    raise AssertionError(f"the server did not become ready:\n{server.log.read_text(errors='replace')[-3000:]}")


SERVE = [sys.executable, "-c", "from portside.cloud.serving import serve; serve('deployment.toml', port={port})"]
BENTOML = [sys.executable, "-m", "bentoml", "serve", "service:svc", "--host", "127.0.0.1", "--port", "{port}"]
