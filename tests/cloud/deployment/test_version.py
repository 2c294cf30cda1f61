"""What a champion is called: its number in the store, else its digest; and two deployments that could not be told apart."""

import packages
import pytest

import portside as ps
from portside.cloud.deployment.file import read
from portside.cloud.deployment.resolving import resolve
from portside.cloud.deployment.version import check_distinct, version_of
from portside.sdk.core.errors import FormatError


def resolved(folder, package, name="tester", file="a.toml"):
    path = folder / file
    path.write_text(f'name = "{name}"\n[champion]\npackage = "{package}"\ntrust = true\n[records]\nenabled = false\n')
    return resolve(read(path))


@pytest.fixture
def package(tmp_path):
    return packages.host_package(tmp_path / "main")


def test_a_number_in_the_store_is_the_version_and_everything_else_is_the_digest(tmp_path, package):
    store = ps.Store()
    store.push(package)
    store.tag("main:1", "prod")
    (tmp_path / "elsewhere").mkdir()
    short = package.digest.removeprefix("sha256:")[:12]
    for reference, version in {"main:1": "1", "main:prod": short, "main": short, f"main@{package.digest}": short}.items():
        assert version_of(resolved(tmp_path / "elsewhere", reference)) == version
    assert version_of(resolved(tmp_path, "main")) == version_of(resolved(tmp_path, str(tmp_path / "main"))) == short


def test_the_same_name_needs_another_version(tmp_path, package):
    packages.host_package(tmp_path / "backup", packages.BACKUP, "backup")
    one, other, again = (resolved(tmp_path, name, file=f"{place}.toml") for place, name in enumerate(["main", "backup", "main"]))
    check_distinct([one, other])
    with pytest.raises(FormatError, match="same version"):
        check_distinct([one, other, again])
    named = resolved(tmp_path, "main", name="predict", file="p.toml")
    check_distinct([named, one])
    with pytest.raises(FormatError, match="first"):
        check_distinct([one, named])
