"""The store: versions never change, tags and annotations do, and what comes out is what went in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from portside.sdk.core.errors import FormatError, IntegrityError, PortsideError, StoreError
from portside.sdk.core.package import Package, annotate, open_folder
from portside.sdk.opening import open as open_package
from portside.sdk.store import Store
from portside.sdk.store_artifact import Descriptor
from portside.sdk.store_index import Index, Version, parse_index

Make = Callable[..., Package]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_versions_are_the_next_integers_and_a_digest_keeps_its_own(make: Make, store: Store) -> None:
    one, two = make("one"), make("two", weights=b"two")
    assert [store.push(one), store.push(two), store.push(one), store.push(two)] == ["cell:1", "cell:2", "cell:1", "cell:2"]
    assert store.push(one, "team/other") == "team/other:1"
    assert [item.ref for item in store.ls()] == ["cell:1", "cell:2", "team/other:1"]
    assert [item.digest for item in store.ls("cell")] == [one.digest, two.digest]
    assert store.ls("cell")[0].size_bytes == sum(entry.size for entry in one.content.files.values())


def test_every_form_of_reference(make: Make, store: Store) -> None:
    one, two = make("one"), make("two", weights=b"two")
    store.push(one), store.push(two)
    assert store.tag("cell:1", "prod") == "cell:prod"
    for ref in ("cell:1", "cell:prod", one.digest, f"cell@{one.digest}", f"cell:1@{one.digest}", f"cell:prod@{one.digest}"):
        assert store.resolve(ref) == one.digest, ref
    for ref in ("cell", "cell:latest", "cell:2"):
        assert store.resolve(ref) == two.digest, ref


@pytest.mark.parametrize(
    ("ref", "error", "says"),
    [
        ("none", StoreError, "holds no package called 'none'.*cell"),
        ("cell:9", StoreError, "no version 9.*1 to 1"),
        ("cell:prod", StoreError, "no tag 'prod'"),
        ("cell:0", StoreError, "not a tag"),
        ("cell:01", StoreError, "not a tag"),
        ("Cell", StoreError, "lower-case"),
        ("../cell", StoreError, "not a name"),
        ("cell:", StoreError, "not a tag"),
        ("", StoreError, "not a name"),
        ("sha256", StoreError, "not a name"),
        ("sha256:abc", FormatError, "not a digest"),
        ("cell@latest", FormatError, "not a digest"),
        ("sha256:" + "0" * 64, StoreError, "no such package"),
        ("cell:1@sha256:" + "0" * 64, IntegrityError, "pinned"),
        ("cell@sha256:" + "0" * 64, StoreError, "no such package"),
    ],
)
def test_a_reference_to_nothing_says_what_there_is(make: Make, store: Store, ref: str, error: type[PortsideError], says: str) -> None:
    store.push(make())
    with pytest.raises(error, match=says):
        store.pull(ref)


def test_pull_gives_what_was_pushed(make: Make, store: Store, tmp_path: Path) -> None:
    package = make(notes={"owner": "ana", "accuracy": 0.9})
    store.push(package)
    pulled, copied = store.pull("cell"), store.pull("cell:1", out=tmp_path / "out")
    for found in (pulled, copied, open_folder(pulled.path, package.digest), open_folder(copied.path)):
        assert found.content == package.content
        assert found.manifest.annotations.fields == {"owner": "ana", "accuracy": 0.9, "version": 1}
        assert found.read("annotations/report.html") == b"<p>fine</p>"
        assert all(found.read(name) == package.read(name) for name in package.content.files)
    assert store.pull("cell").path == pulled.path
    assert not (pulled.path / "program/00-main.onnx").stat().st_mode & 0o222
    assert copied.path == (tmp_path / "out").resolve()
    (copied.path / "program/00-main.onnx").write_bytes(b"mine now")
    assert store.pull("cell").read("program/00-main.onnx") == b"a graph"
    with pytest.raises(StoreError, match="not empty"):
        store.pull("cell", out=tmp_path / "out")


def test_a_package_may_have_another_name_in_the_store(make: Make, store: Store) -> None:
    package = make(name="Odd Name!")
    with pytest.raises(StoreError, match="lower-case"):
        store.push(package)
    with pytest.raises(StoreError, match=r"store\.push"):
        store.push(make("two", name="unnamed"))
    assert store.push(package, "even") == "even:1"
    assert store.pull("even").name == "even"
    assert not list(store.path.glob("work/staging/*"))


def test_annotations_change_without_a_new_version(make: Make, store: Store) -> None:
    package = make()
    store.push(package)
    before = store.pull("cell")
    assert store.annotate("cell", {"annotations/card.md": b"# card"}, accuracy=0.9) == "cell:1"
    after = store.pull("cell")
    assert (after.digest, after.path == before.path) == (package.digest, False)
    assert after.manifest.annotations.fields == {"owner": "ana", "accuracy": 0.9, "version": 1}
    assert after.read("annotations/card.md") == b"# card"
    assert after.read("annotations/report.html") == b"<p>fine</p>"
    assert store.push(annotate(package, owner="ben")) == "cell:1"
    assert store.pull("cell").manifest.annotations.fields == {"owner": "ben", "accuracy": 0.9, "version": 1}
    assert before.read("annotations/report.html") == b"<p>fine</p>"
    assert store.push(after, "again") == "again:1"
    with pytest.raises(FormatError, match="JSON cannot"):
        store.annotate("cell", accuracy=float("nan"))
    with pytest.raises(FormatError, match="leaves the package"):
        store.annotate("cell", {"program/00-main.onnx": b"evil"})


def test_tags_move_and_go(make: Make, store: Store) -> None:
    store.push(make("one")), store.push(make("two", weights=b"two"))
    store.tag("cell:1", "prod"), store.tag("cell:2", "prod"), store.tag("cell:prod", "canary")
    assert [item.tags for item in store.ls()] == [(), ("canary", "prod")]
    store.untag("cell:prod")
    assert [item.tags for item in store.ls()] == [(), ("canary",)]
    for bad in ("3", "latest", "a b", "", "-x"):
        with pytest.raises(StoreError, match="not a tag"):
            store.tag("cell:1", bad)
    for gone in ("cell:prod", "cell", "none:prod"):
        with pytest.raises(StoreError, match="no tag"):
            store.untag(gone)


def test_lineage_goes_both_ways(make: Make, store: Store) -> None:
    root = make("root")
    small = make("small", weights=b"small", parents=(root.digest,))
    tiny = make("tiny", weights=b"tiny", parents=(root.digest, small.digest))
    outside = "sha256:" + "0" * 64
    side = make("side", name="side", weights=b"side", parents=(outside,))
    for package in (root, small, tiny, side):
        store.push(package)
    up = store.lineage("cell:3").ancestors
    assert [(item.refs, item.distance) for item in up] == [(("cell:2",), 1), (("cell:1",), 1)]
    down = store.lineage(root.digest).descendants
    assert {(item.refs, item.distance) for item in down} == {(("cell:2",), 1), (("cell:3",), 1)}
    assert [(item.digest, item.refs) for item in store.lineage("side").ancestors] == [(outside, ())]
    assert store.lineage("side").to_dict()["descendants"] == []


def test_equal_files_are_stored_once(make: Make, store: Store) -> None:
    store.push(make("one"))
    before = len(list(store.path.glob("blobs/sha256/*")))
    store.push(make("two", weights=b"two"))
    assert len(list(store.path.glob("blobs/sha256/*"))) == before + 4  # weights, config, OCI manifest, OCI manifest of the annotations
    assert store.path.joinpath("oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'


def test_the_layout_is_an_oci_image_layout(make: Make, store: Store) -> None:
    package = make()
    store.push(package)
    index = json.loads((store.path / "index.json").read_text())
    assert (index["schemaVersion"], index["mediaType"]) == (2, "application/vnd.oci.image.index.v1+json")
    found, notes = index["manifests"]
    assert found["annotations"]["org.opencontainers.image.ref.name"] == "cell:1"
    manifest = json.loads(_blob(store, found["digest"]).read_text())
    assert manifest["artifactType"] == manifest["config"]["mediaType"] == "application/vnd.portside.package.v1+json"
    titles = {layer["annotations"]["org.opencontainers.image.title"]: layer["digest"] for layer in manifest["layers"]}
    assert titles == {name: f"sha256:{entry.sha256}" for name, entry in package.content.files.items()}
    assert json.loads(_blob(store, manifest["config"]["digest"]).read_text())["digest"] == package.digest
    assert json.loads(_blob(store, notes["digest"]).read_text())["subject"]["digest"] == found["digest"]


def test_one_package_has_one_oci_digest_in_every_store(make: Make, store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    store.push(make("one"))
    other.push(make("two", notes={"owner": "ben"}), "elsewhere")
    digests = [json.loads((held.path / "index.json").read_text())["manifests"][0]["digest"] for held in (store, other)]
    assert digests[0] == digests[1]


def test_entries_of_others_are_kept(make: Make, store: Store) -> None:
    store.push(make())
    index = json.loads((store.path / "index.json").read_text())
    foreign = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": index["manifests"][0]["digest"],
               "size": index["manifests"][0]["size"], "platform": {"os": "linux"}, "annotations": {"theirs": "yes"}}  # fmt: skip
    index["manifests"].append(foreign)
    index["annotations"] = {"note": "kept"}
    (store.path / "index.json").write_text(json.dumps(index))
    store.tag("cell:1", "prod")
    again = json.loads((store.path / "index.json").read_text())
    assert foreign in again["manifests"]
    assert again["annotations"] == {"note": "kept"}
    assert store.gc().blobs == 0


def test_open_takes_a_folder_a_reference_or_a_digest(make: Make, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = make()
    store = Store()
    assert store.path == home
    store.push(package)
    for ref in (package.path, str(package.path), "cell", "cell:1", package.digest, f"cell@{package.digest}"):
        assert open_package(ref, digest=package.digest).digest == package.digest
        with pytest.raises(IntegrityError, match="asked for"):
            open_package(ref, digest="sha256:" + "0" * 64)
    assert open_package("cell", trust=True).trusted
    assert not open_package(package.path).trusted
    monkeypatch.chdir(package.path.parent)
    (package.path.parent / "cell").mkdir()
    assert open_package("cell").path.is_relative_to(home)
    assert open_package("p").path == package.path
    for ref in ("./cell", Path("cell")):
        with pytest.raises(FormatError, match="not a Portside package"):
            open_package(ref)
    with pytest.raises(StoreError, match="no package called"):
        open_package("nothing")


def test_fields_of_later_formats_go_through_a_store(make: Make, store: Store) -> None:
    package = make(extra={"later": [1, {"a": None}]})
    path = package.path / "manifest.json"
    data = json.loads(path.read_text())
    data["later_top"], data["annotations"]["later_notes"] = {"a": 1}, [True]
    path.write_text(json.dumps(data))
    store.push(open_folder(package.path))
    pulled = store.pull("cell").manifest
    assert pulled.content.extra == {"later": [1, {"a": None}]}
    assert (pulled.extra, pulled.annotations.extra) == ({"later_top": {"a": 1}}, {"later_notes": [True]})


def test_an_empty_store_answers(store: Store) -> None:
    assert (store.ls(), store.fsck(), store.gc().blobs) == ((), (), 0)
    with pytest.raises(StoreError, match="holds no package"):
        store.pull("cell")
    assert not store.path.exists()


def test_the_collector_removes_what_nothing_needs(make: Make, store: Store) -> None:
    package = make()
    store.push(package)
    pulled = store.pull("cell")
    stray = store.path / "blobs/sha256" / ("0" * 64)
    stray.write_bytes(b"stray")
    store.annotate("cell", accuracy=0.5)
    freed = store.gc()
    assert (freed.blobs, stray.exists()) == (3, False)  # the stray one, and the replaced annotations: config and OCI manifest
    assert store.fsck() == ()
    assert pulled.read("codec/words.txt") == b"a\nb\n"
    assert store.gc(caches=True).blobs == 0
    assert not pulled.path.exists()
    assert store.pull("cell").digest == package.digest


def test_a_workspace_goes_away(make: Make, store: Store) -> None:
    with store.workspace() as folder:
        built = make(folder / "p")
        assert store.push(built) == "cell:1"
    assert not folder.exists()
    assert store.pull("cell").digest == built.digest


def test_the_home_is_the_users_unless_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PORTSIDE_HOME", str(tmp_path / "h"))
    assert Store().path == tmp_path / "h"
    monkeypatch.delenv("PORTSIDE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store().path == tmp_path / ".portside"
    assert Store("~/s").path == tmp_path / "s"


class Names(RuleBasedStateMachine):
    """The index against a dictionary: whatever is pushed and tagged, numbers are dense and never change."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index()
        self.model: dict[str, list[str]] = {}
        self.tags: dict[tuple[str, str], int] = {}

    @rule(name=st.sampled_from("abc"), digest=st.sampled_from("01234"))
    def push(self, name: str, digest: str) -> None:
        digest = f"sha256:{digest * 64}"
        number = self.index.number_for(name, digest)
        descriptor = Descriptor("m", digest, 1)
        self.index = self.index.put(Version(name, number, digest, (), descriptor, descriptor, 1))
        held = self.model.setdefault(name, [])
        held += [] if digest in held else [digest]
        assert held[number - 1] == digest

    @rule(name=st.sampled_from("abc"), tag=st.sampled_from(["x", "y"]), number=st.integers(1, 5))
    def tag(self, name: str, tag: str, number: int) -> None:
        if number > len(self.model.get(name, [])):
            with pytest.raises(StoreError):
                self.index.find(f"{name}:{number}")
            return
        self.index = self.index.tag(self.index.find(f"{name}:{number}"), tag)
        self.tags[name, tag] = number

    @invariant()
    def agrees(self) -> None:
        again = parse_index(json.dumps(self.index.to_dict()).encode())
        assert {ref: v.digest for ref, v in again.versions.items()} == {
            f"{name}:{number}": digest for name, held in self.model.items() for number, digest in enumerate(held, 1)
        }
        assert again.tags == self.tags


TestNames = Names.TestCase
TestNames.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)


def test_a_version_cannot_be_replaced_by_another_package() -> None:
    descriptor = Descriptor("m", f"sha256:{'0' * 64}", 1)
    other = Descriptor("m", f"sha256:{'1' * 64}", 1)
    index = Index().put(Version("a", 1, descriptor.digest, (), descriptor, descriptor, 1))
    with pytest.raises(StoreError, match="never change"):
        index.put(Version("a", 1, other.digest, (), other, other, 1))


def _blob(store: Store, digest: str) -> Path:
    return store.path / "blobs" / digest.replace(":", os.sep)
