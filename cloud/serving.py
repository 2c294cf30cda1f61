"""`portside serve`: check the deployments here, then become `bentoml serve`.

Deployments are resolved first, in this process, so that their errors are ours and compiles are done once. Then this
process *becomes* BentoML's (exec): one process id, and signals reach the one that handles them.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from ..sdk.core.errors import InputError, MissingExtraError
from .deployment.file import read
from .deployment.resolving import Resolved
from .deployment.version import check_distinct
from .graph.resolving import resolve
from .security.listening import check_public, tls_options
from .security.public import INSECURE_PUBLIC, public

TARGET = "portside.cloud.served:svc"


def prepare(*paths: str | Path) -> tuple[Resolved, ...]:
    """Read, resolve and compile what deployments name; what `serve` does before it listens.

    Raises:
        PortsideError: whatever is wrong, with the line or the entry.
        MissingExtraError: the serving libraries are not installed.
    """
    for module in ("bentoml", "orjson", "httpx", "python_multipart"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(f"Serving needs {module}", extra="cloud")
    resolved = tuple(resolve(read(path)) for path in paths)
    check_distinct(resolved)
    return resolved


def command(*paths: str | Path, host: str = "127.0.0.1", port: int = 3000, workers: int = 1,
            insecure_public: bool = False) -> tuple[list[str], dict[str, str]]:  # fmt: skip
    """The command line and the environment that serve deployments.

    Raises:
        InputError: a host or port that cannot be.
        TrustError: an address that others can reach, without keys.
        FormatError: a deployment or a certificate that cannot be read.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise InputError("The host is not an IP address", field="host", got=host, expected="such as 127.0.0.1 or 0.0.0.0") from error
    if not 0 < port < 65536 or workers < 1:
        raise InputError("The port or the number of workers cannot be used", field="port", got=(port, workers))
    files = [str(Path(path).resolve()) for path in paths]
    environment = {**os.environ, "PORTSIDE_DEPLOYMENT": os.pathsep.join(files), "PORTSIDE_WORKERS": str(workers)}
    environment["BENTOML_DO_NOT_TRACK"] = "True"
    if insecure_public:
        environment[INSECURE_PUBLIC] = "1"
    first = read(files[0])
    check_public(host, insecure_public or public(first))
    line = [sys.executable, "-m", "bentoml", "serve", TARGET, "--host", host, "--port", str(port)]
    return [*line, "--working-dir", str(Path(files[0]).parent), *tls_options(first)], environment


def check_port(host: str, port: int) -> None:
    """Raise InputError where nothing can listen there: another server does, or this user may not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: connections that linger are no server
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(f"Nothing can listen at this address: {error.strerror or error}", field="port", got=f"{host}:{port}",
                             fix="Choose another --port, or end the server that has it.") from error  # fmt: skip


def serve(*paths: str | Path, host: str = "127.0.0.1", port: int = 3000, workers: int = 1, insecure_public: bool = False) -> NoReturn:
    """Serve deployments until a signal ends it. Does not return.

    Args:
        paths: the deployment files; the first one answers where a request names none.
        host: address to listen on.
        port: TCP port.
        workers: server processes, each with models of its own.
        insecure_public: others may ask although there are no keys.

    Raises as `prepare` and `command` do, before anything listens.
    """
    line, environment = command(*paths, host=host, port=port, workers=workers, insecure_public=insecure_public)
    check_port(host, port)
    prepare(*paths)
    check_port(host, port)  # compiling may have taken minutes
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(line[0], line, environment)  # noqa: S606  our own interpreter, arguments as a list
