"""A server of batches that remembers every byte it was sent, and says what a test wants it to say."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Said = tuple[int, Any] | tuple[int, Any, dict[str, str]]


def acknowledged(batch: dict[str, Any], **more: Any) -> Said:
    """Everything of a batch is held."""
    numbers = [entry["sequence"] for entry in batch["entries"]]
    said = {"device": batch["device"], "outbox": batch["outbox"], "held": numbers, "refused": [], "conflicts": [],
            "highest": max(numbers, default=0)}  # fmt: skip
    return 200, {**said, **more}


def faulty(what: str = "no") -> dict[str, str]:
    """A refusal in the server's words."""
    return {"error": "InputError", "what": what}


class TakingServer:
    """answer: from a parsed batch to status, body and perhaps headers; None: hang up without a word. tls: it is asked by HTTPS."""

    def __init__(self, answer: Callable[[dict[str, Any]], Said | None] = acknowledged, tls: ssl.SSLContext | None = None) -> None:
        self.answer, self.batches = answer, list[dict[str, Any]]()
        self.raw = bytearray()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                text = gzip.decompress(body)
                outer.raw += f"{self.requestline}\n{self.headers}".encode() + body + text
                batch = json.loads(text)
                outer.batches.append(batch)
                said = outer.answer(batch)
                if said is None:
                    self.close_connection = True
                    return
                reply = said[1] if isinstance(said[1], bytes) else json.dumps(said[1]).encode()
                self.send_response(said[0])
                for name, value in (said[2] if len(said) > 2 else {}).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
