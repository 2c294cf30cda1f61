"""Whether a server has a desk, what it stands on, and the desk apart: routes, keys, TLS, addresses."""

import asyncio
import threading
import time

import made_desk
import pytest
import uvicorn
from certificates import make
from made_host import send

from portside.cloud.desk.apart import Apart, _tls, address
from portside.cloud.desk.desk import Desk
from portside.cloud.desk.opening import desk_apart, desk_of
from portside.cloud.doors.asgi import Incoming, RefusalError
from portside.cloud.security import keys as of
from portside.cloud.security.key_file import write
from portside.cloud.security.public import INSECURE_PUBLIC
from portside.sdk.core.errors import FormatError, StoreError, TrustError

KEYS = '[server.keys]\nfile = "keys.json"\n'
TLS = '[server.tls]\ncert = "a"\nkey = "b"\nclient_ca = "c"\n'


@pytest.mark.parametrize(
    ("text", "there", "local"),
    [
        ("", True, True),
        (KEYS, True, False),
        ("[server]\ninsecure_public = true\n", False, None),
        ("[server]\ninsecure_public = true\ndesk = true\n", True, False),
        (TLS, False, None),
        ("[server]\ndesk = true\n" + TLS, True, False),
        ("[server]\ndesk = false\n", False, None),
        ("[server]\ndesk = false\n" + KEYS, False, None),
        ("[records]\nenabled = false\n", False, None),
        ('[records]\nurl_env = "PORTSIDE_NOT_SET"\n', False, None),
    ],
)
def test_a_server_has_a_desk_where_it_is_known_who_may_look(tmp_path, text, there, local):
    desk = desk_of(made_desk.deployments(tmp_path, text=text))
    assert (desk is not None) == there and (desk is None or desk.local == local)


def test_said_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setenv(INSECURE_PUBLIC, "1")
    assert desk_of(made_desk.deployments(tmp_path)) is None


def test_a_desk_shows_what_writes_to_its_database(tmp_path):
    one, two = made_desk.deployments(tmp_path, "one", "two")
    (three,) = made_desk.deployments(tmp_path, "three", text='[records]\npath = "other.sqlite"\n')
    assert desk_of([one, two, three]).names == ("one", "two")
    assert desk_apart([one, two], False).names == ("one", "two")
    with pytest.raises(FormatError, match="two"):
        desk_apart([one, three], False)
    (off,) = made_desk.deployments(tmp_path, "off", text="[records]\nenabled = false\n")
    with pytest.raises(FormatError, match="no records"):
        desk_apart([off], False)


def test_the_database_is_opened_when_it_is_asked_for_and_once(tmp_path):
    desk = Desk(tmp_path / "records.sqlite", made_desk.deployments(tmp_path))
    assert not (tmp_path / "records.sqlite").exists()
    found = []
    threads = [threading.Thread(target=lambda: found.append(desk.database)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1 and (tmp_path / "records.sqlite").exists()
    desk.close()


def test_what_blocks_blocks_no_loop_and_a_failing_database_is_a_503(tmp_path):
    desk = Desk(tmp_path / "records.sqlite", made_desk.deployments(tmp_path))

    def slow(_):
        time.sleep(0.5)
        raise StoreError("The database is full", got=str(tmp_path))

    async def go():
        task, turns = asyncio.ensure_future(desk.threaded(slow)(Incoming(b"", {}, 0.0))), 0
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
        return turns, task.exception()

    turns, error = asyncio.run(go())
    desk.close()
    assert turns > 5 and isinstance(error, RefusalError) and error.status == 503 and str(tmp_path) not in str(error.error)


def test_apart_it_answers_without_models(tmp_path):
    ids = made_desk.fill(tmp_path, made_desk.drafts(3))
    (deployment,) = made_desk.deployments(tmp_path)
    apart = Apart([deployment])
    here = {"host": "localhost"}
    assert send(apart.doors, "GET", "/readyz", headers=here).text == "sqlite\n" and send(apart.doors, "GET", "/livez").status_code == 200
    assert send(apart.doors, "GET", "/", headers=here).text == send(apart.doors, "GET", "/dashboard", headers=here).text
    assert send(apart.doors, "GET", f"/v1/records/{ids[0]}", headers=here).status_code == 200
    for path in ("/predict", "/metrics", "/openapi.json", "/v2"):
        assert send(apart.doors, "POST", path, json={}, headers=here).status_code == 404, path
    apart.desk.close()


def test_apart_with_keys_everything_but_pages_and_health_needs_one(tmp_path):
    made_desk.fill(tmp_path, made_desk.drafts(1))
    key, text = of.new("eye", ["monitor"], now=1.0)
    write(tmp_path / "keys.json", [key])
    apart = Apart(made_desk.deployments(tmp_path, text=KEYS))
    assert not apart.desk.local and apart.public
    open_ = [
        path
        for path in ("/", "/dashboard", "/review", "/livez", "/readyz", "/v1/records", "/nothing")
        if send(apart.doors, "GET", path).status_code != 401
    ]
    assert open_ == ["/", "/dashboard", "/review", "/livez", "/readyz"]
    assert send(apart.doors, "GET", "/v1/records", headers={"x-api-key": text}).status_code == 200
    apart.desk.close()


def test_apart_it_listens_here_alone_unless_somebody_says_so(tmp_path):
    apart = Apart(made_desk.deployments(tmp_path))
    with pytest.raises(TrustError, match="no keys"):
        apart.run("192.0.2.1", 1)
    assert Apart(made_desk.deployments(tmp_path), insecure=True).public
    assert address("0.0.0.0", 3100, False) == "http://127.0.0.1:3100/dashboard"  # noqa: S104  shown, not listened on
    assert address("::1", 1, True) == "https://[::1]:1/dashboard"


def test_apart_it_speaks_tls_as_the_deployment_says(tmp_path):
    make(tmp_path)
    text = '[server.tls]\ncert = "server.pem"\nkey = "server.key"\nclient_ca = "ca.pem"\n'
    (deployment,) = made_desk.deployments(tmp_path, text=text)
    config = uvicorn.Config(lambda: None, **_tls(deployment))
    config.load()
    assert config.is_ssl and config.ssl.verify_mode.name == "CERT_REQUIRED"
    assert _tls(made_desk.deployments(tmp_path)[0]) == {}
