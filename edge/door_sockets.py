"""The listening sockets of the local doors: loopback or what was allowed, and a Unix socket for this user alone."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from ..sdk.core.errors import FormatError
from .door_settings import DoorSettings

BACKLOG = 64


def listening(settings: DoorSettings) -> list[socket.socket]:
    """Bound and listening; TCP first. Raises FormatError where one cannot be had, and leaves none open then."""
    made: list[socket.socket] = []
    try:
        if settings.port is not None:
            made.append(_tcp(settings.host, settings.port))
        if (path := settings.socket_path()) is not None:
            made.append(_unix(path))
    except BaseException:
        for one in made:
            one.close()
        raise
    return made


def forget(path: Path, inode: int) -> None:
    """Remove the socket file that was made, unless another one stands there now."""
    try:
        if path.lstat().st_ino == inode:
            path.unlink()
    except OSError:
        pass


def _tcp(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise FormatError("There is no such address", got=host) from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise FormatError("The doors cannot listen there", got=f"{host}:{port}: {error.strerror}", fix="Another port, or 0.") from error
    return made


def _unix(path: Path) -> socket.socket:
    """At this path, mode 0600 from the first moment on. Raises FormatError where somebody listens there already."""
    _clear(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        staged.unlink(missing_ok=True)
        made.bind(str(staged))
        staged.chmod(0o600)  # nobody can connect before it listens
        made.listen(BACKLOG)
        staged.rename(path)
    except OSError as error:
        made.close()
        staged.unlink(missing_ok=True)
        raise FormatError("The doors cannot listen there", got=f"{path}: {error.strerror or error}") from error
    return made


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens at. Raises FormatError for one that lives, and for a file that is none."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise FormatError("There is a file at the path of the socket, which is no socket", got=str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.settimeout(1.0)
        try:
            asked.connect(str(path))
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, errno.ENOENT):
                raise FormatError("It cannot be said whether somebody listens at the socket", got=f"{path}: {error}") from error
        else:
            raise FormatError("Somebody listens at the socket", got=str(path), fix="Stop the other agent, or give another path.")
    path.unlink(missing_ok=True)
