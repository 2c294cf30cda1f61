"""The server of pages: known names only, the right types and headers, binary calls."""

from __future__ import annotations

import http.client

import pytest

from portside.runtimes.web.host import Host
from portside.sdk.core import errors


@pytest.fixture
def host():
    running = Host()
    yield running
    running.close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bundle" / "engine").mkdir(parents=True)
    for name in ("index.html", "model.js", "engine/a.mjs", "engine/a.wasm", "engine/m.onnx", "artifact.json", "unlisted.js"):
        (tmp_path / "bundle" / name).write_bytes(name.encode())
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "bundle"


NAMES = ("index.html", "model.js", "engine/a.mjs", "engine/a.wasm", "engine/m.onnx", "artifact.json")


def ask(host, path, method="GET", body=None, headers=None):
    connection = http.client.HTTPConnection(host.origin.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("model.js", "text/javascript; charset=utf-8"),
        ("engine/a.mjs", "text/javascript; charset=utf-8"),
        ("engine/a.wasm", "application/wasm"),
        ("engine/m.onnx", "application/octet-stream"),
        ("artifact.json", "application/json"),
    ],
)
def test_a_listed_file_has_its_type(host, folder, name, kind):
    mount = host.mount(folder, NAMES)
    status, headers, body = ask(host, f"/{mount.token}/bundle/{name}?v=1")
    assert (status, headers["Content-Type"], body) == (200, kind, name.encode())
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "unsafe-inline" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    [
        "unlisted.js", "../secret", "..%2fsecret", "%2e%2e/secret", "./model.js", "engine/../model.js", "/etc/passwd", "", "engine",
        "model.js/",
    ],
)
def test_no_other_path_answers(host, folder, path):
    mount = host.mount(folder, NAMES)
    status, _, body = ask(host, f"/{mount.token}/bundle/{path}")
    assert (status, body) == (404, b"")


def test_a_mount_needs_its_token_and_ends(host, folder):
    mount = host.mount(folder, NAMES)
    assert ask(host, "/bundle/model.js")[0] == 404
    assert ask(host, f"/{'x' * len(mount.token)}/bundle/model.js")[0] == 404
    host.unmount(mount)
    assert ask(host, f"/{mount.token}/bundle/model.js")[0] == 404


def test_only_this_machines_names_are_answered(host, folder):
    """Another name that resolves to this machine (DNS rebinding) gets nothing, nor does another port."""
    mount = host.mount(folder, NAMES)
    port = host.origin.rpartition(":")[2]
    for name in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}"):
        assert ask(host, f"/{mount.token}/bundle/model.js", headers={"Host": name})[0] == 200
    for name in ("evil.example", f"evil.example:{port}", "127.0.0.1", "localhost:1", f"localhost.evil.example:{port}", ""):
        assert ask(host, f"/{mount.token}/bundle/model.js", headers={"Host": name})[0] == 404
        assert ask(host, f"/{mount.token}/", headers={"Host": name})[0] == 404
    mount.offer("calls/0", b"")
    assert ask(host, f"/{mount.token}/calls/0", "POST", b"x", headers={"Host": "evil.example"})[0] == 404


def test_a_head_has_the_headers_and_no_body(host, folder):
    mount = host.mount(folder, NAMES)
    for path in (f"/{mount.token}/bundle/model.js", f"/{mount.token}/bundle/absent.js", "/"):
        got, head = ask(host, path), ask(host, path, "HEAD")
        drop = {"Date", "Server"}
        assert head[0] == got[0]
        assert {name: value for name, value in head[1].items() if name not in drop} == {
            name: value for name, value in got[1].items() if name not in drop
        }
        assert head[2] == b""


def test_a_folder_of_pages_leads_to_its_page(host, folder):
    (folder / "digits").mkdir()
    (folder / "digits" / "index.html").write_text("digits")
    plain, pages = host.mount(folder, NAMES), host.mount(folder, (*NAMES, "digits/index.html"), pages=True)
    first = f"/{pages.token}/bundle/index.html"
    leads = {"": first, "/": first, "/bundle": first, "/bundle/": first, "/bundle/digits": f"/{pages.token}/bundle/digits/index.html"}
    for path, place in leads.items():
        status, headers, _ = ask(host, f"/{pages.token}{path}")
        assert (status, headers["Location"]) == (302, place)
        assert ask(host, f"/{plain.token}{path}")[0] == 404
    assert ask(host, f"/{pages.token}/bundle/engine/")[0] == 404
    assert ask(host, f"/{pages.token}//evil.example/")[0] == 404


def test_without_its_prefix_nothing_is_told_but_what_is_missing(host, folder):
    mount = host.mount(folder, NAMES, pages=True)
    status, headers, body = ask(host, "/")
    assert (status, headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert b"Open the address that was printed" in body
    assert mount.token.encode() not in body


def test_only_an_isolated_mount_has_the_headers_of_threads(host, folder):
    plain, isolated = host.mount(folder, NAMES), host.mount(folder, NAMES, isolated=True)
    wanted = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
    assert not wanted.keys() & ask(host, f"/{plain.token}/bundle/model.js")[1].keys()
    assert wanted.items() <= ask(host, f"/{isolated.token}/bundle/engine/a.wasm")[1].items()


def test_a_call_is_fetched_and_answered_once(host, folder):
    mount = host.mount(folder, NAMES)
    frame = bytes(range(256)) * 8192
    mount.offer("calls/0", frame)
    assert ask(host, f"/{mount.token}/calls/0")[2] == frame
    assert ask(host, f"/{mount.token}/calls/0", "POST", frame[::-1])[0] == 200
    assert mount.take("calls/0") == frame[::-1]
    with pytest.raises(errors.EngineError, match="no answer"):
        mount.take("calls/0")
    assert ask(host, f"/{mount.token}/calls/0")[0] == 404


def test_an_answer_to_no_call_is_refused(host, folder):
    mount = host.mount(folder, NAMES)
    assert ask(host, f"/{mount.token}/calls/7", "POST", b"x")[0] == 404
    mount.offer("calls/1", b"")
    mount.drop("calls/1")
    assert ask(host, f"/{mount.token}/calls/1", "POST", b"x")[0] == 404


@pytest.mark.parametrize("name", ["evil.example", None])
def test_what_a_stranger_sends_is_not_waited_for_nor_kept(host, folder, name):
    host.mount(folder, NAMES)
    connection = http.client.HTTPConnection(host.origin.removeprefix("http://"), timeout=10)
    connection.putrequest("POST", "/no-token/calls/1", skip_host=name is not None)
    if name is not None:
        connection.putheader("Host", name)
    connection.putheader("Content-Length", str(1 << 40))  # and not one byte follows
    connection.endheaders()
    assert connection.getresponse().status == 404
    connection.close()
