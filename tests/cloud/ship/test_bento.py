"""A real bento, built by BentoML and served by it: from a clean folder, with the shipped wheel, an empty home, and the sources gone."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import packages
import pytest
import server as servers

from portside.sdk.cli.main import main

SERVE = [sys.executable, "-m", "bentoml", "serve", "{bento}", "--host", "127.0.0.1", "--port", "{port}"]


@pytest.mark.slow
def test_a_bento_serves_with_nothing_else_around(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PORTSIDE_HOME", str(tmp_path / "home"))
    file = packages.deployment(tmp_path / "d")
    bento = tmp_path / "bento"
    assert main(["bento", str(file), "-o", str(bento), "--compose", "--insecure-public", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tag"].startswith("tester:") and {"Dockerfile", "compose.yaml"} <= {path.name for path in bento.iterdir()}
    assert any(line.startswith("bentoml==") for line in (bento / "env/python/requirements.txt").read_text().splitlines())
    shutil.rmtree(tmp_path / "d")
    shutil.rmtree(tmp_path / "home")
    site, clean = tmp_path / "site", tmp_path / "clean"
    clean.mkdir()
    with zipfile.ZipFile(next((bento / "env/python/wheels").iterdir())) as wheel:
        wheel.extractall(site)
    environment = {"PYTHONPATH": str(site), "PORTSIDE_HOME": str(tmp_path / "empty")}
    where = subprocess.run([sys.executable, "-c", "import portside; print(portside.__file__)"], cwd=clean, capture_output=True, text=True,
                           env={**os.environ, **environment}, check=True)  # fmt: skip
    assert where.stdout.startswith(str(site))
    line = [word.format(bento=bento, port="{port}") for word in SERVE]
    with servers.serving(line, clean, environment) as server:
        status, answer, _ = server.ask()
        assert status == 200 and answer["outputs"]["label"] == "bad" and answer["receipt"]["reason"] == "primary"
    assert (bento / "src" / "data" / "records.sqlite").is_file()
    assert not any((tmp_path / "empty" / name).exists() for name in ("artifacts", "blobs", "index.json")), "nothing was compiled or stored"


@pytest.mark.slow
def test_a_bento_is_built_without_its_keys_and_does_not_start_without_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PORTSIDE_HOME", str(tmp_path / "home"))
    file = packages.deployment(tmp_path / "d")
    file.write_text(file.read_text() + '[server.keys]\nfile = "keys.json"\n')
    bento = tmp_path / "bento"
    assert main(["bento", str(file), "-o", str(bento), "--docker"]) == 0
    assert main(["bento", str(file), "-o", str(bento)]) == 0, "an earlier bento is replaced"
    line = [word.format(bento=bento, port="{port}") for word in SERVE]
    with servers.serving(line, tmp_path, ready=False) as server:
        assert server.process.wait(60) != 0
    assert "There is no file of keys" in server.log.read_text()


def test_a_container_without_keys_is_refused_before_anything_is_built(tmp_path, capsys):
    file = packages.deployment(tmp_path / "d")
    assert main(["bento", str(file), "-o", str(tmp_path / "bento"), "--docker", "--json"]) != 0
    assert json.loads(capsys.readouterr().out)["error"] == "TrustError" and not (tmp_path / "bento").exists()
