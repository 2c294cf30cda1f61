"""The package folder: any byte, file or link that its manifest does not promise is refused, and nothing half-written stays."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core import package as package_module
from portside.sdk.core.canonical import digest_of
from portside.sdk.core.errors import FormatError, IntegrityError, PortsideError, StoreError, TrustError
from portside.sdk.core.folder import check_path, check_paths
from portside.sdk.core.manifest import Annotations, FileEntry, Stage
from portside.sdk.core.package import Package, annotate, open_folder, write

Make = Callable[..., Package]


def tree(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_every_byte_of_every_file_is_guarded(make: Make) -> None:
    package = make()
    found = tree(package.path)
    assert len(found) == 10
    for path in found:
        original = path.read_bytes()
        for place in {0, len(original) // 2, len(original) - 1}:
            path.write_bytes(original[:place] + bytes([original[place] ^ 1]) + original[place + 1 :])
            if path.name != "manifest.json":
                with pytest.raises(IntegrityError, match=path.name):
                    open_folder(package.path)
        path.write_bytes(original)
    assert open_folder(package.path).digest == package.digest


def test_every_byte_of_the_manifests_content_is_guarded(make: Make) -> None:
    package = make(folder="small", codec=(), stages=())
    path = package.path / "manifest.json"
    text = path.read_bytes()
    end = text.index(b'"annotations": {\n')
    for place in range(end):
        changed = text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]
        path.write_bytes(changed)
        try:
            opened = open_folder(package.path)
        except (FormatError, IntegrityError):
            continue
        # What still opens says the same: white space, or the name of an unknown top-level field.
        assert opened.content == package.content
        assert opened.digest == package.digest


@pytest.mark.parametrize("change", ["truncate", "extend", "empty", "remove", "folder", "link", "linked folder", "fifo"])
def test_every_file_changed_in_every_way(make: Make, tmp_path: Path, change: str) -> None:
    package = make()
    for number, path in enumerate(tree(package.path)):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(package.path, copy)
        _change(copy / path.relative_to(package.path), change)
        with pytest.raises((FormatError, IntegrityError)) as raised:
            open_folder(copy)
        assert raised.value.what


def _change(path: Path, change: str) -> None:
    data = path.read_bytes()
    if change in ("truncate", "extend", "empty"):
        path.write_bytes({"truncate": data[:-2], "extend": data + b"\0", "empty": b""}[change])
    elif change == "linked folder" and path.name != "manifest.json":
        path.parent.rename(path.parent.with_name("aside"))
        path.parent.symlink_to(path.parent.with_name("aside"), target_is_directory=True)
    else:
        elsewhere = path.parents[0] / "elsewhere"
        path.rename(elsewhere) if "link" in change else path.unlink()
        match change:
            case "folder":
                path.mkdir()
            case "fifo":
                os.mkfifo(path)
            case "link" | "linked folder":
                path.symlink_to(elsewhere)


@pytest.mark.parametrize("name", ["extra", "program/extra", "program/.hidden", "host/__pycache__/x.pyc", "annotations/extra", "new/extra"])
def test_a_file_that_is_not_listed_is_refused(make: Make, name: str) -> None:
    package = make()
    (package.path / name).parent.mkdir(exist_ok=True)
    (package.path / name).write_bytes(b"x")
    with pytest.raises(IntegrityError, match="does not list"):
        open_folder(package.path)


def test_a_linked_folder_beside_the_files_is_refused(make: Make, tmp_path: Path) -> None:
    package = make()
    (package.path / "more").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(IntegrityError, match="does not list"):
        open_folder(package.path)


@pytest.mark.parametrize(
    "name",
    ["../x", "program/../../x", "/etc/passwd", "program/../host/x", "./program/x", "program//x", "program/x/", "program/./x", "program",
     "program/", "", ".", "..", "x", "annotations/x", "other/x", "program\\x", "program/a\\b", "program/a\0b", "program/a\nb",
     "program/\x1b[2J", "program/a\u202eb", "program/c:x", "C:/x", "program/" + "a" * 256, "program/e\u0301", "~/x",
     "manifest.json", "program/\ud800"],
)  # fmt: skip
def test_a_path_that_leaves_the_package_is_refused(make: Make, name: str) -> None:
    package = make()
    _edit(package, lambda content: content["files"].update({name: {"sha256": "a" * 64, "size": 0}}))
    with pytest.raises(FormatError):
        open_folder(package.path)
    with pytest.raises(FormatError):
        write(package.content, {name: b""}, package.path.with_name("other"))
    assert not package.path.with_name("other").exists()


TWINS = [("program/A", "program/a"), ("program/É", "program/é"), ("program/ß", "program/ss"), ("program/a", "program/a/b")]


@pytest.mark.parametrize("names", TWINS)
def test_names_that_are_one_file_somewhere_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(FormatError, match=r"case|folder"):
        check_paths(names)


@given(st.text(st.characters(), max_size=30))
def test_an_allowed_path_stays_below_its_folder(name: str) -> None:
    try:
        check_path(name)
    except FormatError:
        return
    root = Path("/store/package")
    assert os.path.normpath(root / name).startswith(f"{root}/")


def test_a_stage_outside_the_listed_files_is_refused(make: Make) -> None:
    package = make()
    _edit(package, lambda content: content["stages"][0].update(file="../evil.py"))
    with pytest.raises(FormatError, match="does not list"):
        open_folder(package.path)
    stage = replace(package.content.stages[0], file="program/none.onnx")
    with pytest.raises(FormatError, match="does not list"):
        make("other", stages=(stage,))
    with pytest.raises(FormatError, match="same name"):
        make("other", stages=package.content.stages * 2)
    assert not (package.path.parent / "other").exists()


def test_another_digest_than_the_pinned_one_is_refused(make: Make) -> None:
    package = make()
    assert open_folder(package.path, package.digest).digest == package.digest
    with pytest.raises(IntegrityError, match="asked for"):
        open_folder(package.path, "sha256:" + "0" * 64)


def test_a_resealed_forgery_has_another_digest(make: Make) -> None:
    package = make()
    (package.path / "host/00-clean.py").write_bytes(b"import os")
    _edit(package, lambda content: content["files"].update({"host/00-clean.py": FileEntry.of(b"import os").to_dict()}))
    assert open_folder(package.path).digest != package.digest
    with pytest.raises(IntegrityError, match="asked for"):
        open_folder(package.path, package.digest)


def test_read_looks_again_at_every_call(make: Make) -> None:
    package = make()
    assert package.read("codec/words.txt") == b"a\nb\n"
    (package.path / "codec/words.txt").write_bytes(b"a\nc\n")
    with pytest.raises(IntegrityError, match="changed"):
        package.read("codec/words.txt")
    (package.path / "codec/words.txt").unlink()
    (package.path / "codec/words.txt").symlink_to("/etc/hostname")
    with pytest.raises(IntegrityError, match="links"):
        package.read("codec/words.txt")
    with pytest.raises(FormatError, match="lists no file"):
        package.read("manifest.json")
    with pytest.raises(FormatError, match="lists no file"):
        package.read("../../etc/passwd")


def test_read_never_returns_other_bytes_while_a_file_is_swapped(make: Make) -> None:
    package = make()
    path, good, bad = package.path / "codec/words.txt", b"a\nb\n", b"x\ny\n"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for data in (bad, good):
                path.with_name("new").write_bytes(data)
                os.replace(path.with_name("new"), path)

    thread = threading.Thread(target=swap)
    thread.start()
    answers: set[bytes] = set()
    for _ in range(300):
        try:
            answers.add(package.read("codec/words.txt"))
        except IntegrityError:
            continue
    stop.set()
    thread.join()
    assert answers <= {good}


def test_the_same_content_has_the_same_digest_anywhere(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = make("one/deep", notes={"created": "now"})
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    files = {name: one.path / name for name in sorted(one.content.files, reverse=True)}
    other = write(one.content, files, Path("relative"), Annotations("other-name", {"created": "later"}))
    assert other.digest == one.digest
    assert other.content.program_digest == one.content.program_digest
    assert [path.relative_to(other.path) for path in tree(other.path)] == [
        path.relative_to(one.path) for path in tree(one.path) if path.parts[-2] != "annotations"
    ]
    assert make("three", weights=b"other").digest != one.digest


def test_what_write_returns_is_what_opens(make: Make) -> None:
    package = make()
    assert open_folder(package.path) == package
    assert replace(open_folder(package.path, trust=True), trusted=False) == package


def test_write_leaves_nothing_behind_when_it_fails(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = make()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("keep me")
    with pytest.raises(StoreError, match="not empty"):
        make("full")
    with pytest.raises(FormatError, match="cannot"):
        make("bad", notes={"x": object()})
    with pytest.raises(StoreError, match="No such file"):
        write(package.content, {"program/00-main.onnx": tmp_path / "absent"}, tmp_path / "bad")
    monkeypatch.setattr(package_module, "sync_tree", _full)
    with pytest.raises(StoreError, match=r"No space left.*Free some space"):
        make("bad")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "p"]


def _full(_: Path) -> None:
    raise OSError(28, "No space left on device")


def test_an_empty_folder_may_be_filled(make: Make, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert make("empty").path == (tmp_path / "empty").resolve()


def test_annotate_changes_no_digest_and_keeps_what_others_wrote(make: Make) -> None:
    package = make()
    stale = open_folder(package.path)
    named = annotate(package, name="newer", accuracy=0.9)
    noted = annotate(stale, files={"annotations/more/card.md": b"# hi"}, licence="MIT")
    opened = open_folder(package.path, package.digest)
    assert opened == noted
    assert (named.name, opened.name) == ("newer", "newer")
    assert opened.manifest.annotations.fields == {"owner": "ana", "accuracy": 0.9, "licence": "MIT"}
    assert opened.read("annotations/more/card.md") == b"# hi"
    assert opened.read("annotations/report.html") == b"<p>fine</p>"
    assert [path.name for path in package.path.parent.iterdir()] == ["p"]


def test_annotate_refuses_what_would_spoil_the_package(make: Make) -> None:
    package = make()
    before = {path: path.read_bytes() for path in tree(package.path)}
    with pytest.raises(FormatError, match="leaves the package"):
        annotate(package, files={"program/00-main.onnx": b"evil"})
    with pytest.raises(FormatError, match="cannot"):
        annotate(package, score=float("inf"))
    assert {path: path.read_bytes() for path in tree(package.path)} == before
    other = make("q", weights=b"other")
    with pytest.raises(IntegrityError, match="another package"):
        annotate(replace(package, path=other.path), owner="eve")


def test_an_annotation_file_is_checked_before_it_is_read(make: Make) -> None:
    package = make()
    (package.path / "annotations/report.html").write_bytes(b"<p>evil</p>")
    with pytest.raises(IntegrityError, match=r"report.html"):
        package.read("annotations/report.html")


def test_code_of_a_package_needs_trust(make: Make) -> None:
    stage = Stage("host", "clean", "host/00-clean.py", ("x",), ("label",), function="clean")
    package = make(stages=(stage,))
    with pytest.raises(TrustError, match=r"clean.*trust=True"):
        package.require_trust()
    open_folder(package.path, trust=True).require_trust()
    make("plain").require_trust()


@pytest.mark.parametrize("name", ["nowhere", "empty", "a file"])
def test_what_is_no_package_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").write_text("x")
    with pytest.raises(FormatError, match="not a Portside package"):
        open_folder(tmp_path / name)


def test_a_huge_manifest_is_not_read(make: Make) -> None:
    package = make()
    with (package.path / "manifest.json").open("r+b") as file:
        file.truncate((64 << 20) + 2)
    with pytest.raises(FormatError, match="too large"):
        open_folder(package.path)


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 400))
def test_any_bytes_as_a_manifest_are_a_typed_error(tmp_path_factory: pytest.TempPathFactory, data: bytes, start: int, length: int) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    text = json.dumps({"format": 1, "digest": "sha256:" + "a" * 64, "content": {"signature": {}, "stages": [], "files": {}}}).encode()
    (folder / "manifest.json").write_bytes(text[:start] + data + text[start + length :])
    with pytest.raises(PortsideError):
        open_folder(folder)


def _edit(package: Package, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the content of a manifest and seal it again, as an attacker would."""
    path = package.path / "manifest.json"
    data = json.loads(path.read_text())
    change(data["content"])
    with contextlib.suppress(UnicodeEncodeError):  # a lone surrogate has no digest at all
        data["digest"] = digest_of(data["content"])
    path.write_text(json.dumps(data))


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", "a\\b", "a\0b", "a\nb", "x" * 101])
def test_a_stage_is_not_named_like_a_path(make: Make, tmp_path: Path, name: str) -> None:
    """Runtimes make file names from it."""
    package = make()
    stages = (replace(package.content.stages[0], name=name), *package.content.stages[1:])
    with pytest.raises(FormatError, match="not plain"):
        write(replace(package.content, stages=stages), {file: package.read(file) for file in package.content.files}, tmp_path / "again")


def test_a_trees_stage_reads_one_value_and_writes_one(make: Make, tmp_path: Path) -> None:
    package = make()
    stages = (replace(package.content.stages[0], kind="trees", inputs=()),)
    with pytest.raises(FormatError, match="one value"):
        write(replace(package.content, stages=stages), {file: package.read(file) for file in package.content.files}, tmp_path / "again")
