"""A real server whose answers wait for a person: every door says so, the person decides, the caller and a webhook hear of it; and none of
it is lost where the server is killed in between."""

import contextlib
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import dialled_up
import pytest
import started as servers
from dialled_up import SURE, UNSURE

from portside.sdk.core.records import new_id

HAND = 'level = "partial"\nthreshold = 0.9\ncheck_share = 0.000001\n'


class Hook:
    """A receiver of webhooks."""

    def __enter__(self):
        heard = self.heard = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/decided"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def wait(self, *numbers, seconds=20):
        """Until it has heard of all of these, of one perhaps twice: a server that is killed cannot know whom it has told."""
        ends = time.monotonic() + seconds
        while not set(numbers) <= {event["data"]["id"] for event in self.heard} and time.monotonic() < ends:
            time.sleep(0.05)
        return self.heard


def row(x, **more):
    return {"row": {"x": x}, **more}


def status(server, number):
    code, body, _ = server.call(f"/v1/reviews/{number}")
    assert code == 200, body
    return json.loads(body)


def decide(server, number, value, who="ana", token=""):
    code, body, _ = server.call(f"/v1/reviews/{number}/decide", {"reviewer": who, "values": {"label": value}, "token": token})
    assert code == 200, body
    return json.loads(body)


def pending(server, x=UNSURE):
    code, answer, _ = server.ask(row(x))
    assert code == 200 and answer["status"] == "pending"
    return answer["review"]


def test_a_pending_answer_at_every_door_and_its_decision(tmp_path):
    with Hook() as hook:
        file = dialled_up.written(tmp_path, HAND, f'webhook = "{hook.url}"\n', "thread")
        with servers.serving(servers.SERVE, file.parent) as server:
            every_door(server)
            number = pending(server)
            assert status(server, number)["state"] == "pending" and status(server, number)["answer"] is None
            decide(server, number, "good")
            told = status(server, number)
            assert (told["state"], told["answer"], told["by"]) == ("decided", {"label": "good"}, "ana")
            (event,) = hook.wait(number)
            assert event["data"]["id"] == number and event["data"]["answer"] == {"label": "good"}
            page = server.call("/metrics")[1].decode()
            assert 'portside_decisions_total{by="model",reason="confident"} 1' in page and "portside_reviews_lost_total 0" in page


def every_door(server):
    """JSON in its forms, a form, the protocol, BentoML's route; an answer that stands says nothing of it."""
    code, body, headers = server.call(data=row(UNSURE))
    said = json.loads(body)
    assert said["outputs"] == {"label": None, "score": None} and said["status"] == "pending" and said["receipt"]["model"] == "main"
    assert headers["x-portside-status"] == "pending" and headers["x-portside-review"] == said["review"]
    assert set(server.ask(row(SURE))[1]) == {"outputs", "receipt"}
    said = server.ask({"inputs": {"x": [UNSURE]}})[1]
    assert said["outputs"] == {"label": [None], "score": [None]} and len(said["review"]) == 1
    form = b'--b\r\ncontent-disposition: form-data; name="x"\r\n\r\n[0.2, 0.1, 0.1]\r\n--b--\r\n'
    code, body, _ = server.call(data=form, headers={"content-type": "multipart/form-data; boundary=b"})
    assert code == 200 and json.loads(body)["status"] == "pending" and isinstance(json.loads(body)["review"], str)
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": UNSURE}
    said = json.loads(server.call("/v2/models/tester/infer", {"inputs": [tensor]})[1])
    assert said["parameters"]["status"] == "pending" and said["outputs"][0]["data"] == [""] and said["parameters"]["review"]
    said = json.loads(server.call("/api/predict", {"x": [UNSURE]})[1])
    assert said["status"] == "pending" and said["outputs"]["label"] == [None] and status(server, said["review"][0])["state"] == "pending"


def kill(server):
    """kill -9 of the server with everything that belongs to it."""
    family = [server.process.pid, *servers.descendants(server.process.pid)]
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait(10)
    ends = time.monotonic() + 10
    while any(servers.alive(pid) for pid in family) and time.monotonic() < ends:
        time.sleep(0.05)


@pytest.mark.chaos
def test_what_a_caller_was_told_to_wait_for_outlives_the_server(tmp_path):
    with Hook() as hook:
        file = dialled_up.written(tmp_path, HAND, f'webhook = "{hook.url}"\n', "thread")
        with servers.serving(servers.SERVE, file.parent) as server:
            decided, waiting = pending(server), [pending(server) for _ in range(5)]
            decide(server, decided, "bad")
            last = pending(server)
            kill(server)
        with servers.serving(servers.SERVE, file.parent) as server:
            assert status(server, decided)["answer"] == {"label": "bad"}
            assert {status(server, number)["state"] for number in (*waiting, last)} == {"pending"}
            token = new_id()
            assert decide(server, last, "good", "ben", token) == decide(server, last, "good", "ben", token)
            assert status(server, last)["by"] == "ben"
            heard = hook.wait(decided, last)
    assert {event["data"]["id"] for event in heard} == {decided, last}
