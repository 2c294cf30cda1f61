"""Releases end to end: compiled artifacts into a store and out of it again, and everything that must not get in."""

from __future__ import annotations

import json

import numpy as np
import pytest

from portside.runtimes import samples
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.loading import load
from portside.runtimes.releasing import release
from portside.sdk.core.canonical import canonical_json
from portside.sdk.core.contract import Contract
from portside.sdk.core.errors import ContractError, FormatError, IntegrityError, StoreError
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS
from portside.sdk.core.package import write
from portside.sdk.store import Store
from portside.sdk.store_artifact import RELEASE, TITLE, Descriptor


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def compiled(tmp_path, store):
    """The sample "mixed" in the store, and its artifacts for two targets."""
    package = samples.mixed().write(tmp_path / "mixed")
    store.push(package)
    return package, [compile_package(package, target, tmp_path / target) for target in ("onnx-cpu", "reference")]


def other(package, path):
    """The same program with fewer golden rows: another package."""
    head, tensors = package.read(CONTRACT), package.read(CONTRACT_TENSORS)
    held = Contract.from_bytes(head, tensors)
    files = {name: package.read(name) for name in package.content.files}
    files[CONTRACT], files[CONTRACT_TENSORS] = Contract(held.cases[:1], held.rules).to_bytes()
    return write(package.content, files, path, package.manifest.annotations)


def test_a_release_comes_out_as_it_went_in(compiled, store, tmp_path):
    package, artifacts = compiled
    made = release(artifacts, store)
    assert made.targets == ("onnx-cpu", "reference")
    assert store.release(package.name) == made == store.releases()[0]
    path = store.pull_artifact(f"{package.name}:1", "onnx-cpu", tmp_path / "device")
    inputs = samples.mixed().inputs(3)
    with_names = {name: np.asarray(value) for name, value in inputs.items()}
    mine, theirs = load(path).run(with_names), load(artifacts[0]).run(with_names)
    assert all(np.array_equal(mine[name], theirs[name], equal_nan=True) for name in theirs)
    assert store.fsck() == ()


def test_the_newest_release_comes_first_and_the_older_one_stays(compiled, store):
    package, artifacts = compiled
    first, second = release(artifacts[:1], store), release(artifacts, store)
    assert [held.digest for held in store.releases(package.name)] == [second.digest, first.digest]
    assert store.release(package.name, first.digest) == first
    assert release(artifacts, store).digest == second.digest, "the same artifacts are the same release"
    assert len(store.releases()) == 2


def test_the_collector_keeps_what_a_release_needs(compiled, store, tmp_path):
    package, artifacts = compiled
    release(artifacts, store)
    store.gc()
    assert store.pull_artifact(package.name, "reference", tmp_path / "out").is_dir()
    assert store.fsck() == ()


def test_a_damaged_blob_is_found_and_never_handed_out(compiled, store, tmp_path):
    package, artifacts = compiled
    release(artifacts, store)
    name, entry = next(item for item in artifacts[0].files.items() if item[0].startswith("engine/"))
    blob = store.path / "blobs" / "sha256" / entry.sha256
    blob.chmod(0o644)
    blob.write_bytes(b"x" * entry.size)
    assert any("release" in problem.where for problem in store.fsck()), name
    with pytest.raises(IntegrityError, match="damaged"):
        store.pull_artifact(package.name, "onnx-cpu", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def rewritten(store, part, change):
    """Change one artifact of the only release, as somebody can who may write to the store: every digest on the way fits again."""
    blobs = store.path / "blobs" / "sha256"

    def held(entry):
        return json.loads((blobs / entry["digest"].removeprefix("sha256:")).read_bytes())

    def put(entry, data):
        described = Descriptor.of("", canonical_json(data))
        (blobs / described.digest.removeprefix("sha256:")).write_bytes(canonical_json(data))
        entry.update(digest=described.digest, size=described.size)

    index = json.loads((store.path / "index.json").read_bytes())
    entry = next(entry for entry in index["manifests"] if entry["artifactType"] == RELEASE)
    listed = held(entry)
    compiled = next(each for each in listed["manifests"] if each.get("annotations", {}).get("vnd.portside.target") == part)
    manifest = held(compiled)
    description = held(manifest["config"])
    change(manifest, description)
    put(manifest["config"], description)
    put(compiled, manifest)
    put(entry, listed)
    (store.path / "index.json").write_bytes(canonical_json(index))


@pytest.mark.parametrize("field", ["digest", "package", "target", "verdict"])
def test_another_artifact_in_the_place_of_one_is_not_handed_out(compiled, store, tmp_path, field):
    package, artifacts = compiled
    release(artifacts, store)

    def change(_, description):
        place = description["verified"] if field == "verdict" else description
        place[field] = "sha256:" + "1" * 64

    rewritten(store, "onnx-cpu", change)
    with pytest.raises(IntegrityError, match=f"not the one that the release lists: it has another {field}"):
        store.pull_artifact(package.name, "onnx-cpu", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("title", ["engine", "ENGINE/00-main.onnx", "Artifact.json", "contract/contract.json/x"])
def test_titles_that_cannot_be_files_side_by_side_are_refused(compiled, store, tmp_path, title):
    package, artifacts = compiled
    release(artifacts, store)

    def change(manifest, _):
        one = json.loads(json.dumps(manifest["layers"][0]))
        one["annotations"][TITLE] = title
        manifest["layers"].append(one)

    rewritten(store, "onnx-cpu", change)
    with pytest.raises(IntegrityError, match="Two files of an artifact are one"):
        store.pull_artifact(package.name, "onnx-cpu", tmp_path / "out")


def test_what_must_not_get_in(compiled, store, tmp_path):
    package, artifacts = compiled
    unproven = compile_package(package, "onnx-cpu", tmp_path / "unproven", prove=False)
    foreign = compile_package(other(package, tmp_path / "other"), "onnx-cpu", tmp_path / "foreign")
    for given, kind, says in (
        ([], FormatError, "one package"),
        ([artifacts[0], foreign], FormatError, "one package"),
        ([artifacts[0], artifacts[0]], FormatError, "two for onnx-cpu"),
        ([unproven], ContractError, "not proven"),
        ([foreign], StoreError, "no such package"),
    ):
        with pytest.raises(kind, match=says):
            release(given, store)
    (artifacts[0].path / "engine" / "extra").write_bytes(b"")
    with pytest.raises(IntegrityError):
        release(artifacts, store)
    assert store.releases() == ()


def test_a_store_without_releases_says_how_to_make_one(compiled, store, tmp_path):
    with pytest.raises(StoreError, match="portside release"):
        store.pull_artifact(compiled[0].name, "onnx-cpu", tmp_path / "out")


def test_an_index_of_another_tool_keeps_its_entries(compiled, store):
    release(compiled[1], store)
    index = json.loads((store.path / "index.json").read_text())
    kinds = [entry.get("artifactType") for entry in index["manifests"]]
    assert kinds.count("application/vnd.portside.release.v1+json") == 1
    store.tag(f"{compiled[0].name}:1", "prod")
    assert len(store.releases()) == 1, "a change to something else keeps releases"
