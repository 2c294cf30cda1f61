"""A desk with reviews as a server of its own, so that it can be killed: python desk_server.py FOLDER PORT

With keys.json in the folder, keys are asked for.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from portside.cloud.deployment.file import read
from portside.cloud.desk.apart import NoModel
from portside.cloud.desk.desk import Desk
from portside.cloud.desk.mounting import mount
from portside.cloud.doors.hosts import Hosts
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.security.access import KeyGuard
from portside.cloud.security.key_file import KeyFile


def serve(folder: Path, port: int) -> None:
    desk = Desk(folder / "records.sqlite", [read(path) for path in sorted(folder.glob("*.toml"))], local=True)
    keys = folder / "keys.json"
    guards = (KeyGuard(KeyFile(keys), lambda path: "none", desk=True),) if keys.exists() else ()
    app = HttpApp(Hosts((NoModel("none"),)), guards=guards)
    mount(app.routes, desk)
    uvicorn.run(app, port=port, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
