"""Made-up HTTP requests over all doors: well-formed ones with odd contents, and broken ones. A seed makes the same ones again."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import zlib
from dataclasses import dataclass

DOORS = (
    "/predict", "/predict/wired", "/predict/cell-inspector", "/api/predict", "/v2/models/wired/infer", "/v2/models/cell-inspector/infer",
    "/v2/models/wired", "/v2/models/wired/ready", "/v2", "/v2/health/ready", "/v2/repository/index", "/livez", "/readyz", "/metrics",
    "/openapi.json", "/docs", "/", "/schema.json",
)  # fmt: skip
ODD_PATHS = ("/nope", "/v2/models/%00/infer", "/v2/models//infer", "/predict/../metrics", "/predict?" + "a=b&" * 50, "*", "http://x/predict",
             "/v2/models/wired/versions/99999999999999999999/infer", "/" + "a" * 9000, "/%ff%fe", "/predict/é")  # fmt: skip
METHODS = ("POST",) * 40 + ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "post", "P\x00ST", "", "BREW" * 20)
KINDS = (
    *("application/json",) * 4, "multipart/form-data; boundary=b", "multipart/form-data", "application/octet-stream", "text/plain", "",
    "application/json; charset=utf-16", 'a/b; c="', "application/x-www-form-urlencoded", "application/vnd.bentoml+pickle",
)  # fmt: skip
HEADERS = (
    "accept-encoding: gzip", "expect: 100-continue", "connection: close", "connection: upgrade\r\nupgrade: websocket",
    "cookie: " + "x" * 300,
    "content-encoding: gzip", "content-encoding: br", "content-encoding: deflate", "transfer-encoding: gzip, chunked", "te: trailers",
    "x-request-id: \xff\xfe", "x-request-id: " + "i" * 500, "authorization: Bearer nothing", "host: other", ": no name", "no colon",
    " folded: yes", "a\x00b: c", "inference-header-content-length: 0", "inference-header-content-length: -1", "traceparent: 00-1-2-3",
    "inference-header-content-length: 99999999999999999999", "inference-header-content-length: abc", "range: bytes=0-1",
)  # fmt: skip
SCALARS = (None, True, 0, -1, 1.5, 2**63, -(2**70), 1e39, 1e-400, "", "red", "x" * 200, "\ud800", [], {}, [[]], [1, 2], [[1, 2]], [None],
           float("nan"), float("inf"))  # fmt: skip
PIXEL = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\3\1\1\0\xc9\xfe\x92\xef"
    b"\0\0\0\0IEND\xaeB`\x82"
).decode()
ROW = {"photo": PIXEL, "colour": "red", "size": [1, 2], "x": [1, 2, 3]}
DATATYPES = ("FP32", "FP64", "FP16", "INT64", "INT32", "UINT8", "BOOL", "BYTES", "INT8", "BF16", "", "fp32", 7)

BOMB = gzip.compress(bytes(50_000_000), 9, mtime=0)
"""50 MB of zeros in 50 kB."""


@dataclass(frozen=True)
class Made:
    """Bytes to send, in these pieces; `whole`: it is one request whose framing is right, so it must be answered."""

    pieces: tuple[bytes, ...]
    whole: bool

    @property
    def data(self):
        return b"".join(self.pieces)


def value(random, deep=3):
    """Anything JSON can hold, and some that it cannot."""
    if deep == 0 or random.random() < 0.6:
        return random.choice(SCALARS)
    if random.random() < 0.5:
        return [value(random, deep - 1) for _ in range(random.randrange(4))]
    return {random.choice([*ROW, "inputs", "row", "name", "", "$ref"]): value(random, deep - 1) for _ in range(random.randrange(4))}


def typed(random):
    """The typed route's three forms, some of whose fields are odd."""
    row = {name: held if random.random() < 0.7 else value(random) for name, held in ROW.items() if random.random() < 0.8}
    columns = {name: [held] for name, held in row.items()}
    said = random.choice([{"row": row}, {"rows": [row] * random.randrange(4)}, {"inputs": columns}, row])
    for name in ("entity", "event_ms", "inputs", "wat"):
        if random.random() < 0.1:
            said = {**said, name: value(random)}
    return dumped(said if random.random() < 0.9 else value(random))


def dumped(said):
    """JSON bytes; lone surrogates as they are."""
    return json.dumps(said, ensure_ascii=False).encode("utf-8", "surrogatepass")


def tensor(random):
    """One input of the Open Inference Protocol, with binary data behind the JSON where it says so."""
    name, shape = random.choice([*ROW, "", 5]), [random.choice([1, 1, 2, 3, 4, 0, -1, 2**40]) for _ in range(random.randrange(4))]
    held, data = {"name": name, "datatype": random.choice(DATATYPES), "shape": shape if random.random() < 0.9 else value(random)}, b""
    if random.random() < 0.5:
        held["data"] = random.choice([[1.0], [1, 2], [[1, 2]], ["red"], [PIXEL], value(random)])
    else:
        data = random.choice([struct.pack("<2f", 1, 2), struct.pack("<I", 3) + b"red", struct.pack("<I", 2**32 - 1), random.randbytes(24)])
        size = len(data) if random.random() < 0.7 else random.choice([-1, 0, 2**62, "8", None, 1.5])
        held["parameters"] = {"binary_data_size": size}
    return {key: kept for key, kept in held.items() if random.random() < 0.97}, data


def inference(random):
    """(body, length of its JSON or None): Open Inference Protocol, JSON and binary."""
    tensors = [tensor(random) for _ in range(random.randrange(4))]
    said = {"inputs": [held for held, _ in tensors] if random.random() < 0.95 else value(random)}
    for name in ("outputs", "parameters", "id"):
        if random.random() < 0.2:
            said[name] = random.choice([[{"name": "label"}], [{"name": "label", "parameters": {"binary_data": True}}], value(random)])
    head, tail = dumped(said), b"".join(data for _, data in tensors)
    return head + tail, len(head) if tail or random.random() < 0.3 else None


def form(random):
    """multipart/form-data, some of it cut short or without names."""
    parts = []
    for _ in range(random.randrange(5)):
        name = random.choice([*ROW, "entity", "", '"', "a" * 300])
        extra = random.choice(["", '; filename="a.png"', "; filename*=UTF-8''x", "\r\ncontent-type: image/png"])
        data = random.choice([b"red", b"[1, 2]", base64.b64decode(PIXEL), random.randbytes(20), b"", b"\xff"])
        parts.append(f'--b\r\ncontent-disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + data + b"\r\n")
    return b"".join(parts) + random.choice([b"--b--\r\n", b"--b--\r\n", b"", b"--b", b"\0"])


def chunked(random, body):
    """The body in chunks; (bytes, whether they are right)."""
    right = random.random() < 0.6
    size = random.randrange(1, 40)
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    lines = [f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts] + [b"0\r\n\r\n"]
    if not right:
        odd = [b"zz\r\n", b"-1\r\n", b"fffffffffffffffff\r\n", b"5\r\nab", b"\r\n\r\n", b"1;ext=" + b"x" * 100 + b"\r\na\r\n"]
        lines.insert(random.randrange(len(lines)), random.choice(odd))
    return b"".join(lines), right


def request(random):
    """One made-up request."""
    path, method = random.choice(DOORS) if random.random() < 0.9 else random.choice(ODD_PATHS), random.choice(METHODS)
    kind, head_length = random.choice(KINDS), None
    maker = random.random()
    if "/infer" in path and maker < 0.8:
        body, head_length = inference(random)
    elif kind.startswith("multipart") and maker < 0.8:
        body = form(random)
    elif maker < 0.9:
        body, kind = typed(random), kind if maker < 0.05 else "application/json"
    else:
        body = random.randbytes(random.randrange(200))
    headers = ["host: test", f"content-type: {kind}", *random.sample(HEADERS, random.choice([0, 0, 0, 1, 2]))]
    plain = len(headers) == 2
    if head_length is not None:
        wrong = 0 if random.random() < 0.9 else random.randrange(-9, 99)
        headers.append(f"inference-header-content-length: {head_length + wrong}")
    if random.random() < 0.06:
        squeezed = [(gzip.compress(body, mtime=0), "gzip"), (zlib.compress(body), "deflate"), (BOMB, "gzip"), (BOMB[:-9], "gzip")]
        body, squeezed = random.choice(squeezed)
        headers.append(f"content-encoding: {squeezed}")
    framing, right = random.random(), True
    if framing < 0.65:
        headers.append(f"content-length: {len(body)}")
    elif framing < 0.85:
        headers.append("transfer-encoding: chunked")
        body, right = chunked(random, body)
    else:
        right = False
        headers.append(random.choice(["content-length: -1", "content-length: abc", f"content-length: {len(body) + 50}", "x: y",
                                      "content-length: 0", "content-length: 99999999999999999999999", "content-length: 9000000",
                                      f"content-length: {len(body)}\r\ncontent-length: 3",
                                      "content-length: 5\r\ntransfer-encoding: chunked"]))  # fmt: skip
    version = "HTTP/1.1" if random.random() < 0.95 else random.choice(["HTTP/1.0", "HTTP/2.0", "HTTP/9", "ICAP/1.0", ""])
    lines = "".join(f"{line}\r\n" for line in headers).encode("latin-1", "replace")
    data = f"{method} {path} {version}\r\n".encode("utf-8", "replace") + lines + b"\r\n" + body
    whole = plain and right and version == "HTTP/1.1" and path in DOORS and method in ("POST", "GET", "PUT", "DELETE", "PATCH", "OPTIONS")
    return bent(random, data, whole)


def bent(random, data, whole):
    """Now and then with bytes flipped, cut, doubled or put in; now and then in pieces."""
    if random.random() < 0.25 and data:
        place, whole = random.randrange(len(data)), False
        data = random.choice([
            data[:place] + bytes([random.randrange(256)]) + data[place + 1 :], data[:place], data[:place] + data[place:] * 2,
            data[:place] + random.randbytes(random.randrange(1, 30)) + data[place:], data[place:],
        ])  # fmt: skip
    if random.random() < 0.2 and len(data) > 2:
        cuts = sorted(random.sample(range(1, len(data)), min(3, len(data) - 1)))
        return Made(tuple(data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)), whole)
    return Made((data,), whole)
