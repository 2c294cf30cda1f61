"""What is shipped: packages and artifacts by digest, no evidence, no secrets; the shipped file means the same deployment."""

import shutil

import dialled_up
import packages
import pytest

from portside.cloud.automating.fitting import Threshold
from portside.cloud.automating.thresholds import Fitted, write_thresholds
from portside.cloud.deployment.file import read
from portside.cloud.deployment.resolving import ResolvedModel, resolve
from portside.cloud.ship.bento import bento_name, check_free
from portside.cloud.ship.contents import collect
from portside.sdk.core.errors import PortsideError, StoreError

EXTRA = """
[server.keys]
file = "private/keys.json"
[server.tls]
cert = "private/cert.pem"
key = "private/key.pem"
"""


@pytest.fixture
def shipped(tmp_path):
    """(deployment, contents) of a folder that is gone"""
    file = packages.deployment(tmp_path / "d")
    file.write_text(file.read_text() + EXTRA)
    private = tmp_path / "d" / "private"
    private.mkdir()
    for name in ("keys.json", "cert.pem", "key.pem"):
        (private / name).write_text("s3cret")
    before = resolve(read(file))
    out = tmp_path / "out"
    out.mkdir()
    contents = collect(read(file), out)
    shutil.rmtree(tmp_path / "d")
    return before, contents


def test_the_shipped_file_resolves_alone_to_the_same_models(shipped, tmp_path, monkeypatch):
    before, contents = shipped
    monkeypatch.setenv("PORTSIDE_HOME", str(tmp_path / "empty"))
    after = resolve(read(contents.file))

    def models(resolved):
        found = [one for one in resolved.entries if isinstance(one, ResolvedModel)]
        return [(one.name, one.digest, one.artifact.digest, one.settings.isolation) for one in found]

    assert models(after) == models(before) and len(models(after)) == 2
    assert after.deployment.failover.deadline_ms == before.deployment.failover.deadline_ms
    assert not (tmp_path / "empty" / "artifacts").exists(), "nothing is compiled"
    assert all(link.settings.digest for link in after.entries if isinstance(link, ResolvedModel))


def test_nothing_secret_and_nothing_else_is_shipped(shipped):
    _, contents = shipped
    deployment = read(contents.file)
    assert deployment.server.keys.file == "secrets/keys.json" and deployment.server.tls.key == "secrets/key.pem"
    assert deployment.records.path == "data/records.sqlite"
    files = [path for path in contents.folder.rglob("*") if path.is_file()]
    assert {path.relative_to(contents.folder).parts[0] for path in files} == {"packages", "artifacts", "deployment.toml"}
    assert all(b"s3cret" not in path.read_bytes() for path in files)
    assert contents.needs == ("onnx-cpu",)


def test_a_changed_package_is_noticed(shipped):
    _, contents = shipped
    held = next(contents.folder.glob("packages/main-*/host/*.py"))
    held.write_text(held.read_text() + "\n# changed\n")
    with pytest.raises(PortsideError):
        resolve(read(contents.file))


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    check_free(tmp_path / "mine")
    check_free(tmp_path / "new")
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(StoreError):
        check_free(tmp_path / "mine")
    with pytest.raises(StoreError):
        check_free(tmp_path / "mine" / "thesis.txt")


@pytest.mark.parametrize(("name", "tag"), [("Cell.v2", "cell.v2"), ("A_b", "a_b"), ("x-", "x"), ("cell", "cell")])
def test_names_as_tags(name, tag):
    assert bento_name(name) == tag


def test_thresholds_go_where_the_deployment_goes(tmp_path):
    file = dialled_up.written(tmp_path / "d", 'level = "partial"\ntarget_error = 0.05\n')
    champion = resolve(read(file)).champion
    found = Threshold(0.9, "fitted", 0.05, 0.1, 0.0, 500)
    write_thresholds(file.parent / "automation.json", Fitted("tester", champion.digest, "either(score)", "label", 5, {"": found}))
    (tmp_path / "out").mkdir()
    contents = collect(read(file), tmp_path / "out")
    shutil.rmtree(tmp_path / "d")
    assert resolve(read(contents.file)).automation.dial.threshold == 0.9 and ".json" not in contents.needs
