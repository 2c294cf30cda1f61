"""A desk with reviews as a server of its own, so that it can be killed: python desk_server.py FOLDER PORT"""

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


def serve(folder: Path, port: int) -> None:
    desk = Desk(folder / "records.sqlite", [read(path) for path in sorted(folder.glob("*.toml"))], local=True)
    app = HttpApp(Hosts((NoModel("none"),)))
    mount(app.routes, desk)
    uvicorn.run(app, port=port, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
