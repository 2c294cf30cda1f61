"""The file layers: the real one and the one that loses its power agree, and the latter loses what was not synced."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from portside.edge.files import OsFiles, make_folders, read_whole, remove_tree, replace_file, walk

sys.path.insert(0, str(Path(__file__).parent))
from faulty_files import FaultyFiles, PowerCut, empty, everything, first, lost, scattered, torn, written, zeroed


@pytest.fixture(params=["os", "faulty"])
def layer(request, tmp_path):
    """(a layer, an empty folder in it)."""
    made = OsFiles() if request.param == "os" else FaultyFiles()
    make_folders(made, tmp_path / "here")
    return made, tmp_path / "here"


def holds(files, path):
    return b"".join(files.read(path))


def test_a_file_is_made_and_replaced_in_pieces(layer):
    files, here = layer
    files.write(here / "one", [b"ab", b"", b"c"])
    assert (holds(files, here / "one"), files.names(here), files.exists(here / "one")) == (b"abc", ["one"], True)
    files.write(here / "one", iter([b"x"]))
    files.sync(here / "one")
    files.sync_folder(here)
    assert holds(files, here / "one") == b"x"


def test_a_rename_replaces_a_file_and_moves_a_folder(layer):
    files, here = layer
    files.write(here / "old", [b"1"])
    files.write(here / "new", [b"2"])
    files.rename(here / "old", here / "new")
    files.mkdir(here / "inner")
    files.write(here / "inner" / "deep", [b"3"])
    files.rename(here / "inner", here / "moved")
    assert (files.names(here), holds(files, here / "new"), holds(files, here / "moved" / "deep")) == (["moved", "new"], b"1", b"3")
    assert list(walk(files, here)) == ["moved/deep", "new"]
    files.mkdir(here / "empty")
    files.rename(here / "moved", here / "empty")
    assert files.names(here) == ["empty", "new"]


def test_what_cannot_be_is_the_system_s_own_error(layer):
    files, here = layer
    files.write(here / "file", [b"1"])
    files.mkdir(here / "folder")
    files.write(here / "folder" / "inner", [b"1"])
    files.mkdir(here / "other")
    files.write(here / "other" / "inner", [b"1"])
    for error, call in (
        (FileNotFoundError, lambda: list(files.read(here / "none"))),
        (FileNotFoundError, lambda: files.write(here / "none" / "file", [b""])),
        (FileNotFoundError, lambda: files.unlink(here / "none")),
        (FileNotFoundError, lambda: files.rename(here / "none", here / "other")),
        (FileNotFoundError, lambda: files.mkdir(here / "none" / "inner")),
        (FileNotFoundError, lambda: files.names(here / "none")),
        (FileNotFoundError, lambda: files.sync(here / "none")),
        (FileExistsError, lambda: files.mkdir(here / "file")),
        (IsADirectoryError, lambda: list(files.read(here / "folder"))),
        (IsADirectoryError, lambda: files.write(here / "folder", [b""])),
        (NotADirectoryError, lambda: files.names(here / "file")),
        (NotADirectoryError, lambda: list(files.read(here / "file" / "inner"))),
        (NotADirectoryError, lambda: files.rename(here / "folder", here / "file")),
        (IsADirectoryError, lambda: files.rename(here / "file", here / "folder")),
        (OSError, lambda: files.rename(here / "folder", here / "other")),
        (OSError, lambda: files.rmdir(here / "folder")),
        (OSError, lambda: files.unlink(here / "folder")),
        (ValueError, lambda: files.rename(here / "file", here / "folder" / "file")),
    ):
        with pytest.raises(error):
            call()
    assert list(walk(files, here)) == ["file", "folder/inner", "other/inner"]
    assert (files.exists(here / "file" / "inner"), files.is_folder(here / "folder"), files.is_folder(here / "file")) == (False, True, False)


def test_trees_go_and_small_files_are_replaced(layer):
    files, here = layer
    make_folders(files, here / "a" / "b")
    files.write(here / "a" / "b" / "deep", [b"1"])
    files.write(here / "a" / "file", [b"1"])
    remove_tree(files, here / "a")
    remove_tree(files, here / "a")
    replace_file(files, here / "state", b"first")
    replace_file(files, here / "state", b"second")
    assert (files.names(here), read_whole(files, here / "state", 6)) == (["state"], b"second")
    with pytest.raises(OSError, match="more than 5 bytes"):
        read_whole(files, here / "state", 5)
    remove_tree(files, here / "state")
    assert files.names(here) == []


def test_links_are_not_followed(tmp_path):
    files = OsFiles()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("1")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "link").symlink_to(tmp_path / "kept" / "file")
    with pytest.raises(OSError, match="symbolic links"):
        list(files.read(tmp_path / "link"))
    remove_tree(files, tmp_path / "tree")
    remove_tree(files, tmp_path / "link")
    assert (tmp_path / "kept" / "file").read_text() == "1"


def disk(files, here):
    """What lies on a disk: relative path -> bytes."""
    return {name: holds(files, here / name) for name in walk(files, here)} if files.exists(here) else {}


def test_a_power_cut_loses_what_was_not_synced():
    files, here = FaultyFiles(), Path("/here")
    make_folders(files, here)
    files.write(here / "safe", [b"safe"])
    files.sync(here / "safe")
    files.sync_folder(here)
    files.write(here / "file", [b"abcd", b"efgh"])
    files.rename(here / "safe", here / "moved")
    for names, tear, found in (
        (everything, written, {"file": b"abcdefgh", "moved": b"safe"}),
        (first(0), written, {"safe": b"safe"}),
        (first(1), torn(0.4), {"file": b"abc", "safe": b"safe"}),
        (everything, zeroed(0.5), {"file": b"abcd\0\0\0\0", "moved": b"safe"}),
        (everything, empty, {"file": b"", "moved": b"safe"}),
        (everything, lost, {"file": b"", "moved": b"safe"}),
    ):
        assert disk(files.power_cut(names, tear), here) == found
    files.sync(here / "file")
    assert disk(files.power_cut(everything, empty), here) == {"file": b"abcdefgh", "moved": b"safe"}
    assert disk(files.power_cut(first(0), empty), here) == {"safe": b"safe"}
    files.sync_folder(here)
    assert disk(files.power_cut(first(0), empty), here) == {"file": b"abcdefgh", "moved": b"safe"}


def test_folders_lose_their_names_apart_and_a_rewrite_may_leave_the_old_bytes():
    files, here = FaultyFiles(), Path("/here")
    make_folders(files, here)
    files.mkdir(here / "a")
    files.mkdir(here / "b")
    files.sync_folder(here)
    for name in ("a/1", "b/1", "a/2", "b/2"):
        files.write(here / name, [b""])
    found = {tuple(disk(files.power_cut(scattered(seed), written), here)) for seed in range(60)}
    assert len(found) == 9
    files.write(here / "a" / "1", [b"old"])
    files.sync(here / "a" / "1")
    files.write(here / "a" / "1", [b"new!"])
    assert {disk(files.power_cut(everything, tear), here)["a/1"] for tear in (lost, written, torn(0.5))} == {b"old", b"new!", b"ne"}


def test_every_operation_is_counted_and_can_be_the_last():
    def work(files):
        make_folders(files, Path("/here"))
        files.write(Path("/here/file"), [b"12", b"34"])
        files.sync(Path("/here/file"))
        files.rename(Path("/here/file"), Path("/here/moved"))

    whole = FaultyFiles()
    work(whole)
    assert whole.operations == 7  # mkdir, its sync, create, two pieces, sync, rename
    for number in range(1, 8):
        for moment, done in (("before", number - 1), ("after", number)):
            files = FaultyFiles(cut=(number, moment))
            with pytest.raises(PowerCut):
                work(files)
            with pytest.raises(PowerCut):
                files.names(Path("/"))
            kept = disk(files.power_cut(everything, written), Path("/here"))
            assert kept == ({}, {}, {}, {"file": b""}, {"file": b"12"}, {"file": b"1234"}, {"file": b"1234"}, {"moved": b"1234"})[done]


def test_a_folder_that_is_a_link_is_one(tmp_path):
    """systemd gives a service of a user of its own /var/lib/NAME, which leads to /var/lib/private/NAME."""
    (tmp_path / "private" / "portside").mkdir(parents=True)
    (tmp_path / "portside").symlink_to("private/portside")
    make_folders(OsFiles(), tmp_path / "portside" / "slots")
    assert (tmp_path / "private" / "portside" / "slots").is_dir()
    make_folders(OsFiles(), tmp_path / "portside")
