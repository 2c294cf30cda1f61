"""A page of the desk and its files: a shell without data, and scripts and styles under an address that changes with their content.

Everything is read once, when the server starts: a request picks from a table by name, so no path ever reaches the file system.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from ..doors.asgi import Incoming, Methods, Reply
from ..doors.routes import Folder
from .replies import absent, tagged

TYPES = {".js": b"text/javascript; charset=utf-8", ".css": b"text/css; charset=utf-8", ".svg": b"image/svg+xml"}
HTML = b"text/html; charset=utf-8"
STATIC = "{static}"
"""In a shell: where its files are, relative to the page."""
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
          "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")  # fmt: skip
TRUSTED = "; require-trusted-types-for 'script'; trusted-types 'none'"
"""Nothing on the page is ever parsed as HTML, whatever a text holds."""
HEADERS = (
    (b"x-frame-options", b"DENY"), (b"referrer-policy", b"no-referrer"), (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"), (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)  # fmt: skip


class Bundle:
    """A page at `/<name>` and its files at `/<name>/static/<digest>/`.

    Args:
        name: such as "dashboard".
        folders: where the files are; `index.html` is the shell. Of two files with one name the later counts.
        policy: the page's Content-Security-Policy.
    """

    def __init__(self, name: str, folders: Sequence[Path], policy: str = POLICY + TRUSTED) -> None:
        found = {path.name: path.read_bytes() for folder in folders for path in sorted(folder.iterdir())
                 if path.suffix in TYPES or path.name == "index.html"}  # fmt: skip
        shell = found.pop("index.html")
        digest = blake2b(b"\0".join(part for name in sorted(found) for part in (name.encode(), found[name])), digest_size=8).hexdigest()
        self.root, self.static = f"/{name}", f"/{name}/static/{digest}/"
        self.files = {self.static + name: (content, TYPES[Path(name).suffix]) for name, content in found.items()}
        self._shell = shell.replace(STATIC.encode(), self.static[1:-1].encode())
        self._headers = ((b"content-security-policy", policy.encode()), *HEADERS)

    def routes(self) -> tuple[dict[str, Methods], dict[str, Folder]]:
        """The page by its path, its files as a folder."""
        return {self.root: {"GET": self._page}}, {f"{self.root}/static/": lambda _: {"GET": self._file}}

    async def _page(self, _: Incoming) -> Reply:
        return Reply(200, self._shell, HTML, self._headers)

    async def _file(self, incoming: Incoming) -> Reply:
        held = self.files.get(incoming.path)
        if held is None:  # also that of an older page: its reader reloads it
            raise absent("There is no such file", incoming.path, fix="Reload the page.")
        return tagged(*held, incoming)
