"""A server as a teacher: what is sent, kept, and said where it does not answer. A real one: tests/cloud/test_teaching.py."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import portside as ps
from portside.compress import distil_endpoint
from portside.compress.base import PassContext
from portside.compress.distil_columns import served
from portside.compress.distil_endpoint import Endpoint
from portside.sdk.core.errors import EngineError, InputError

PRIMARY = {"reason": "primary"}


def answering(body):
    """Two classes by the first column of x."""
    chance = [float(row[0] > 0) for row in body["inputs"]["x"]]
    return 200, {"outputs": {"label": ["good" if held else "bad" for held in chance], "p": [[1 - held, held] for held in chance]},
                 "receipt": PRIMARY}  # fmt: skip


class Fake:
    """A server that keeps what it was asked, and answers as `answers` says."""

    def __init__(self):
        self.asked, self.answers = [], answering
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                fake.asked.append((self.path, body))
                status, said = fake.answers(body)
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("location", "/other")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(distil_endpoint, "WAITS_S", (0.0, 0.0))
    held = Fake()
    yield held
    held.server.shutdown()
    held.server.server_close()


@pytest.fixture
def data():
    return ps.Data({"x": np.random.default_rng(0).normal(size=(150, 3)).astype(np.float32)})


def test_rows_go_in_batches_to_the_route_and_classes_have_their_names(fake, data) -> None:
    found = served(Endpoint(fake.url), data, "soft", None, None, PassContext())
    assert [path for path, _ in fake.asked] == ["/predict"] * 3
    assert [len(body["inputs"]["x"]) for _, body in fake.asked] == [64, 64, 22]
    assert np.allclose(fake.asked[0][1]["inputs"]["x"], data.inputs["x"][:64])
    assert (found.kind, found.name, found.texts) == ("score", "p", ("bad", "good"))
    assert np.allclose(found.held[:, 1], data.inputs["x"][:, 0] > 0)


def test_answers_are_kept_batch_by_batch_and_asked_for_once(fake, data, tmp_path) -> None:
    def stops(body):
        return (503, {}) if len(fake.asked) > 2 else answering(body)

    fake.answers = stops
    with pytest.raises(EngineError, match="503"):
        Endpoint(fake.url).columns(data, PassContext(checkpoints=tmp_path))
    fake.answers, fake.asked = answering, []
    whole = Endpoint(fake.url).columns(data, PassContext(checkpoints=tmp_path))
    assert len(fake.asked) == 1
    next(tmp_path.glob("teacher-*")).write_bytes(b"damaged")
    with pytest.warns(RuntimeWarning, match="teacher-.* is damaged"):
        assert Endpoint(fake.url).columns(data, PassContext(checkpoints=tmp_path)) == whole
    assert len(fake.asked) == 2
    Endpoint(f"{fake.url}/other").columns(data, PassContext(checkpoints=tmp_path))
    assert len(fake.asked) == 5


def test_a_server_that_was_away_is_asked_again(fake, data) -> None:
    fake.answers = lambda body: (503, {}) if len(fake.asked) == 1 else answering(body)
    assert len(Endpoint(fake.url).columns(data.take(range(3)), PassContext())["p"]) == 3
    assert len(fake.asked) == 2


def test_answers_of_a_fallback_do_not_teach(fake, data) -> None:
    fake.answers = lambda body: (200, answering(body)[1] | {"receipt": {"reason": "deadline"}})
    with pytest.raises(EngineError, match=r"a fallback answered .*\(deadline\)"):
        Endpoint(fake.url).columns(data, PassContext())


@pytest.mark.parametrize(("status", "said", "kind", "match"), [
    (422, {"error": "InputError", "what": "'y': there is no such field"}, InputError, "there is no such field"),
    (404, b"nothing", InputError, "404"),
    (302, b"", InputError, "302"),
    (500, b"broken", EngineError, "500"),
    (200, b"<html>", EngineError, "not as a teacher"),
    (200, {"outputs": {"p": [[1, 0]]}}, EngineError, "no output has 150 rows"),
    (200, {"answers": []}, EngineError, "no outputs"),
    (200, b"[" * 200_000, EngineError, "not as a teacher"),
])  # fmt: skip
def test_what_is_no_answer_is_said(status, said, kind, match, fake, data, monkeypatch) -> None:
    monkeypatch.setattr(distil_endpoint, "ROWS", 150)
    fake.answers = lambda body: (status, said)
    with pytest.raises(kind, match=match):
        Endpoint(fake.url).columns(data, PassContext())
    assert len(fake.asked) == (1 if kind is InputError else 3)
    assert all(path == "/predict" for path, _ in fake.asked)


def test_a_server_that_is_not_there_and_one_that_is_late(fake, data, monkeypatch) -> None:
    with pytest.raises(EngineError, match="cannot be asked"):
        Endpoint("http://127.0.0.1:1").columns(data, PassContext())
    monkeypatch.setattr(distil_endpoint, "TIMEOUT_S", 0.2)
    wait = threading.Event()
    fake.answers = lambda body: (wait.wait(30), (503, {}))[1]
    with pytest.raises(EngineError) as caught:
        Endpoint(fake.url).columns(data, PassContext())
    wait.set()
    assert caught.value.reason == "deadline"


def test_files_are_sent_in_base64_gaps_as_null_and_large_bodies_in_halves(fake, monkeypatch) -> None:
    monkeypatch.setattr(distil_endpoint, "LARGEST", 200)
    fake.answers = lambda body: (200, {"outputs": {"value": [len(row) for row in body["inputs"]["photo"]]}})
    data = ps.Data({"photo": [b"\xff" * 90, b"\x00" * 60, b"a"], "age": np.array([1.5, np.nan, 3.0])})
    found = Endpoint(fake.url).columns(data, PassContext())
    assert found["value"] == [120, 80, 4]
    assert len(fake.asked) > 1
    sent = [(photo, age) for _, body in fake.asked for photo, age in zip(body["inputs"]["photo"], body["inputs"]["age"], strict=True)]
    assert sent == [(base64.b64encode(photo).decode(), age) for photo, age in zip(data.inputs["photo"], [1.5, None, 3.0], strict=True)]


@pytest.mark.parametrize("held", [np.array(["2026-11-29"], dtype="datetime64[D]"), [{"a": float("nan")}]])
def test_values_that_json_cannot_say_are_refused(fake, held) -> None:
    with pytest.raises(InputError, match="cannot be sent"):
        Endpoint(fake.url).columns(ps.Data({"when": held}), PassContext())
    assert not fake.asked


def test_answers_too_large_and_halves_with_other_outputs_are_said(fake, data, monkeypatch) -> None:
    with monkeypatch.context() as small, pytest.raises(EngineError, match="more than 0 MB"):
        small.setattr(distil_endpoint, "MAX_ANSWER", 1 << 10)
        Endpoint(fake.url).columns(data, PassContext())
    monkeypatch.setattr(distil_endpoint, "LARGEST", 500)
    fake.answers = lambda body: (200, {"outputs": {f"p{len(fake.asked)}": [0.5] * len(body["inputs"]["x"])}})
    with pytest.raises(EngineError, match="the same outputs"):
        Endpoint(fake.url).columns(data, PassContext())


def test_which_output_teaches(fake, data) -> None:
    def of(outputs, loss="soft", asked=None, kind=None):
        fake.answers = lambda body: (200, {"outputs": {name: held[:len(body["inputs"]["x"])] for name, held in outputs.items()}})
        return served(Endpoint(fake.url), data, loss, asked, kind, PassContext())

    values = {"price": [float(place) for place in range(150)]}
    assert of(values).kind == "value"
    assert of(values, kind="score").held.shape == (150, 2)
    both = {"p": [[0.25, 0.75]] * 150, "vector": [[1.0, 2.0, 3.0]] * 150}
    with pytest.raises(InputError, match="not clear which"):
        of(both)
    with pytest.raises(InputError, match="not clear which"):
        of(both, asked="q")
    assert of(both, asked="p").kind == "score"
    assert of(both, "embedding", "vector").kind == "embedding"
    with pytest.raises(InputError, match="finite"):
        of({"p": [[0.5, None]] * 150}, asked="p")


def test_an_address_is_looked_at_before_any_work() -> None:
    for wrong in ("http://", "http://me:secret@localhost/predict", "http://[::1/?secret", "http://host:port/", "http://host/\u00e9"):
        with pytest.raises(InputError, match="no address") as caught:
            ps.Distil("sklearn.tree:DecisionTreeClassifier", teacher=wrong)
        assert "secret" not in str(caught.value)
    assert Endpoint("http://host/route?key=secret").said == "http://host/route"
