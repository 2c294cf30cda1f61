"""Where a server may listen, and whether its certificate can be used: said before anything listens."""

import shutil

import certificates
import pytest

from portside.cloud.deployment.file import read
from portside.cloud.security.listening import check_public, tls_options
from portside.cloud.serving import command
from portside.sdk.core.errors import FormatError, TrustError

OURS, ALL, ALL6 = "127.0.0.1", "0.0.0.0", "::"  # noqa: S104


@pytest.mark.parametrize(("host", "is_public", "allowed"), [
    (OURS, False, True), ("::1", False, True), ("127.9.9.9", False, True), (ALL, False, False), (ALL6, False, False),
    ("10.1.2.3", False, False), (ALL, True, True), ("10.1.2.3", True, True),
])  # fmt: skip
def test_a_public_address_needs_keys(host, is_public, allowed):
    if allowed:
        check_public(host, is_public)
    else:
        with pytest.raises(TrustError, match="--insecure-public"):
            check_public(host, is_public)


@pytest.fixture
def deployment(tmp_path):
    def make(text):
        file = tmp_path / "deployment.toml"
        file.write_text(f'name = "a"\n[champion]\npackage = "x"\n{text}')
        return file

    return make


def test_the_command_refuses_or_says_it_to_the_workers(deployment):
    file = deployment("")
    with pytest.raises(TrustError):
        command(file, host=ALL)
    assert command(file, host=ALL, insecure_public=True)[1]["PORTSIDE_INSECURE_PUBLIC"] == "1"
    assert "PORTSIDE_INSECURE_PUBLIC" not in command(file)[1]
    command(deployment("[server]\ninsecure_public = true\n"), host=ALL)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_certificates_become_bentomls_options_or_are_refused(deployment, tmp_path):
    certificates.make(tmp_path)
    pair = '[server.tls]\ncert = "{}"\nkey = "{}"\n'
    good = read(deployment(pair.format("server.pem", "server.key") + 'client_ca = "ca.pem"\n'))
    line = tls_options(good)
    assert line[line.index("--ssl-certfile") + 1] == str(tmp_path / "server.pem")
    assert line[line.index("--ssl-ca-certs") + 1] == str(tmp_path / "ca.pem") and line[line.index("--ssl-cert-reqs") + 1] == "2"
    assert "--ssl-ca-certs" not in tls_options(read(deployment(pair.format("server.pem", "server.key"))))
    assert tls_options(read(deployment(""))) == []
    (tmp_path / "text").write_text("no certificate")
    for cert, key in (("server.pem", "client.key"), ("none.pem", "server.key"), ("text", "server.key")):
        with pytest.raises(FormatError, match=r"\[server\.tls\]"):
            tls_options(read(deployment(pair.format(cert, key))))
