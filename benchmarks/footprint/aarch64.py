"""On the device: install an artifact by hand, which proves it on its contract here, and ask the agent over HTTP.

python aarch64.py ARTIFACT BODY.json FOLDER
"""

import json
import os
import platform
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

artifact, body, folder = sys.argv[1:]
began = time.perf_counter()
from portside.edge.agent import Agent  # noqa: E402  what is loaded is part of the start
from portside.edge.door_settings import DoorSettings  # noqa: E402
from portside.edge.serving import served  # noqa: E402
from portside.sdk.cli.main import main  # noqa: E402

toml = Path(folder) / "agent.toml"
toml.parent.mkdir(parents=True)
toml.write_text('name = "aarch64"\ndevice = "emulated-1"\nfolder = "state"\n[[failover.chain]]\nslot = true\n')
try:
    installed = main(["edge", "install", str(toml), artifact])
except SystemExit as ended:
    installed = ended.code
with Agent(toml) as agent, served(agent, DoorSettings(port=0)) as doors:
    assert doors is not None
    connection = HTTPConnection("127.0.0.1", doors.port)
    connection.request("POST", "/predict", Path(body).read_bytes(), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    said = json.loads(reply.read())
    started_s = time.perf_counter() - began
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    told = {"machine": platform.machine(), "python": platform.python_version(), "installed": installed or 0, "status": reply.status,
            "said": said, "update": agent.status()["release"]["phase"], "start_s": started_s,
            "resident_mb": pages * os.sysconf("SC_PAGE_SIZE") / 1e6}  # fmt: skip
    print(json.dumps(told))
