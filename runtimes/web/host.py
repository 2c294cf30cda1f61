"""A static server on 127.0.0.1 for the pages that prove bundles: one per process, a mount per session.

    /<token>/bundle/...    the files that the artifact lists, and no others
    /<token>/page/...      the page that drives the bundle (`runtimes/web/page/`)
    /<token>/calls/<n>     GET: what a call sends; POST: what it answers

A path is looked up among known names, never joined to a folder, so there is nothing to traverse. The token is not to be guessed
by other users of the machine, and a request under another host name (DNS rebinding) is refused. A mount that people look at
(`pages`) leads from its folders to their index.html.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from ...sdk.core.errors import EngineError

PAGE = Path(__file__).resolve().parent / "page"
TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8", ".json": "application/json", ".wasm": "application/wasm", ".ts": "text/plain; charset=utf-8",
}  # fmt: skip
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'"
)
"""The strictest policy that a bundle must live under."""
ISOLATED: Mapping[str, str] = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
NAMES = ("127.0.0.1", "localhost")
"""The only host names that are answered."""
HTTP = 80
"""The port that browsers leave out."""
_CHUNK = 1 << 20
_LOST = b"There is nothing here. Open the address that was printed: its first part is random, so that nobody guesses it.\n"


class Mount:
    """One session's part of the server.

    Args:
        files: path below the mount -> file.
        isolated: send the headers without which a page has no threads.
        pages: a folder leads to the index.html in it, and the mount itself to the bundle's.

    Attributes:
        absent: files of the bundle that were asked for and are not there.
    """

    def __init__(self, files: Mapping[str, Path], isolated: bool, pages: bool = False) -> None:
        self.token = secrets.token_urlsafe(16)
        self.files = dict(files)
        self.headers = ISOLATED if isolated else {}
        self.pages = pages
        self.absent: set[str] = set()
        self._calls: dict[str, bytes] = {}
        self._answers: dict[str, bytes] = {}

    def page(self, folder: str) -> str | None:
        """The path of a folder's page, where this mount leads there."""
        name = f"{folder.strip('/') or 'bundle'}/index.html"
        return name if self.pages and name in self.files else None

    def offer(self, call: str, frame: bytes) -> None:
        """Have `frame` ready for the page to fetch."""
        self._calls[call] = frame

    def offered(self, call: str) -> bytes | None:
        """What was offered."""
        return self._calls.get(call)

    def answer(self, call: str, frame: bytes) -> bool:
        """Keep what the page answers; False for a call that nobody made (or that was given up)."""
        if call not in self._calls:
            return False
        self._answers[call] = frame
        return True

    def take(self, call: str) -> bytes:
        """The answer, once. Raises EngineError when there is none."""
        self._calls.pop(call, None)
        if (frame := self._answers.pop(call, None)) is None:
            raise EngineError("The page gave no answer", reason="crashed")
        return frame

    def drop(self, call: str) -> None:
        """Forget a call that was given up."""
        self._calls.pop(call, None)
        self._answers.pop(call, None)


class Host:
    """The server, on a port of its own choice (0) or a given one. Raises OSError where that is taken."""

    def __init__(self, port: int = 0) -> None:
        self._mounts: dict[str, Mount] = {}
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.host = self
        self._server.socket.setblocking(False)  # a caller that leaves before it is accepted must not hold the loop
        port = self._server.server_address[1]
        self.origin = f"http://127.0.0.1:{port}"
        self.names = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == HTTP else set())
        self._thread = threading.Thread(target=self._server.serve_forever, name="portside-host", daemon=True)
        self._thread.start()

    def mount(self, folder: Path, names: Iterable[str], isolated: bool = False, pages: bool = False) -> Mount:
        """Serve these files of `folder` as a bundle, beside the page that drives it."""
        bundle = {f"bundle/{name}": folder / name for name in names}
        page = {f"page/{file.name}": file for file in PAGE.iterdir() if file.suffix in TYPES}
        mount = Mount({**bundle, **page}, isolated, pages)
        self._mounts[mount.token] = mount
        return mount

    def unmount(self, mount: Mount) -> None:
        """Serve it no longer."""
        self._mounts.pop(mount.token, None)

    def found(self, token: str) -> Mount | None:
        """The mount of a token."""
        return self._mounts.get(token)

    def url(self, mount: Mount, path: str = "") -> str:
        """Address of a path below a mount."""
        return f"{self.origin}/{mount.token}/{path}"

    def close(self) -> None:
        """Stop serving. Bounded in time, whatever the loop is at."""
        ending = threading.Thread(target=self._server.shutdown, name="portside-host-end", daemon=True)
        ending.start()
        ending.join(timeout=5)
        self._server.server_close()
        self._thread.join(timeout=5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    host: Host

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that went away in the middle of a request is no event."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 600

    def do_GET(self) -> None:
        """A file, or what a call sends."""
        mount, path = self._mount()
        if mount is None:
            self._refuse(404, _LOST)
        elif path.startswith("calls/") and (frame := mount.offered(path)) is not None:
            self._send(mount, "application/octet-stream", frame)
        elif (file := mount.files.get(path)) is not None and file.is_file():
            self._send_file(mount, file)
        elif (page := mount.page(path)) is not None:
            self._lead(f"/{mount.token}/{page}")
        else:
            if path.startswith("bundle/"):
                mount.absent.add(path.removeprefix("bundle/"))
            self._refuse(404)

    def do_HEAD(self) -> None:
        """The headers of GET; what writes a body leaves it out."""
        self.do_GET()

    def do_POST(self) -> None:
        """What a call answers."""
        mount, path = self._mount()
        if mount is None:  # a stranger's bytes are not read
            self.close_connection = True
            self._refuse(404)
            return
        if not mount.answer(path, self.rfile.read(int(self.headers.get("Content-Length", "0")))):
            self._refuse(404)
            return
        self._send(mount, "text/plain", b"")

    def _mount(self) -> tuple[Mount | None, str]:
        """The mount that is asked for and the path below it; the query is for the page alone."""
        host = cast("_Server", self.server).host
        if self.headers.get("Host", "").lower() not in host.names:
            return None, ""
        token, _, path = self.path.partition("?")[0].removeprefix("/").partition("/")
        return host.found(token), path

    def _send(self, mount: Mount, kind: str, body: bytes) -> None:
        self._head(mount, kind, len(body))
        self._write(body)

    def _send_file(self, mount: Mount, file: Path) -> None:
        with file.open("rb") as handle:
            self._head(mount, TYPES.get(file.suffix, "application/octet-stream"), file.stat().st_size)
            while self.command != "HEAD" and (chunk := handle.read(_CHUNK)):
                self.wfile.write(chunk)

    def _head(self, mount: Mount, kind: str, size: int) -> None:
        self.send_response(200)
        fixed = {"Content-Type": kind, "Content-Length": str(size), "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
                 "Content-Security-Policy": POLICY, "Cross-Origin-Resource-Policy": "same-origin"}  # fmt: skip
        for name, value in {**fixed, **mount.headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _lead(self, path: str) -> None:
        self.send_response(302)
        self.send_header("Location", path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refuse(self, status: int, why: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(why)))
        self.end_headers()
        self._write(why)

    def _write(self, body: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Nothing is logged."""
