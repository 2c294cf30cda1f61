"""Both databases, with the monitor's tables."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from portside.cloud.monitoring.tables import prepare
from portside.cloud.records.database import Database

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def database(place: str | Path) -> Iterator[Database]:
    """An empty database."""
    with Database.open(place) as opened:
        prepare(opened)
        yield opened


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database."""
    with Database.open(tmp_path / "records.sqlite") as opened:
        prepare(opened)
        yield opened


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Any]:
    """A webhook that takes everything; `.got`: bodies in order."""
    with HTTPServer(("127.0.0.1", 0), _Receiver) as server:
        held: Any = server
        held.got = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield held
        server.shutdown()
