"""Stores that are killed, crowded, full, damaged or forged: nothing half-written is visible, and every error says what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portside.sdk.core.canonical import canonical_json, digest_of, digest_of_bytes
from portside.sdk.core.errors import FormatError, IntegrityError, PortsideError, StoreError
from portside.sdk.core.package import Package
from portside.sdk.store import Store

Make = Callable[..., Package]

MADE = """
import os, random, resource, signal, sys
from pathlib import Path
from portside.sdk.core.errors import StoreError
from portside.sdk.core.manifest import Annotations, Content, Stage
from portside.sdk.core.package import write
from portside.sdk.core.signature import Signature, TensorSpec
from portside.sdk.store import Store

root = Path(sys.argv[1])
SIGNATURE = Signature((TensorSpec("x", "f32", ("batch",)),), (TensorSpec("y", "f32", ("batch",)),))
CONTENT = Content(SIGNATURE, (Stage("graph", "main", "program/00-main.onnx", ("x",), ("y",)),), {})

def made(label, size=2000):
    files = {"program/00-main.onnx": b"graph", "program/weights.safetensors": str(label).encode().ljust(size)}
    return write(CONTENT, files, root / f"package-{label}", Annotations("cell"), {"annotations/note": str(label).encode()})
"""


def run(script: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MADE + script, str(folder), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return out


# Every line of our code that a push runs through is a place to be killed at; the rounds take some of them at random.
KILLED = """
rounds, seed = int(sys.argv[2]), 7
draw = random.Random(seed)

def push_until(line, store, package):
    seen = [0]
    def trace(frame, event, argument):
        if "sdk" not in frame.f_code.co_filename:
            return None
        seen[0] += event == "line"
        if seen[0] == line:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    store.push(package)
    sys.settrace(None)
    return seen[0]

probe = Store(root / "probe")
total = push_until(-1, probe, made("probe"))
killed = 0
for number in range(rounds):
    place = root / f"store-{number // 10}"
    store, package = Store(place), made(number)
    before = [item.digest for item in store.ls()]
    child = os.fork()
    if child == 0:
        push_until(draw.randint(1, total), store, package)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    killed += os.WIFSIGNALED(status)
    after = [item.digest for item in store.ls()]
    assert after in (before, [*before, package.digest]), (number, before, after)
    assert store.fsck() == (), (number, store.fsck())
    if after:
        assert store.pull(after[-1]).digest == after[-1]
    assert store.push(package) == f"cell:{len(before) + 1}"
    assert not list((place / "work/staging").iterdir()), number
    assert store.pull("cell").read("annotations/note") == str(number).encode()
    assert store.gc() and store.fsck() == ()
print(killed, total)
"""


@pytest.mark.chaos
def test_a_push_killed_anywhere_leaves_a_whole_store(tmp_path: Path, effort: int) -> None:
    killed, lines = map(int, output(run(KILLED, tmp_path, str(200 * effort))).split())
    assert lines > 300
    assert killed > 150 * effort


@pytest.mark.slow
def test_a_push_killed_at_a_few_places_leaves_a_whole_store(tmp_path: Path) -> None:
    killed, _ = map(int, output(run(KILLED, tmp_path, "30")).split())
    assert killed > 15


PUSHING = """
store, who, count = Store(root / "store"), sys.argv[2], int(sys.argv[3])
for number in range(count):
    for label in (f"{who}-{number}", f"both-{number}"):
        files = {"program/00-main.onnx": b"graph", "program/weights.safetensors": label.encode() * 500}
        with store.workspace() as folder:
            print(label, store.push(write(CONTENT, files, folder / label, Annotations("cell", {who: number}))))
    store.tag("cell:latest", who)
"""
COLLECTING = """
store = Store(root / "store")
for _ in range(int(sys.argv[2])):
    store.gc(caches=False)
"""


def test_processes_pushing_at_once_beside_the_collector(tmp_path: Path) -> None:
    writers = [run(PUSHING, tmp_path, who, "6") for who in ("ana", "ben", "eve")]
    collector = run(COLLECTING, tmp_path, "40")
    said = [line.split() for writer in writers for line in output(writer).splitlines()]
    output(collector)
    store = Store(tmp_path / "store")
    refs: dict[str, set[str]] = {}
    for label, ref in said:
        refs.setdefault(label, set()).add(ref)
    assert all(len(found) == 1 for found in refs.values()), refs  # the same content got the same version from everybody
    assert sorted(item.version for item in store.ls()) == list(range(1, 25))
    assert len({item.digest for item in store.ls()}) == 24
    assert store.fsck() == ()
    (both,) = refs["both-3"]
    assert store.pull(both).manifest.annotations.fields == {"ana": 3, "ben": 3, "eve": 3, "version": int(both.split(":")[1])}
    assert {tag for item in store.ls() for tag in item.tags} == {"ana", "ben", "eve"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk takes root; test_files_that_cannot_grow stands in for it")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_at_every_fill_level(make: Make, small_disk: Path) -> None:
    store = Store(small_disk / "store")
    store.push(make("small"))
    big = make("big", weights=b"w" * 150_000)
    failed = 0
    for free in range(0, 240_000, 12_000):
        filler = small_disk / "filler"
        space = shutil.disk_usage(small_disk).free
        filler.write_bytes(b"f" * max(0, space - free))
        try:
            store.push(big, f"big-{free}")
        except StoreError as error:
            failed += 1
            assert error.fix is not None and "Free some space" in error.fix, error
            assert f"big-{free}" not in {item.name for item in store.ls()}
        assert store.resolve("cell") == store.ls("cell")[0].digest
        assert store.fsck() == ()
        filler.unlink()
        store.push(big, f"big-{free}")
        store.gc()
        shutil.rmtree(small_disk / "store")
        store.push(make(f"small-{free}"))
    assert 5 < failed < 20


FILE_LIMIT = """
store = Store(root / "store")
small, big = made("small"), made("big", size=90_000)
store.push(small)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
for attempt in (lambda: store.push(big), lambda: write(CONTENT, {"program/00-main.onnx": b"x" * 90_000}, root / "out")):
    try:
        attempt()
    except StoreError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert [item.ref for item in store.ls()] == ["cell:1"] and store.fsck() == ()
assert not (root / "out").exists() and not list(root.glob(".out*"))
print(store.push(big))
"""


def test_files_that_cannot_grow(tmp_path: Path) -> None:
    pushed, written, ref = output(run(FILE_LIMIT, tmp_path)).splitlines()
    assert "File too large" in pushed and "Free some space" in pushed
    assert "File too large" in written and "Free some space" in written
    assert ref == "cell:2"


@pytest.mark.parametrize("damage", ["flip", "truncate", "extend", "remove", "link", "folder"])
def test_every_damaged_blob_is_refused_and_a_push_repairs_it(make: Make, tmp_path: Path, damage: str) -> None:
    package = make()
    store = Store(tmp_path / "store")
    store.push(package)
    blobs = sorted((store.path / "blobs/sha256").iterdir())
    needed = 0
    for blob in blobs:
        data = blob.read_bytes()
        blob.unlink()
        _damage(blob, data, damage)
        problems = store.fsck()
        assert problems and all(problem.error.what for problem in problems), blob
        shutil.rmtree(store.path / "work/cache", ignore_errors=True)
        if data != b"{}":  # the empty blob of OCI is nobody's content
            with pytest.raises(IntegrityError) as raised:
                store.pull("cell")
            assert "Push" in str(raised.value.fix), raised.value
            needed += 1
        if blob.is_dir():
            blob.rmdir()
        if blob.is_symlink():
            blob.unlink()
        repaired = _push(store, package)
        if repaired is None:  # the annotations themselves are lost: they are in no package, so say where
            blob.unlink(missing_ok=True)
            blob.write_bytes(data)
        assert store.pull("cell").digest == package.digest
    assert needed >= 11


def _push(store: Store, package: Package) -> str | None:
    try:
        return store.push(package)
    except IntegrityError:
        return None


def _damage(blob: Path, data: bytes, how: str) -> None:
    match how:
        case "flip":
            blob.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        case "truncate":
            blob.write_bytes(data[:-1])
        case "extend":
            blob.write_bytes(data + b" ")
        case "link":
            blob.with_name("real").write_bytes(data)
            blob.symlink_to(blob.with_name("real"))
        case "folder":
            blob.mkdir()
        case _:
            pass


def test_a_changed_cache_folder_is_made_again(make: Make, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.push(make())
    for change in ("graph", "extra", "manifest", "gone"):
        path = store.pull("cell").path
        match change:
            case "graph":
                (path / "program/00-main.onnx").unlink()
                (path / "program/00-main.onnx").write_bytes(b"a groph")
            case "extra":
                (path / "program/extra").write_bytes(b"")
            case "manifest":
                text = (path / "manifest.json").read_text().replace('"ana"', '"eve"')
                (path / "manifest.json").unlink()
                (path / "manifest.json").write_text(text)
            case _:
                shutil.rmtree(path)
        again = store.pull("cell")
        assert again.read("program/00-main.onnx") == b"a graph"
        assert again.manifest.annotations.fields["owner"] == "ana"


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"null", b"[]", b"{}", b'{"schemaVersion": 2}', b'{"schemaVersion": 2, "manifests": [1]}', b"\xff\xfe", b"[" * 99_999,
     b'{"schemaVersion": 2, "manifests": [], "manifests": []}', b'{"schemaVersion": 1, "manifests": []}',
     b'{"schemaVersion": 2, "manifests": [{"mediaType": "m", "digest": "sha256:../../../etc/passwd", "size": 1}]}',
     b'{"schemaVersion": 2, "manifests": [{"mediaType": "m", "digest": "sha256:x", "size": -1}]}'],
)  # fmt: skip
def test_a_garbled_index_is_one_error_that_says_how_to_restore(make: Make, tmp_path: Path, text: bytes) -> None:
    store = Store(tmp_path / "store")
    package = make()
    store.push(package), store.tag("cell", "prod")
    (store.path / "index.json").write_bytes(text)
    for attempt in (store.ls, lambda: store.pull("cell"), lambda: store.push(package), lambda: store.tag("cell", "x"), store.gc):
        with pytest.raises(FormatError, match=r"index.previous.json over index.json"):
            attempt()
    assert (store.path / "index.json").read_bytes() == text
    assert [problem.error.fix for problem in store.fsck()] == [store.fsck()[0].error.fix]
    shutil.copy(store.path / "index.previous.json", store.path / "index.json")
    assert store.pull("cell:1").digest == package.digest
    assert store.fsck() == ()


def _change_entry(place: str, key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    def change(index: dict[str, Any]) -> None:
        entry = index["manifests"][0]
        (entry["annotations"] if place == "annotations" else entry)[key] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _change_entry("annotations", "vnd.portside.digest", "sha256:" + "0" * 64),
        _change_entry("annotations", "vnd.portside.parents", "sha256:" + "0" * 64),
        _change_entry("annotations", "vnd.portside.version", "0"),
        _change_entry("annotations", "vnd.portside.version", "7"),
        _change_entry("annotations", "vnd.portside.name", "../../etc"),
        _change_entry("entry", "size", 10**30),
        _change_entry("entry", "digest", "sha256:" + "0" * 64),
        lambda index: index["manifests"].append(index["manifests"][0]),
        lambda index: index["manifests"].pop(1),
    ],
)
def test_a_forged_index_hands_nothing_out(make: Make, tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    store = Store(tmp_path / "store")
    store.push(make())
    index = json.loads((store.path / "index.json").read_text())
    change(index)
    (store.path / "index.json").write_text(json.dumps(index))
    with pytest.raises((FormatError, IntegrityError)):
        store.pull("cell:1")


ESCAPES = ["../../../../escaped", "/tmp/escaped", "program/../../../escaped", "annotations/escaped", "program\\escaped"]


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("where", ["content", "layer", "annotations"])
def test_a_path_out_of_the_package_writes_nothing(make: Make, tmp_path: Path, name: str, where: str) -> None:
    """A whole, consistent store by an attacker: every digest in it is right, only a path is not."""
    store = Store(tmp_path / "store")
    store.push(make())
    _forge(store, name, where)
    before = sorted(tmp_path.rglob("*"))
    if where == "annotations" and name == "annotations/escaped":
        assert store.pull("cell").read(name) == b"a graph"  # an annotation that is where annotations are
        return
    with pytest.raises((FormatError, IntegrityError), match=r"leaves the package|other files"):
        store.pull("cell")
    assert [path for path in sorted(tmp_path.rglob("*")) if "lock" not in path.name] == [p for p in before if "lock" not in p.name]
    assert not Path("/tmp/escaped").exists()


def _forge(store: Store, name: str, where: str) -> None:
    index = json.loads((store.path / "index.json").read_text())
    entry = index["manifests"][1 if where == "annotations" else 0]
    manifest = json.loads(_blob(store, entry["digest"]).read_bytes())
    config = json.loads(_blob(store, manifest["config"]["digest"]).read_bytes())
    graph = {"sha256": digest_of_bytes(b"a graph")[7:], "size": 7}
    if where == "content":
        config["content"]["files"][name] = graph
        config["digest"] = digest_of(config["content"])
        entry["annotations"]["vnd.portside.digest"] = config["digest"]
    if where == "annotations":
        config["annotations"]["files"][name] = graph
    manifest["layers"].append({"mediaType": "application/vnd.portside.file.v1", "digest": f"sha256:{graph['sha256']}", "size": 7,
                               "annotations": {"org.opencontainers.image.title": name}})  # fmt: skip
    manifest["config"] |= _stored(store, config)
    entry |= _stored(store, manifest)
    (store.path / "index.json").write_bytes(canonical_json(index))


def _stored(store: Store, value: Any) -> dict[str, Any]:
    data = canonical_json(value)
    _blob(store, digest_of_bytes(data)).write_bytes(data)
    return {"digest": digest_of_bytes(data), "size": len(data)}


@pytest.mark.parametrize("part", ["oci-layout", "index.json", "blobs/sha256", "blobs"])
def test_links_in_the_layout_are_refused(make: Make, tmp_path: Path, part: str) -> None:
    store = Store(tmp_path / "store")
    store.push(make())
    (store.path / part).rename(tmp_path / "aside")
    (store.path / part).symlink_to(tmp_path / "aside")
    for attempt in (store.ls, lambda: store.pull("cell"), lambda: store.tag("cell", "x")):
        with pytest.raises(StoreError, match="links"):
            attempt()


def test_half_a_layout_says_which_half_is_missing(make: Make, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    package = make()
    store.push(package)
    (store.path / "index.json").rename(store.path / "index.json.lost")
    for attempt in (store.ls, lambda: store.push(package)):
        with pytest.raises(StoreError, match=r"lost its index.json.*fsck"):
            attempt()
    (store.path / "index.json.lost").rename(store.path / "index.json")
    (store.path / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}')
    with pytest.raises(FormatError, match="layout version"):
        store.ls()
    (store.path / "oci-layout").unlink()
    with pytest.raises(StoreError, match=r"Half a store.*oci-layout"):
        store.push(package)


def test_a_file_in_place_of_a_store(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be written"):
        Store(tmp_path / "file").push(make())


def test_a_package_that_changed_since_it_was_opened_is_not_pushed(make: Make, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    package = make()
    for name in ("program/00-main.onnx", "annotations/report.html"):
        data = (package.path / name).read_bytes()
        (package.path / name).write_bytes(bytes([data[0] ^ 1]) + data[1:])
        with pytest.raises(IntegrityError, match="changed after it was packed"):
            store.push(package)
        (package.path / name).write_bytes(data)
        assert store.ls() == ()
    assert store.push(package) == "cell:1"


def test_the_collector_refuses_when_it_cannot_know(make: Make, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.push(make())
    entry = json.loads((store.path / "index.json").read_text())["manifests"][0]
    _blob(store, entry["digest"]).unlink()
    before = sorted((store.path / "blobs/sha256").iterdir())
    with pytest.raises(PortsideError, match="damaged"):
        store.gc()
    assert sorted((store.path / "blobs/sha256").iterdir()) == before


def _blob(store: Store, digest: str) -> Path:
    return store.path / "blobs/sha256" / digest.removeprefix("sha256:")
