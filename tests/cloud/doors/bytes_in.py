"""The protocol over a transport that only keeps what is written, so that bytes go in piece by piece and nothing waits for a network."""

import asyncio
import re
from types import SimpleNamespace

import numpy as np
import uvicorn
from uvicorn.server import ServerState

from portside.cloud.answering.chain import ModelEntry
from portside.cloud.answering.engine import Engine
from portside.cloud.doors.admission import Admission
from portside.cloud.doors.connection import bounded
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.doors.sweep import Limits
from portside.cloud.doors.wire import Wire
from portside.runtimes.base import SessionInfo
from portside.runtimes.isolation import Lane
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.failover import Entry, Policy
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("y", "f32", ("batch", 2), kind="value"),))
BODY = b'{"row": {"x": [1, 2]}}'
MAX_BODY = 10_000


class Twice:
    info = SessionInfo(SIGNATURE, "fake", "sha256:1", True, True, True)

    def run(self, inputs, cancel=None):
        return {"y": np.asarray(inputs["x"]) * 2}

    def close(self):
        pass


def host(isolation=0):
    entry = ModelEntry("m", "sha256:m", "fake", "sha256:a", "f", SIGNATURE, Codec(), Lane(Twice(), isolation))
    engine = Engine((entry,), Policy((Entry("model"),)))
    return SimpleNamespace(engine=engine, wire=Wire(Codec(), SIGNATURE), openapi={}, fault="", name="m", version="1",
                           max_body_bytes=MAX_BODY, receipt="headers")  # fmt: skip


def post(body=BODY, path="/predict", more=b"", version=b"1.1"):
    return b"POST %b HTTP/%b\r\nhost: x\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b" % (
        path.encode(), version, more, len(body), body)  # fmt: skip


class Transport:
    """Keeps what is written."""

    def __init__(self):
        self.written, self.closed, self.aborted, self.reading = b"", False, False, True

    def write(self, data):
        if not self.closed:
            self.written += bytes(data)

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def abort(self):
        self.closed = self.aborted = True

    def get_extra_info(self, name, default=None):
        return ("127.0.0.1", 80) if name in ("sockname", "peername") else default

    def get_write_buffer_size(self):
        return 0

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


class Wired:
    """One connection to doors of its own. `lean`: with the shorter way. Made inside of a running loop."""

    def __init__(self, lean=True, limits=None, app=None, isolation=0):
        self.admission = Admission(8, 1 << 20, MAX_BODY)
        self.app = app or HttpApp(host(isolation), guards=(self.admission,))
        config = uvicorn.Config(self.app, http="h11", lifespan="off", log_config=None)
        config.load()
        self.state, self.transport = ServerState(), Transport()
        protocol = bounded(limits or Limits(max_head_bytes=2000), doors=self.app if lean else None)
        self.connection = protocol(config, self.state, {}, asyncio.get_running_loop())
        self.connection.connection_made(self.transport)

    def feed(self, data):
        """As an event loop does: nothing once the connection is closing."""
        if not self.transport.closed:
            self.connection.data_received(data)

    async def settled(self, turns=12):
        """Let the loop run until what needs no time is done."""
        for _ in range(turns):
            await asyncio.sleep(0)
        return self.said

    @property
    def said(self):
        """What was written, without what differs from answer to answer."""
        return re.sub(rb"(x-request-id|x-portside-time-ms): \S+", rb"\1", self.transport.written)

    @property
    def state_of_it(self):
        """Everything that the two ways must agree about."""
        admission, connection = self.admission, self.connection
        reading = self.transport.reading or self.transport.closed
        there = (self.said, self.transport.closed, self.transport.aborted, reading, connection.phase, connection.head_bytes)
        return (*there, len(connection.pipeline), len(self.state.tasks), self.state.total_requests, admission.inflight, admission.refused)


def run(test):
    """Run an async function of no arguments on a loop of its own."""
    return asyncio.run(test())
