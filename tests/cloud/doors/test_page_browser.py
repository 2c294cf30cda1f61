"""The page at /docs in Chromium: its policy lets its own script run, and a server with keys can be asked from it."""

import shutil
import socket
import threading

import pytest
import uvicorn
from made_host import Serving

from portside.cloud.doors.http_app import HttpApp
from portside.cloud.security import keys as of
from portside.cloud.security.access import KeyGuard
from portside.cloud.security.key_file import KeyFile, write

pytestmark = [pytest.mark.browser, pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]


def test_a_server_with_keys_can_be_tried_from_its_page(tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    key, text = of.new("ana", now=1.0)
    write(tmp_path / "keys.json", [key])
    serving = Serving()
    app = HttpApp(serving, guards=(KeyGuard(KeyFile(tmp_path / "keys.json"), lambda path: "test"),))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        running = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page, complaints = browser.new_page(), []
            page.on("console", lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None)
            page.goto(f"http://127.0.0.1:{listening.getsockname()[1]}/docs")
            page.wait_for_selector("#locked:not([hidden])")
            page.fill("#key", "psk_wrong")
            page.click("#open")
            page.wait_for_selector("#why:has-text('not known')")  # the policy forbids eval, so no wait_for_function
            page.fill("#key", text)
            page.click("#open")
            page.wait_for_selector("#fields tr")
            page.click("#go")
            page.wait_for_selector("#answer:not(:has-text('appears here'))")
            shown = page.text_content("#answer")
            browser.close()
        running.should_exit = True
        thread.join(10)
    serving.engine.close()
    assert shown.startswith(("200", "422")) and complaints == [], (shown, complaints)
