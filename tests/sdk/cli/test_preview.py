"""`portside preview`: what it refuses, and what it serves to a browser until Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from portside.runtimes.artifact import begin, finish
from portside.sdk.core.package import Package

Run = Callable[..., Any]


@pytest.fixture
def bundle(package: Package, tmp_path: Path) -> Path:
    """An artifact with a page, as target wasm writes it, without an engine."""
    folder = tmp_path / "dist"
    artifact = begin(package, "wasm", folder)
    for name, text in {"index.html": "<p>page", "model.js": "export {}", "model.d.ts": "export {}", "web/page/page.css": "p {}"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "engine" / "x.wasm").write_bytes(b"\0asm")
    (folder / "engine" / "x.mjs").write_text("export {}")
    finish(artifact)
    return folder


@contextmanager
def serving(*words: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and the address it printed."""
    command = [sys.executable, "-X", "faulthandler", "-m", "portside", "preview", *map(str, words), "--no-open"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines: list[str] = []
        while not (found := re.search(r"http://\S+", "".join(lines[-1:]))):
            line = process.stderr.readline()
            assert line, "".join(lines)
            lines.append(line)
        try:
            yield process, found[0]
        finally:
            process.kill()


def test_it_serves_the_bundle_with_types_and_isolation_until_ctrl_c(bundle: Path) -> None:
    with serving(bundle) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        types = {"index.html": "text/html", "model.js": "text/javascript", "engine/x.mjs": "text/javascript",
                 "engine/x.wasm": "application/wasm", "artifact.json": "application/json", "web/page/page.css": "text/css"}  # fmt: skip
        for name, kind in types.items():
            with urlopen(url.replace("index.html", name)) as answer:
                assert answer.headers["Content-Type"].split(";")[0] == kind
                assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
                assert answer.read() == (bundle / name).read_bytes()
        process.send_signal(signal.SIGINT)
        try:
            out, _ = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # faulthandler says where it is
            pytest.fail(process.communicate(timeout=20)[1])
        assert (process.returncode, out) == (0, "stopped\n")


def test_it_serves_nothing_but_the_files_of_the_bundle(bundle: Path) -> None:
    with serving(bundle) as (_, url):
        (bundle / "later.txt").write_text("not listed")
        for name in ("later.txt", "../dist/index.html", "%2e%2e/sums/manifest.json", "engine/"):
            with pytest.raises(HTTPError) as error:
                urlopen(url.replace("index.html", name)).read()
            error.value.close()
            assert error.value.code == 404


def test_the_prefix_alone_leads_to_the_page(bundle: Path) -> None:
    with serving(bundle) as (_, url):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{22}/bundle/index\.html", url)
        for part in ("bundle/index.html", "index.html"):
            with urlopen(url.removesuffix(part)) as answer:
                assert (answer.url, answer.read()) == (url, (bundle / "index.html").read_bytes())


def test_help_explains_the_address(portside: Run) -> None:
    said = portside("preview", "--help")
    assert "http://127.0.0.1:PORT/PREFIX/bundle/index.html" in said.out


def test_a_port_of_ones_choice(bundle: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with serving(bundle, "--port", port) as (_, url):
        assert url.startswith(f"http://127.0.0.1:{port}/")


def test_a_taken_port_is_said(portside: Run, bundle: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = portside("preview", bundle, "--no-open", "--port", port)
    assert said.code != 0
    assert f"Port {port} cannot be used" in said.err
    assert "Leave --port out" in said.err


def test_an_artifact_without_a_page_is_refused(portside: Run, package: Package, tmp_path: Path) -> None:
    finish(begin(package, "onnx-cpu", tmp_path / "cpu"))
    said = portside("preview", tmp_path / "cpu", "--json")
    assert said.code != 0
    assert said.json["error"] == "InputError"
    assert "onnx-cpu" in said.json["got"]
    assert "--target wasm" in said.json["fix"]


def test_a_bundle_that_was_changed_is_not_served(portside: Run, bundle: Path) -> None:
    (bundle / "index.html").write_text("<p>another page")
    said = portside("preview", bundle, "--no-open")
    assert said.code != 0
    assert "index.html was changed" in said.err


def test_a_folder_that_is_no_bundle(portside: Run, tmp_path: Path) -> None:
    (tmp_path / "artifact.json").write_text(json.dumps({}))
    assert portside("preview", tmp_path, "--no-open").code != 0
