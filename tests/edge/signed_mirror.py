"""A publisher with keys, a web server of its repository that an attacker owns, and a device: what tests of signed updates share."""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
import hashlib
import shutil
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner

from portside.edge.bounded import Bounds
from portside.edge.fetch import Fetched, fetch
from portside.edge.mirror import Mirror
from portside.edge.stopped import Stopped
from portside.edge.trust import Offer, Trust
from portside.sdk.core.release import Release, ReleasePart
from portside.sdk.core.release_index import ReleaseIndex
from portside.sdk.signing.publish import publish_folders
from portside.sdk.signing.repository import Repository

NOW = 1_800_000_000.0
DAY = 86_400
CHUNK = 4 << 10
QUICK = Bounds(connect_s=2, gap_s=1, request_s=5, total_s=20, rate=10_000, grace_s=0.2)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Clock:
    """One time for publisher and device, moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Publisher:
    """Keys of every role (three of the root, two of which must sign) and a repository."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder, self.clock = folder, clock
        self.root_keys = [CryptoSigner.generate_ed25519() for _ in range(3)]
        self.targets, self.snapshot, self.timestamp = (CryptoSigner.generate_ed25519() for _ in range(3))
        self.repository = Repository(folder / "repository", clock)
        self.root = self.repository.create(
            {"root": [key.public_key for key in self.root_keys], "targets": [self.targets.public_key],
             "snapshot": [self.snapshot.public_key], "timestamp": [self.timestamp.public_key]},
            [*self.root_keys[:2], *self.online],
        )  # fmt: skip

    @property
    def online(self) -> list[CryptoSigner]:
        return [self.targets, self.snapshot, self.timestamp]

    def publish(self, files: Mapping[str, bytes], name: str = "inspector", target: str = "tflite", back: int | None = None) -> ReleaseIndex:
        """A release of these files for one platform."""
        artifact = self.folder / "artifacts" / sha256(repr((name, target, sorted(files.items()))).encode())[:16]
        if not artifact.exists():
            for path, data in files.items():
                (artifact / path).parent.mkdir(parents=True, exist_ok=True)
                (artifact / path).write_bytes(data)
        digest = "sha256:" + sha256(artifact.name.encode())
        part = ReleasePart(target, "any", "sha256:" + sha256(b"artifact" + artifact.name.encode()), "passed", sum(map(len, files.values())))
        release = Release(name, "sha256:" + sha256(name.encode()), (part,), digest)
        (made,) = publish_folders(self.repository, release, {target: artifact}, self.online, rolls_back_to=back, chunk_bytes=CHUNK)
        return made


class Web:
    """A loopback server of a folder, with ranges; `attack` may answer instead.

    Attributes:
        asked: every path that was asked for, with its Range.
        sent: bytes of bodies.
        attack: (handler, path) -> whether it has answered.
        ranges: understands them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.sent, self.ranges = folder, list[str](), 0, True
        self.attack: Callable[[Any, str], bool] = lambda handler, path: False
        self.closing = threading.Event()
        self.tls: ssl.SSLContext | None = None

    @contextmanager
    def serve(self) -> Iterator[str]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                path = self.path.lstrip("/")
                owner.asked.append(path)
                try:
                    if not owner.attack(self, path):
                        owner.answer(self, path)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if self.tls is not None:
            server.socket = self.tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            self.closing.set()
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, handler: Any, path: str) -> None:
        file = self.folder / path
        self.send(handler, file.read_bytes() if file.is_file() else None)

    def send(self, handler: Any, data: bytes | None, upto: int | None = None) -> None:
        """A body, cut after `upto` bytes where that is given; None: there is none."""
        if data is None:
            handler.send_response(404)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        start = int(handler.headers.get("Range", "bytes=0-")[6:].rstrip("-")) if self.ranges else 0
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        body = data[start:][:upto]
        handler.wfile.write(body)
        self.sent += len(body)
        if len(body) < len(data) - start:
            handler.close_connection = True


class Device:
    """A device: what it trusts, what it fetched, and the release that runs."""

    def __init__(self, folder: Path, root: bytes, url: str, clock: Clock, bounds: Bounds = QUICK) -> None:
        folder.mkdir()
        self.folder, self.url, self.bounds = folder, url, bounds
        self.releases = folder / "releases"
        self.releases.mkdir()
        self.trust = Trust(folder / "trust", root, lambda: Mirror(self.url, self.bounds), clock)

    def update(self, name: str = "inspector", platform: str = "tflite", **wish: Any) -> Fetched | Stopped:
        """Refresh, find, fetch; a complete release lies in `releases/<sequence>`."""
        found = self.trust.refresh()
        if isinstance(found, Stopped):
            return found
        with found:
            offer = found.find(name, platform, **wish)
            if isinstance(offer, Stopped):
                return offer
            return fetch(offer.index, found.mirror, self.releases / str(offer.index.sequence), held=sorted(self.releases.glob("*[0-9]")))

    def look(self, **wish: Any) -> Offer | Stopped:
        """The offer alone."""
        found = self.trust.refresh()
        if isinstance(found, Stopped):
            return found
        with found:
            return found.find("inspector", "tflite", **wish)

    def runs(self) -> dict[str, bytes]:
        """Every file of every complete release."""
        folders = [path for path in self.releases.iterdir() if path.name.isdigit()]
        return {str(file.relative_to(self.releases)): file.read_bytes() for path in folders for file in path.rglob("*") if file.is_file()}


class World:
    """All of it, with the first release published and running."""

    FIRST: Mapping[str, bytes] = {
        "artifact.json": b'{"n": 1}',
        "engine/model.tflite": bytes(range(256)) * 60,
        "contract/golden.bin": b"g" * 5000,
    }
    SECOND: Mapping[str, bytes] = {**FIRST, "artifact.json": b'{"n": 2}', "engine/model.tflite": bytes(range(255, -1, -1)) * 60}

    def __init__(self, folder: Path, url: str, web: Web, publisher: Publisher, clock: Clock) -> None:
        self.folder, self.web, self.publisher, self.clock = folder, web, publisher, clock
        self.url = url
        publisher.publish(self.FIRST)
        self.device = Device(folder / "device", publisher.root, url, clock)
        assert isinstance(self.device.update(), Fetched)

    def save(self) -> Path:
        """A copy of the repository as it is: what an attacker kept."""
        kept = self.folder / f"kept-{len(list(self.folder.glob('kept-*')))}"
        shutil.copytree(self.publisher.repository.path, kept)
        return kept

    @contextmanager
    def refused(self, *reasons: str) -> Iterator[None]:
        """What ran before still is what runs, and the only thing; the device said no, for one of these reasons."""
        before = self.device.runs()
        yield
        for answer in (self.device.update(), self.device.update()):  # a second attempt fares no better
            assert isinstance(answer, Stopped), answer
            assert answer.reason.value in reasons, answer
        assert self.device.runs() == before


@contextmanager
def world(folder: Path) -> Iterator[World]:
    clock = Clock()
    publisher = Publisher(folder, clock)
    web = Web(publisher.repository.path)
    with web.serve() as url:
        yield World(folder, url, web, publisher, clock)
