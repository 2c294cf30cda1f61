"""The engine's files are the pinned ones, or nothing is copied."""

from __future__ import annotations

import json

import pytest

from portside.runtimes.web.engine_files import BROWSER, PIN, PLACE, main, pinned
from portside.sdk.core import errors
from portside.sdk.core.manifest import FileEntry


@pytest.fixture
def fake(tmp_path):
    """A pin of two small files, and the folder that holds them."""
    folder = tmp_path / "ort"
    folder.mkdir()
    files = {"a.mjs": b"export {}", "b.wasm": b"\0asm"}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    pin = tmp_path / "ort.json"
    entries = {name: FileEntry.of(data).to_dict() for name, data in files.items()}
    pin.write_text(json.dumps({"package": "ort", "version": "1.0.0", "licence": "MIT", "files": entries}))
    return pinned(folder, pin)


def test_the_right_files_are_copied_and_nothing_else(fake, tmp_path):
    (fake.folder / "stowaway.mjs").write_text("alert()")
    fake.copy(tmp_path / "out" / "deep")
    assert {file.name: file.read_bytes() for file in (tmp_path / "out" / "deep").iterdir()} == {"a.mjs": b"export {}", "b.wasm": b"\0asm"}


def test_a_changed_file_is_refused_by_name_and_nothing_is_copied(fake, tmp_path):
    (fake.folder / "b.wasm").write_bytes(b"\0asn")
    with pytest.raises(errors.IntegrityError, match=r"b\.wasm is not the file of ort 1\.0\.0") as caught:
        fake.copy(tmp_path / "out")
    assert "make engine" in caught.value.fix
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_named_with_the_command_that_fetches_it(fake):
    (fake.folder / "a.mjs").unlink()
    with pytest.raises(errors.UnsupportedError, match=r"no a\.mjs in") as caught:
        fake.check()
    assert "make engine" in str(caught.value)


def test_the_pin_names_one_version_and_three_files():
    engine = pinned()
    assert (engine.package, engine.version) == ("onnxruntime-web", "1.30.0")
    assert sorted(engine.files) == ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm", "ort.wasm.min.mjs"]
    assert engine.folder == BROWSER / PLACE


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"package": "a", "version": "1", "licence": "x", "files": []}'])
def test_a_broken_pin_is_a_format_error(text, tmp_path):
    (tmp_path / "ort.json").write_text(text)
    with pytest.raises(errors.FormatError, match="pin"):
        pinned(pin=tmp_path / "ort.json")


def test_make_engine_puts_nothing_in_place_that_is_not_pinned(tmp_path):
    for name in json.loads(PIN.read_text())["files"]:
        (tmp_path / name).write_bytes(b"another version")
    with pytest.raises(errors.IntegrityError):
        main(str(tmp_path))
    pinned().check()
