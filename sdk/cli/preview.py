"""`portside preview`: serve a browser bundle on this machine with the headers that give it threads, and open its page."""

from __future__ import annotations

import argparse
import threading
import webbrowser
from collections.abc import Iterable
from pathlib import Path

from ...runtimes.artifact import DESCRIPTION, Artifact, open_artifact
from ...runtimes.web.host import Host
from ..core.errors import InputError
from .console import Result, progress, size

EXAMPLE = """
  portside compile model/ --target wasm --out dist/
  portside preview dist/                     the demo page, in your browser
  portside preview dist/ --port 8000 --no-open

The address ends in a random prefix and the bundle, http://127.0.0.1:PORT/PREFIX/bundle/index.html: other users of this machine
cannot guess it, and it is another one each time. Only 127.0.0.1 and localhost are answered. For a fixed address, or for other
machines, copy the folder to any static web server.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The bundle and where to serve it."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder that `portside compile --target wasm` wrote")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one); the address has a random prefix")
    parser.add_argument("--no-open", action="store_true", help="print the address only")


def run(args: argparse.Namespace) -> Result:
    """Serve until Ctrl-C. Raises FormatError, IntegrityError for a bundle that is none or was changed, InputError."""
    bundle = checked(args.bundle)
    host = begin(args.port)
    url = address(host, bundle.path, bundle.files)
    served = sum(entry.size for entry in bundle.files.values())
    progress(f"{bundle.name}: {len(bundle.files)} files, {size(served)}, checked against their digests\n{url}\nCtrl-C ends it.")
    wait(url, opened=not args.no_open)  # nothing is closed: the server's threads end with this process, whatever callers are at
    return Result({"url": url, "package": bundle.package_digest, "artifact": bundle.digest}, "stopped")


def checked(folder: Path) -> Artifact:
    """The bundle in `folder`, audited. Raises FormatError, IntegrityError, and InputError for an artifact without a page."""
    bundle = open_artifact(folder)
    if "index.html" not in bundle.files:
        raise InputError("This artifact has no page to preview", got=f"target {bundle.target}", expected="target wasm",
                         fix="Run: portside compile PACKAGE --target wasm --out FOLDER")  # fmt: skip
    return bundle


def begin(port: int) -> Host:
    """A server on 127.0.0.1. Raises InputError where the port cannot be had."""
    try:
        return Host(port)
    except (OSError, OverflowError) as error:
        raise InputError(f"Port {port} cannot be used: {error}", expected="a free port", fix="Leave --port out to get one.") from error


def address(host: Host, folder: Path, names: Iterable[str], page: str = "index.html") -> str:
    """Serve these files of `folder`, and return the address of `page` among them."""
    mount = host.mount(folder, (*names, DESCRIPTION), isolated=True, pages=True)
    return host.url(mount, f"bundle/{page}")


def wait(url: str, opened: bool) -> None:
    """Open the address if asked to, then wait for Ctrl-C."""
    if opened and not webbrowser.open(url):
        progress("No browser could be opened here; open the address yourself.")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        progress("")
