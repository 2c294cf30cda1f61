"""A real bento, built by BentoML: served from a clean folder with the shipped wheel, an empty home and the sources gone.

The container is acted out without Docker: the commands of its Dockerfile, on a file system that can only be read.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import packages
import pytest
import started as servers

from portside.sdk.cli.main import main

SERVE = [sys.executable, "-m", "bentoml", "serve", "{bento}", "--host", "127.0.0.1", "--port", "{port}"]
READ_ONLY = 'mount --bind "$1" "$1" && mount -t tmpfs tmpfs "$2" && mount -o remount,bind,ro / && shift 2 && exec "$@"'


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """(bento, folder of the shipped wheel's content); nothing else is left."""
    folder = tmp_path_factory.mktemp("ship")
    before = os.environ.get("PORTSIDE_HOME")
    os.environ["PORTSIDE_HOME"] = str(folder / "home")
    file, bento = packages.deployment(folder / "d", deadline=5000), folder / "bento"
    assert main(["bento", str(file), "-o", str(bento), "--compose", "--insecure-public"]) == 0
    os.environ.pop("PORTSIDE_HOME") if before is None else os.environ.update(PORTSIDE_HOME=before)
    shutil.rmtree(folder / "d")
    shutil.rmtree(folder / "home")
    with zipfile.ZipFile(next((bento / "env/python/wheels").iterdir())) as wheel:
        wheel.extractall(folder / "site")
    return bento, folder / "site"


@pytest.mark.slow
def test_a_bento_holds_what_it_needs(shipped):
    bento, _ = shipped
    assert {"Dockerfile", "compose.yaml", ".dockerignore", "bento.yaml", "src", "env"} <= {path.name for path in bento.iterdir()}
    assert any(line.startswith("bentoml==") for line in (bento / "env/python/requirements.txt").read_text().splitlines())
    assert "insecure_public = true" in (bento / "src" / "deployment.toml").read_text()
    assert list((bento / "src" / "secrets").iterdir()) == [] and "digest" in (bento / "src" / "deployment.toml").read_text()


@pytest.mark.slow
def test_a_bento_serves_with_nothing_else_around(shipped, tmp_path):
    bento, site = shipped
    environment = {"PYTHONPATH": str(site), "PORTSIDE_HOME": str(tmp_path / "empty")}
    line = [sys.executable, "-c", "import portside; print(portside.__file__)"]
    where = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **environment}, check=True)
    assert where.stdout.startswith(str(site))
    line = [word.format(bento=bento, port="{port}") for word in SERVE]
    with servers.serving(line, tmp_path, environment) as server:
        status, answer, _ = server.ask()
        assert status == 200 and answer["outputs"]["label"] == "bad" and answer["receipt"]["reason"] == "primary"
    assert (bento / "src" / "data" / "records.sqlite").is_file()
    assert not any((tmp_path / "empty" / name).exists() for name in ("artifacts", "blobs", "index.json")), "nothing was compiled or stored"


def words_of(bento, instruction):
    """The list of words of an instruction, with this machine's places in it."""
    line = next(line for line in (bento / "Dockerfile").read_text().splitlines() if line.startswith(instruction))
    words = json.loads(line[line.index("[") :])
    words = [sys.executable, *(["-m", "portside"] if words[0] == "portside" else []), *words[1:]]
    return [word.replace("/bento/", f"{bento}/").replace("0.0.0.0", "127.0.0.1").replace("3000", "{port}") for word in words]  # noqa: S104


@pytest.mark.slow
@pytest.mark.long
def test_the_commands_of_the_container_work_where_nothing_can_be_written(shipped, tmp_path):
    bento, site = shipped
    temporary, data = tmp_path / "tmp", bento / "src" / "data"
    temporary.mkdir()
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "sh", str(data), str(temporary)]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs mount namespaces")
    environment = {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(temporary),
                   "BENTOML_HOME": f"{temporary}/bentoml", "PORTSIDE_HOME": f"{temporary}/portside"}  # fmt: skip
    with servers.serving([*alone, *words_of(bento, "ENTRYPOINT")], tmp_path, environment) as server:
        status, answer, _ = server.ask()
        assert status == 200 and answer["receipt"]["record"]
        health = [word.format(port=server.port) for word in words_of(bento, "HEALTHCHECK")]
        assert subprocess.run(health, check=False, env={**os.environ, **environment}, cwd=tmp_path).returncode == 0
    assert subprocess.run(health, check=False, env={**os.environ, **environment}, cwd=tmp_path).returncode == 1
    assert list(temporary.iterdir()) == [], "what was written there was in memory"


@pytest.mark.slow
@pytest.mark.long
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
