"""Before a server listens: may it listen there, and with which certificate. For `portside serve`."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from ...sdk.core.errors import FormatError, TrustError
from ..deployment.file import Deployment
from ..deployment.server import Tls


def check_public(host: str, is_public: bool) -> None:
    """Raise TrustError for an address that others can reach where nobody has to show a key. `host`: an IP address."""
    if not ipaddress.ip_address(host).is_loopback and not is_public:
        raise TrustError("Others could reach this server, and it has no keys", got=f"--host {host}",
                         fix="Make keys (portside keys new NAME) and name their file in [server.keys]; "
                             "or say --insecure-public, where something else keeps strangers out.")  # fmt: skip


def tls_options(deployment: Deployment) -> list[str]:
    """The options of `bentoml serve`; none without [server.tls].

    Raises:
        FormatError: a file that is not there, no certificate, or a key of another certificate.
    """
    tls = deployment.server.tls
    if tls is None:
        return []
    cert, key = deployment.folder / tls.cert, deployment.folder / tls.key
    check_certificate(deployment, tls, cert, key)
    options = ["--ssl-certfile", str(cert), "--ssl-keyfile", str(key)]
    if tls.client_ca is None:
        return options
    return [*options, "--ssl-ca-certs", str(deployment.folder / tls.client_ca), "--ssl-cert-reqs", str(int(ssl.CERT_REQUIRED))]


def check_certificate(deployment: Deployment, tls: Tls, cert: Path, key: Path) -> None:
    """Load them as the server will. Raises FormatError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key, password=lambda: "")  # a key with a password would ask at the terminal
        if tls.client_ca is not None:
            context.load_verify_locations(deployment.folder / tls.client_ca)
    except (OSError, ValueError) as error:
        raise FormatError(f"{deployment.path.name}, [server.tls]: the certificate cannot be used: {error}",
                          got=f"{cert}, {key}", expected="PEM files of one pair, the key without a password") from error  # fmt: skip
