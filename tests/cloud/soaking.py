"""What the tests under load share: a load in a thread beside them, memory of a server, figures kept where they are asked for."""

import json
import os
import threading
import time
from pathlib import Path

import started as servers

from portside.cloud.load.generator import Generator, run
from portside.cloud.load.target import target

OUT = "PORTSIDE_SOAK_OUT"
"""A folder for the figures of full-length runs; without it they are only printed."""


class Loading:
    """One step of a load against a server, in a thread, while the test does something to the server."""

    def __init__(self, port, rate, seconds, deadline_ms, connections=64, timeout_s=10.0):
        goal = target(f"http://127.0.0.1:{port}/predict", headers={})

        async def go():
            generator = Generator(goal, deadline_ms, timeout_s, connections)
            try:
                await generator.step(min(rate, 50), 1.0)
                return await generator.step(rate, seconds)
            finally:
                await generator.close()

        self._thread = threading.Thread(target=lambda: setattr(self, "step", run(go())))
        self.step = None

    def __enter__(self):
        self._thread.start()
        time.sleep(1.5)  # the first second is not counted
        return self

    def __exit__(self, *_):
        self._thread.join()


def memory_mb(server):
    """Resident memory of a server with all its processes, 10**6 bytes."""
    pages = 0
    for pid in [server.process.pid, *servers.descendants(server.process.pid)]:
        try:
            pages += int((Path("/proc") / str(pid) / "statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def children(server):
    """Pids of the server's worker processes: those of BentoML that serve, not its parent."""
    return [pid for pid in servers.descendants(server.process.pid) if b"_bentoml_impl.worker.service" in servers.command_of(pid)]


def keep(name, step, **more):
    """Print a step's figures, and keep them where PORTSIDE_SOAK_OUT says."""
    data = {key: held for key, held in step.to_dict().items() if key != "moments"} | more
    print(json.dumps({name: data}))
    if folder := os.environ.get(OUT):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.json").write_text(json.dumps({**data, "moments": step.to_dict()["moments"]}, indent=1) + "\n")
