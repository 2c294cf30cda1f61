"""A desk apart under uvicorn in a process of its own, which a test may kill, and Chromium in front of it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from started import free_port

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
ROOT = Path(__file__).parents[3]


class Apart:
    """`portside dashboard` on a port of its own."""

    def __init__(self, file, log):
        self.port = free_port()
        self.file, self.log, self.process = file, log, None
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/dashboard"

    def start(self):
        words = [sys.executable, "-m", "portside", "dashboard", str(self.file), "--port", str(self.port)]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(words, stdout=output, stderr=output, cwd=self.file.parent)
        ends = time.monotonic() + 30
        while time.monotonic() < ends and self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(self.log.read_text(errors="replace")[-2000:])

    def kill(self):
        """As the system would."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(15)


@contextlib.contextmanager
def chromium():
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("PORTSIDE_CHROMIUM") or shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


def opened(browser, width=1280, height=900, **more):
    """A page that keeps what it complained of, and asks nobody but its own server."""
    context = browser.new_context(viewport={"width": width, "height": height}, **more)
    page = context.new_page()
    page.complaints = []
    page.on(
        "console",
        lambda said: page.complaints.append(said.text) if said.type == "error" and "Failed to load resource" not in said.text else None,
    )
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on(
        "request",
        lambda asked: page.complaints.append(asked.url) if not asked.url.startswith(("http://127.0.0.1", "data:", "blob:")) else None,
    )
    return page
