"""Dockerfile and compose file as text, held against rules and a schema. Nothing here was run by Docker."""

import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from portside.cloud.deployment.file import read
from portside.cloud.ship import docker
from portside.cloud.ship.bento import Bento
from portside.cloud.ship.healthy import healthy
from portside.sdk.core.errors import TrustError

SCHEMA = json.loads((Path(__file__).parent / "compose.schema.json").read_text())
PLAIN = "[server]\ninsecure_public = true\n"
SECURE = '[server.keys]\nfile = "keys.json"\n[server.tls]\ncert = "a.pem"\nkey = "b.pem"\n'


@pytest.fixture
def written(tmp_path):
    """A function: text of [server] -> (dockerfile, compose, deployment)"""

    def make(text, **rest):
        file = tmp_path / "d.toml"
        file.write_text(f'name = "Cell.v2"\n[champion]\npackage = "x"\n{text}')
        deployment = read(file)
        folder = tmp_path / "bento"
        folder.mkdir(exist_ok=True)
        docker.write(Bento(folder, "cell.v2", "abc", "portside-0.1.0-py3-none-any.whl", ()), deployment, True, **rest)
        return (folder / "Dockerfile").read_text(), yaml.safe_load((folder / "compose.yaml").read_text()), deployment

    return make


def instructions(text):
    """(instruction, rest) of a Dockerfile, continued lines joined."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("text", [PLAIN, SECURE])
def test_the_dockerfile_keeps_the_rules(written, text):
    steps = instructions(written(text)[0])
    names = [name for name, _ in steps]
    of = {name: [rest for other, rest in steps if other == name] for name in names}
    assert names[0] == "FROM" and names.count("FROM") == 1 and re.fullmatch(r"python:3\.\d+-slim-\w+", of["FROM"][0])
    assert {"ADD", "SHELL", "MAINTAINER", "ARG"}.isdisjoint(names)
    for words in (*of["RUN"], *of["ENTRYPOINT"], *of["CMD"], of["HEALTHCHECK"][0].split(" CMD ")[1]):
        assert all(isinstance(word, str) for word in json.loads(words)), "a list of words: no shell"
    last_user = of["USER"][-1].split(":")
    assert all(int(part) >= 1000 for part in last_user)
    assert names.index("USER") > max(place for place, name in enumerate(names) if name == "RUN")
    assert len(of["ENTRYPOINT"]) == len(of["CMD"]) == len(of["HEALTHCHECK"]) == 1
    assert all("--no-cache-dir" in step for step in of["RUN"] if "pip" in step)
    assert not any(word in rest.lower() for _, rest in steps for word in ("password", "secret_", "token", "sudo", "curl", "apt"))
    assert all(not rest.startswith("/") and ".." not in rest for rest in of["COPY"])


def test_health_is_asked_as_the_server_speaks(written):
    def health(text):
        return next(rest for name, rest in instructions(written(text)[0]) if name == "HEALTHCHECK")

    assert '"http://127.0.0.1:3000/readyz"' in health(PLAIN)
    assert '"https://127.0.0.1:3000/readyz"' in health(SECURE)
    assert '"tcp://127.0.0.1:3000"' in health(SECURE + 'client_ca = "c.pem"\n')
    assert "--start-period=7s" in health("[server]\nwarm_up_s = 6.5\ninsecure_public = true\n")


@pytest.mark.parametrize("text", [PLAIN, SECURE])
def test_the_compose_file_is_of_its_schema(written, text):
    _, compose, deployment = written(text)
    jsonschema_rs.validate(SCHEMA, compose)
    (service,) = compose["services"].values()
    assert int(service["stop_grace_period"][:-1]) > docker.stop_s(deployment) - docker.STOP_S
    assert ("./secrets:/bento/src/secrets:ro" in service["volumes"]) == (text == SECURE)
    assert "environment" not in service


def test_the_schema_refuses_what_is_unsafe(written):
    _, compose, _ = written(PLAIN)
    (name,) = compose["services"]
    for wrong in ({"privileged": True}, {"read_only": False}, {"cap_drop": []}, {"volumes": ["/:/host"]}, {"network_mode": "host"}):
        with pytest.raises(jsonschema_rs.ValidationError):
            jsonschema_rs.validate(SCHEMA, {**compose, "services": {name: {**compose["services"][name], **wrong}}})


def test_without_keys_there_is_no_container(written):
    with pytest.raises(TrustError, match=r"portside keys new NAME.*\[server\.keys\] file.*--insecure-public"):
        written("")
    written("", insecure_public=True)


def test_what_is_ignored_holds_the_secrets():
    assert {"src/secrets/*", "secrets"} <= set(docker.IGNORED.split())


class Ready(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_healthy():
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/readyz"
        assert healthy(url) and healthy(f"tcp://127.0.0.1:{server.server_port}")
        Ready.status = 503
        assert not healthy(url)
        server.shutdown()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert not healthy(f"tcp://127.0.0.1:{free.getsockname()[1]}") and not healthy(f"http://127.0.0.1:{free.getsockname()[1]}/")
