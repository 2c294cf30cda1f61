"""The page at /docs in Chromium: its policy lets its own script run, and whatever a server has can be asked from it."""

import contextlib
import json
import shutil
import socket
import threading

import pytest
import uvicorn
from made_host import Serving

from portside.cloud.doors.hosts import Hosts
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.security import keys as of
from portside.cloud.security.access import KeyGuard
from portside.cloud.security.key_file import KeyFile, write
from portside.runtimes.base import SessionInfo
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.signature import Signature, TensorSpec

pytestmark = [pytest.mark.browser, pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]


@contextlib.contextmanager
def page_of(app):
    """The page of a server, and what the browser complained of."""
    sync_api = pytest.importorskip("playwright.sync_api")
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
            yield page
            browser.close()
        running.should_exit = True
        thread.join(10)
    assert complaints == []


def answered(page):
    """What the page shows after a request is sent."""
    page.click("#go")
    page.wait_for_selector("#answer:not(:has-text('appears here'))")
    return page.text_content("#answer")


def test_a_server_with_keys_can_be_tried_from_its_page(tmp_path):
    key, text = of.new("ana", now=1.0)
    write(tmp_path / "keys.json", [key])
    serving = Serving()
    with page_of(HttpApp(serving, guards=(KeyGuard(KeyFile(tmp_path / "keys.json"), lambda path: "test"),))) as page:
        page.wait_for_selector("#locked:not([hidden])")
        page.fill("#key", "psk_wrong")
        page.click("#open")
        page.wait_for_selector("#why:has-text('not known')")  # the policy forbids eval, so no wait_for_function
        page.fill("#key", text)
        page.click("#open")
        page.wait_for_selector("#fields tr")
        assert page.is_hidden("#several"), "it has one deployment"
        shown = answered(page)
    serving.engine.close()
    assert shown.startswith(("200", "422")), shown


class Twice:
    """A model of two numbers, beside the other one."""

    info = None

    def run(self, inputs, cancel=None):
        return {"y": inputs["x"] * 2}

    def close(self):
        pass


def test_every_deployment_of_a_server_can_be_tried():
    first, signature = Serving(), Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("y", "f32", ("batch", 2), kind="value"),))
    Twice.info = type(first.engine.champion.lane.info)(signature, "fake", "sha256:2", True, True, True)
    second = Serving(Twice(), signature, Codec(), name="twice")
    with page_of(HttpApp(Hosts([first, second]))) as page:
        page.wait_for_selector("#several:not([hidden])")
        assert page.text_content("#asked") == "POST /predict/m" and page.locator("#fields tr").count() == 4
        page.select_option("#which", label="twice")
        assert page.text_content("#asked") == "POST /predict/twice" and page.text_content("#fields tr td") == "x"
        assert page.text_content("#curl").endswith("/predict/twice")
        page.fill("#body", json.dumps({"row": {"x": [1, 2]}}))
        status, _, body = answered(page).partition("\n")
    for one in (first, second):
        one.engine.close()
    assert status == "200" and json.loads(body)["outputs"] == {"y": [2, 4]}


class Mean:
    """A model of one photo: its brightness."""

    info = None

    def run(self, inputs, cancel=None):
        return {"y": inputs["photo"].mean((1, 2), dtype="f4")}

    def close(self):
        pass


def test_the_request_that_the_page_begins_with_has_the_models_shape_and_is_answered():
    signature = Signature((TensorSpec("photo", "u8", ("batch", 28, 28)),), (TensorSpec("y", "f32", ("batch",), kind="value"),))
    Mean.info = SessionInfo(signature, "fake", "sha256:3", True, True, True)
    serving = Serving(Mean(), signature, Codec(), name="mean")
    with page_of(HttpApp(serving)) as page:
        page.wait_for_selector("#fields tr")
        lines = page.input_value("#body").splitlines()
        shown = answered(page)
    serving.engine.close()
    assert shown.startswith("200"), shown
    assert len(lines) == 28 + 6, "a line for each row of the photo"
