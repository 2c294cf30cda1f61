"""Keys, TLS, the log and the public address in a real BentoML server; and that nothing is reported to anybody."""

import json
import shutil
import socket
import ssl
import urllib.error
import urllib.request

import certificates
import packages
import pytest
import started as servers

from portside.cloud.security import keys as of
from portside.cloud.security.key_file import write

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
LOG = '[server.log]\naccess = "all"\n'
WATCH = '''"""Writes down every address that this process wants to talk to."""
import socket

_connect, _sendto, _names = socket.socket.connect, socket.socket.sendto, socket.getaddrinfo


def _note(what):
    with open({file!r}, "a") as file:
        file.write(repr(what) + "\\n")


class Watched(socket.socket):
    def connect(self, address):
        _note(address)
        return _connect(self, address)

    def connect_ex(self, address):
        _note(address)
        return super().connect_ex(address)

    def sendto(self, *words):
        _note(words[-1])
        return _sendto(self, *words)


def _getaddrinfo(host, *rest, **more):
    _note((host, *rest))
    return _names(host, *rest, **more)


socket.socket, socket.getaddrinfo = Watched, _getaddrinfo
_note("watching")
'''


@pytest.fixture
def file(tmp_path):
    return packages.deployment(tmp_path / "d")


def lines_of(server, event):
    """Lines of our log in a server's output."""
    found = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith('{"time"')]
    return [line for line in found if line["event"] == event]


def public_address():
    """An address of this machine that others could reach, or None. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


@pytest.mark.slow
@pytest.mark.long
def test_tls_with_client_certificates_and_keys(file, fault):
    folder = file.parent
    certificates.make(folder)
    key, text = of.new("ana", now=1.0)
    write(folder / "keys.json", [key])
    file.write_text(file.read_text() + f'{LOG}[server.keys]\nfile = "keys.json"\n[server.tls]\n'
                    'cert = "server.pem"\nkey = "server.key"\nclient_ca = "ca.pem"\n')  # fmt: skip
    with servers.serving(servers.SERVE, folder, ready=False) as server:
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        stranger = ssl.create_default_context(cafile=folder / "ca.pem")
        context.load_cert_chain(folder / "client.pem", folder / "client.key")

        def call(path, headers=None, data=None, context=context):
            url = f"https://127.0.0.1:{server.port}{path}"
            request = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})})
            try:
                with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                    return answer.status, answer.headers
            except urllib.error.HTTPError as error:
                return error.code, error.headers

        servers.until(lambda: call("/readyz")[0] == 200, server)
        asked = json.dumps(servers.ROW).encode()
        assert call("/predict", {"authorization": f"Bearer {text}", "x-request-id": "r-1"}, asked)[0] == 200
        status, headers = call("/predict", None, asked)
        assert status == 401 and "server" not in headers and headers["cache-control"] == "no-store"
        assert call("/schema.json")[0] == 401 and call("/schema.json", {"x-api-key": text})[0] == 200
        with pytest.raises((urllib.error.URLError, ConnectionError, ssl.SSLError)):
            call("/livez", context=stranger)
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            server.call("/livez")
    requests = lines_of(server, "request")
    answered = next(line for line in requests if line["id"] == "r-1")
    assert (answered["status"], answered["key"], answered["model"], answered["client"]) == (200, "ana", "main", "127.0.0.1")
    assert text not in server.log.read_text()


def test_without_keys_others_are_refused_and_nothing_is_reported(file, fault, tmp_path):
    """BentoML listens everywhere by default."""
    watch = tmp_path / "watch"
    watch.mkdir()
    seen = watch / "seen"
    (watch / "sitecustomize.py").write_text(WATCH.format(file=str(seen)))
    everywhere = [word if word != "127.0.0.1" else "0.0.0.0" for word in servers.BENTOML]  # noqa: S104
    with servers.serving(everywhere, file.parent, {"PYTHONPATH": str(watch)}) as server:
        status, _, headers = server.call(data=servers.ROW, headers={"content-type": "application/json", "x-request-id": "mine"})
        assert status == 200 and headers["x-request-id"] == "mine" and headers["server"] is None
        assert server.call(data={"row": {}})[0] == 422
        address = public_address()
        if address is not None:
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"http://{address}:{server.port}/livez", timeout=10)
            assert refused.value.code == 403 and b"insecure_public" in refused.value.read()
    assert [line["status"] for line in lines_of(server, "request") if line["path"] == "/predict"] == [422], "errors alone by default"
    asked = [line for line in seen.read_text().splitlines() if line != "'watching'"]
    assert seen.read_text().count("'watching'") >= 2, "the parent and its worker were watched"
    strangers = [line for line in asked if not any(word in line for word in ("127.0.0.1", "localhost", "::1", "0.0.0.0", ".sock"))]  # noqa: S104
    assert strangers == [], strangers
