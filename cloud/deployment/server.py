"""The `[server]` section: limits of the doors and of connections, the log, TLS, and who may ask."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .sections import Count, Positive, Section


class Log(Section):
    """Lines of JSON on stderr.

    Attributes:
        access: which requests get a line: "errors" are those that were refused or failed, "sampled" also a share of the others.
        sample: the share.
        exceptions: what is told of a fault of ours: "frames", where it happened; "full", also its message, which may hold a caller's data.
    """

    access: Literal["off", "errors", "sampled", "all"] = "errors"
    sample: Annotated[float, Field(gt=0, le=1)] = 0.01
    exceptions: Literal["frames", "full"] = "frames"


class Connections(Section):
    """Limits of each server process; what passes them is closed.

    Attributes:
        max: open connections; where there are as many, an idle one makes room for a new one.
        head_s: how long a request's headers may take to arrive.
        body_s: how long its body may take to arrive (408).
        answer_s: how long a caller may take to read an answer.
        idle_s: how long a connection may rest between requests.
        max_head_kb: size of a request's headers (431).
    """

    max: Count = 1000
    head_s: Positive = 10.0
    body_s: Positive = 60.0
    answer_s: Positive = 60.0
    idle_s: Positive = 5.0
    max_head_kb: Count = 64


class Tls(Section):
    """Paths relative to the deployment file. `client_ca`: callers must show a certificate that one of these authorities signed."""

    cert: str
    key: str
    client_ca: str | None = None


class Keys(Section):
    """Who may ask: `portside keys` writes the file.

    Attributes:
        file: relative to the deployment file.
        requests_per_s, rows_per_s: of a key that has no limits of its own, over the whole server; None: no limit.
        burst_s: seconds' worth that may come at once.
    """

    file: str
    requests_per_s: Positive | None = None
    rows_per_s: Positive | None = None
    burst_s: Positive = 1.0


class Admission(Section):
    """What each server process works on at once; more is refused (429) before its body is read.

    Attributes:
        max_inflight: requests with a body.
        max_inflight_mb: megabytes of their bodies.
        max_lag_ms: how late the event loop may be, twice in a row, before it lets in fewer.
    """

    max_inflight: Count = 512
    max_inflight_mb: Positive = 256.0
    max_lag_ms: Positive = 500.0


class Server(Section):
    """Limits of the doors.

    Attributes:
        max_body_mb: larger requests are refused (413).
        max_rows: more rows in one request are refused (422).
        warm_up_s: how long the models may take to be loaded and warm before the service calls itself broken.
        receipt: where receipts go when a request does not say (its header x-portside-receipt).
        log: what is written down.
        connections: see Connections.
        tls: None: plain HTTP.
        keys: None: everybody on this machine may ask, and nobody else.
        insecure_public: without keys, others than this machine may ask too: something in front of the server keeps strangers out.
        desk: the dashboard, the review page, records and labels over HTTP. None: with keys, or where only this machine may ask.
    """

    max_body_mb: Positive = 16.0
    max_rows: Count = 4096
    warm_up_s: Positive = 120.0
    receipt: Literal["both", "body", "headers", "none"] = "both"
    log: Log = Log()
    connections: Connections = Connections()
    limits: Admission = Admission()
    drain_s: Annotated[float, Field(ge=0, le=25)] = 20.0
    tls: Tls | None = None
    keys: Keys | None = None
    insecure_public: bool = False
    desk: bool | None = None
