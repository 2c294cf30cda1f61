"""What answers behind the doors in tests, a session of a compiled artifact or what fails and waits on command; and callers."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from types import SimpleNamespace

import numpy as np

from portside.edge.door_settings import DoorSettings
from portside.edge.doors import Doors
from portside.runtimes.artifact import open_artifact
from portside.runtimes.loading import load
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.door_gate import Flag
from portside.sdk.core.records import Receipt
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("y", "f32", ("batch", 2), kind="value"),))
BODY = b'{"row": {"x": [1, 2]}}'


def answered(outputs, flags=()):
    return SimpleNamespace(outputs=outputs, receipt=Receipt("m", "sha256:1", "fake", 0, "primary"), flags=flags)


class SessionAnswering:
    """A session of an artifact, one call at a time."""

    def __init__(self, folder):
        self.artifact = open_artifact(folder)
        self.session, self._lock = load(folder), threading.Lock()
        self.signature = self.session.info.signature
        self.fields = Codec.from_steps(self.artifact.codec, self.artifact.read).wire_fields(self.signature)

    def predict(self, inputs, *, entity=None, event_ms=None):
        with self._lock:
            return answered(self.session.predict(inputs))

    def status(self):
        return {"target": self.session.info.target}


class Doubling:
    """Twice x. fail: raised instead; gate: waited for; every call is noted."""

    def __init__(self, signature=SIGNATURE, codec=None):
        self.signature, codec = signature, codec or Codec()
        self.fields = codec.wire_fields(signature)
        self.fail, self.gate, self.calls, self.flags = None, None, [], ()

    def predict(self, inputs, *, entity=None, event_ms=None):
        self.calls.append((dict(inputs), entity, event_ms))
        if self.gate is not None:
            self.gate.wait(20)
        if self.fail is not None:
            raise self.fail
        return answered({"y": np.asarray(inputs["x"], np.float32) * 2}, self.flags)

    def status(self):
        return {"release": "sha256:1", "outbox": {"waiting": 3}}


def unusual():
    return Flag("x", 0, "range", 7.0)


def quick(**more):
    """Settings with times that a test can wait for."""
    given = {"port": 0, "head_s": 0.4, "body_s": 0.4, "rest_s": 5.0, "wait_s": 0.05, "max_body_bytes": 4096, "max_head_bytes": 1024}
    return DoorSettings(**{**given, **more})


def opened(answering, **more):
    return Doors(answering, quick(**more))


def line_to(doors, unix=None):
    """A socket to the doors."""
    made = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_STREAM)
    made.settimeout(10)
    made.connect(str(unix) if unix else ("127.0.0.1", doors.port))
    return made


def post(body=BODY, more=b"", kind=b"application/json", path=b"/predict"):
    head = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: %b\r\n" % (path, kind)
    return b"%b%bcontent-length: %d\r\n\r\n%b" % (head, more, len(body), body)


def get(path=b"/healthz", more=b""):
    return b"GET %b HTTP/1.1\r\nhost: localhost\r\n%b\r\n" % (path, more)


class Said(SimpleNamespace):
    """A reply: status, headers, body."""

    def json(self):
        return json.loads(self.body)


def reply_on(line, method="POST"):
    """The next reply on a socket; None where the other side hung up instead."""
    reply = http.client.HTTPResponse(line, method=method)
    try:
        reply.begin()
        return Said(status=reply.status, headers={name.lower(): value for name, value in reply.getheaders()}, body=reply.read())
    except (http.client.HTTPException, ConnectionError):
        return None
    finally:
        reply.close()


def said_to(doors, data, unix=None, method="POST"):
    """Send bytes on a connection of their own, and read one reply."""
    with line_to(doors, unix) as line:
        line.sendall(data)
        return reply_on(line, method)


def ends(line):
    """Whether the other side hangs up; what it says before is thrown away."""
    try:
        while line.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def until(holds, seconds=10.0):
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)
