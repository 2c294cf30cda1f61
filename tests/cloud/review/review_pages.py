"""Chromium against a desk that can be killed: what the tests of the page share, and the script of its screenshots."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
from made_reviews import NOW, of_every_kind
from started import free_port

from portside.cloud.records.database import Database
from portside.cloud.review import queue

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
SCRIPT = Path(__file__).with_name("desk_server.py")
DEPLOYMENT = 'name = "cells"\n[champion]\npackage = "x"\n[review]\nquestion = "Is this cell damaged?"\nlease_s = 20.0\n'


class DeskServer:
    """The desk over a folder with a database and deployment files; `kill` and `start` as often as wanted, on one port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.process = folder, None
        if not list(folder.glob("*.toml")):
            (folder / "cells.toml").write_text(DEPLOYMENT)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/review"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, str(SCRIPT), str(self.folder), str(self.port)])
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            try:
                if httpx.get(self.url, timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise AssertionError("the desk did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    close = kill


def fill(folder: Path, items=None) -> None:
    with Database.open(folder / "records.sqlite") as database:
        queue.prepare(database)
        queue.enqueue(database, of_every_kind() if items is None else items)


@contextmanager
def chromium(sync_api):
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


def opened(browser, server, name="ana", **options):
    """A page of a reviewer who has said their name, and its complaints."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(server.url)
    page.fill("#name", name)
    page.press("#name", "Enter")
    page.wait_for_selector("#answers .answering, .empty")
    return page


__all__ = ["NOW", "DeskServer", "chromium", "fill", "opened"]
