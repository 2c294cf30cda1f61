"""A PostgreSQL server of the tests' own, in a temporary folder, on a port of its own of this machine alone.

It runs as the user postgres where the tests run as root, which it refuses. Its folder is not one of pytest's: those are closed to
other users again whenever somebody else starts pytest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from sqlalchemy import create_engine, text
from started import free_port

PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)
SETTINGS = {"shared_buffers": "16MB", "max_connections": "40", "logging_collector": "off", "max_wal_size": "64MB"}


def program(name: str) -> str:
    """A program of PostgreSQL, which is a server of Debian's and not on the path."""
    found = shutil.which(name) or next((str(place / name) for place in reversed(PLACES) if (place / name).exists()), None)
    assert found, f"PostgreSQL's {name} is not installed: apt-get install postgresql"
    return found


class Server:
    """Started at once; `close` ends it and removes its folder."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="portside-postgresql-"))
        self.folder = folder / "data"
        self._as = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.geteuid() == 0 else []
        self.port, self._made = free_port(), 0
        if self._as:
            shutil.chown(folder, "postgres", "postgres")
        self._run(program("initdb"), "--pgdata", str(self.folder), "--username", "portside", "--auth", "trust", "--encoding", "UTF8",
                  "--no-sync", "--locale", "C")  # fmt: skip
        lines = [f"port = {self.port}", "listen_addresses = '127.0.0.1'", f"unix_socket_directories = '{folder}'"]
        with (self.folder / "postgresql.conf").open("a") as file:
            file.write("\n".join([*lines, *(f"{name} = {value}" for name, value in SETTINGS.items())]) + "\n")
        self.start()

    def start(self) -> None:
        self._control("start")

    def stop(self, mode: str = "fast") -> None:
        """`immediate` is what a crash is: nothing is written back, the next start recovers from the log."""
        self._control("stop", "--mode", mode)

    def close(self) -> None:
        """End it, and leave nothing behind."""
        if (self.folder / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder.parent)

    def database(self) -> str:
        """The URL of what is as good as a new, empty database and much faster made: a user who sees a schema of their own alone."""
        self._made += 1
        name, place = f"tester_{self._made}", f"127.0.0.1:{self.port}/postgres"
        engine = create_engine(f"postgresql+psycopg://portside@{place}", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE ROLE {name} LOGIN"))
            connection.execute(text(f"CREATE SCHEMA AUTHORIZATION {name}"))
        engine.dispose()
        return f"postgresql://{name}@{place}"

    def _control(self, *words: str) -> None:
        log = str(self.folder.parent / "log")
        self._run(program("pg_ctl"), "--pgdata", str(self.folder), "--log", log, "--wait", "--timeout", "60", *words)

    def _run(self, *words: str) -> None:
        done = subprocess.run([*self._as, *words], capture_output=True, text=True, timeout=90, cwd="/", stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{words[0]} {done.stdout} {done.stderr}"
