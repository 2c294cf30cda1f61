"""Challengers from the file to what is served: resolved and checked as backups are, pinned by a reload, shipped in a bento."""

import tomllib

import armed
import packages
import pytest

from portside.cloud.deployment.file import read
from portside.cloud.deployment.generation import pinned, pins_of, whole_challenger
from portside.cloud.deployment.resolving import resolve
from portside.cloud.ship.contents import collect
from portside.sdk.core.errors import FormatError
from portside.sdk.core.signature import Signature, TensorSpec


def written(made, folder, rollout, name="deployment.toml"):
    """A deployment file beside the packages."""
    text = armed.TEXT.format(champion="main", challenger="new", isolation="process", deadline=100, rollout="", more="")
    for package in ("main", "new", "strict"):
        if not (folder / package).exists():
            (folder / package).symlink_to(made / package)
    (folder / name).write_text(text[: text.index("[rollout]")] + rollout)
    return folder / name


@pytest.fixture
def homed(made, monkeypatch):
    monkeypatch.setenv("PORTSIDE_HOME", str(made / "home"))
    return made


def test_challengers_are_resolved_in_their_order_and_are_part_of_the_digest(homed, tmp_path):
    both = '[rollout]\nmode = "shadow"\nchallenger = [{ package = "new", trust = true }, { package = "strict", trust = true }]\n'
    found = resolve(read(written(homed, tmp_path, both)))
    assert [model.settings.package for model in found.challengers] == ["new", "strict"]
    assert all(model.settings.isolation == "process" for model in found.challengers)
    turned = both.replace('"new"', '"x"').replace('"strict"', '"new"').replace('"x"', '"strict"')
    other = resolve(read(written(homed, tmp_path, turned)))
    assert [model.digest for model in other.challengers] == [model.digest for model in found.challengers][::-1]
    assert other.digest != found.digest and resolve(read(written(homed, tmp_path, ""))).challengers == ()


def test_one_that_does_not_fit_is_refused_with_its_line(homed, tmp_path):
    file = written(homed, tmp_path, '[rollout]\nchallenger = { package = "other", trust = true }\n')
    outputs = (TensorSpec("label", "i64", ("batch",), kind="decision"), packages.SIGNATURE.outputs[1])
    packages.host_package(tmp_path / "other", packages.MAIN, "other", Signature(packages.SIGNATURE.inputs, outputs))
    with pytest.raises(FormatError, match=r"deployment.toml line 15, \[rollout\]: the challenger's output 'label'"):
        resolve(read(file))


@pytest.mark.parametrize(("rollout", "says"), [
    ('challenger = [{ package = "new", trust = true }, { package = "new", trust = true }]\nmode = "shadow"', "the same package"),
    ('challenger = { package = "new", trust = true }\nslices = ["nope"]', r"line 15, \[rollout\]: A slice is of an input field"),
    ('challenger = "nowhere"', r"line 15, \[rollout\]"), ('challenger = "new"', r"\[rollout\]: the package runs Python of its own"),
])  # fmt: skip
def test_what_cannot_be_served_is_refused(homed, tmp_path, rollout, says):
    with pytest.raises(Exception, match=says):
        resolve(read(written(homed, tmp_path, f"[rollout]\n{rollout}\n")))


def test_the_champion_against_itself_is_served_with_a_warning(homed, tmp_path, caplog):
    found = resolve(read(written(homed, tmp_path, '[rollout]\nchallenger = { package = "main", trust = true }\n')))
    assert found.challengers[0].digest == found.champion.digest and "the challenger is the champion itself" in caplog.text


@pytest.mark.parametrize("challenger", ['"new"', '{ package = "new", trust = true, isolation = "thread" }'])
def test_a_reload_pins_the_challenger_too(homed, tmp_path, challenger):
    file = written(homed, tmp_path, f"[rollout]\nsteps = [0.5]\nchallenger = {challenger}\n")
    asked = whole_challenger(tomllib.loads(file.read_text()))
    if challenger == '"new"':  # a package with Python of its own is said to be trusted, so the pins come from a file that does
        file = written(homed, tmp_path, '[rollout]\nchallenger = { package = "new", trust = true }\n')
    found = resolve(read(file))
    held = pinned(asked, pins_of((*found.entries, *found.challengers), tmp_path))["rollout"]
    assert held["challenger"]["digest"] == found.challengers[0].digest and held["steps"] == [0.5]
    assert held["challenger"]["artifact"] == str(found.challengers[0].artifact.path.resolve())
    assert whole_challenger({"name": "x"}) == {"name": "x"} and whole_challenger({"rollout": 3}) == {"rollout": 3}


def test_a_bento_brings_the_challenger(homed, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    file = written(homed, tmp_path, '[rollout]\nchallenger = { package = "new", trust = true }\n')
    contents = collect(read(file), out)
    data = tomllib.loads(contents.file.read_text())["rollout"]["challenger"]
    assert (out / data["package"]).is_dir() and (out / data["artifact"]).is_dir()
    assert data["digest"] == resolve(read(file)).challengers[0].digest
