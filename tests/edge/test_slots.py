"""Slots on a disk: what they prove, what is recovered from, and what is never touched."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_releases import content, device, held_in, update_to, wish

from portside.edge.files import OsFiles, walk
from portside.edge.slot_index import INDEX, SlotIndex, prove
from portside.edge.slots import COPY, STATE, Slots, recovered
from portside.edge.update_record import Record
from portside.edge.update_state import Active, Held, Run, Update
from portside.sdk.core.errors import FormatError, IntegrityError, StoreError
from portside.sdk.core.manifest import FileEntry

FILES = OsFiles()


@pytest.fixture
def root(tmp_path):
    """A device with releases 1 and 2 behind it: 2 answers from b, 1 lies in a."""
    made = device(FILES, tmp_path / "device")
    made.boot()
    update_to(made, wish(1))
    update_to(made, wish(2))
    return tmp_path / "device"


def boot(root):
    return Slots(FILES, root).boot()


def test_a_new_device_runs_nothing_and_says_so(tmp_path):
    found = boot(tmp_path / "new" / "device")
    assert (found.update, found.actions, found.run, found.notes) == (Update(), (), None, ())
    assert sorted(walk(FILES, tmp_path / "new" / "device")) == [COPY, STATE]


def test_a_start_changes_nothing_on_a_disk_that_is_whole(root):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}
    found = boot(root)
    assert (found.run, found.actions, found.notes) == ("b", (Run("b"),), ())
    assert found.update == Update(Active(wish(2)), Held("b", wish(2)), Held("a", wish(1)), seen=wish(2))
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("damage", [b"", b"\0" * 400, b"{}", b'{"format": 1}', b"[1]", b"\xff\xfe", None, "half", "edited"])
@pytest.mark.parametrize("name", [STATE, COPY])
def test_one_damaged_state_is_made_good_from_the_other(root, name, damage):
    whole = (root / name).read_bytes()
    data = {"half": whole[: len(whole) // 2], "edited": whole.replace(b'"revision": ', b'"revision": 9')}.get(damage, damage)
    (root / name).unlink()
    if data is not None:
        (root / name).write_bytes(data)
    found = boot(root)
    assert (found.run, found.update.fallback, bool(found.notes)) == ("b", Held("a", wish(1)), data is not None)
    assert Record.from_bytes((root / STATE).read_bytes()) == Record.from_bytes((root / COPY).read_bytes())
    assert boot(root).notes == ()


def test_of_two_copies_the_later_one_counts(root):
    held = Record.from_bytes((root / STATE).read_bytes())
    later = Record(replace(held.update, halted="the clock is wrong"), held.revision + 1)
    for name in (STATE, COPY):
        (root / STATE).write_bytes(held.to_bytes())
        (root / COPY).write_bytes(held.to_bytes())
        (root / name).write_bytes(later.to_bytes())
        assert boot(root).update == later.update
        assert {Record.from_bytes((root / name).read_bytes()).revision for name in (STATE, COPY)} == {later.revision + 1}


def test_without_any_state_the_slots_say_what_ran_before(root):
    for name in (STATE, COPY):
        (root / name).write_bytes(b"torn")
    found = boot(root)
    assert (found.run, found.update.active, len(found.notes)) == ("a", Held("a", wish(1)), 2)
    made = device(FILES, root)
    made.boot()
    update_to(made, wish(2))
    assert made.update.phase == Active(wish(2))


def test_of_two_slots_without_a_state_the_earlier_wish_answers():
    assert recovered({}) == Update()
    assert recovered({"b": wish(4)}).active == Held("b", wish(4))
    assert recovered({"a": wish(9), "b": wish(4)}).active == Held("b", wish(4))


@pytest.mark.parametrize("damage", ["bytes", "longer", "gone", "more", "index", "link", "empty"])
def test_a_slot_that_is_not_whole_gives_way_to_the_one_before(root, damage):
    file = root / "b" / "artifact" / "engine" / "model.bin"
    match damage:
        case "bytes":
            file.write_bytes(bytes(len(file.read_bytes())))
        case "longer":
            file.write_bytes(file.read_bytes() + b"x")
        case "gone":
            file.unlink()
        case "more":
            (root / "b" / "artifact" / "more").write_text("x")
        case "index":
            (root / "b" / INDEX).write_bytes(b"{}")
        case "link":
            file.rename(root / "kept")
            file.symlink_to(root / "kept")
        case "empty":
            (root / "b" / INDEX).write_bytes(b"")
    found = boot(root)
    assert (found.run, found.update.active, found.update.fallback) == ("a", Held("a", wish(1)), None)
    assert found.notes[0].startswith("slot b: ")
    assert held_in(FILES, root / "a") == wish(1)


def test_leftovers_go_and_slots_stay(root):
    (root / "a.new" / "artifact").mkdir(parents=True)
    (root / "a.new" / "artifact" / "part").write_text("x")
    (root / "state.json.new").write_text("x")
    boot(root)
    assert sorted(path.name for path in root.iterdir()) == ["a", "b", COPY, STATE]


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="The slots of this device cannot start"):
        boot(tmp_path / "file" / "device")


@pytest.mark.parametrize("pieces", [[b"short"], [b"x" * 5000], []], ids=["short", "long", "nothing"])
def test_a_source_with_other_bytes_leaves_no_slot_and_no_rubbish(root, pieces):
    index = SlotIndex(wish(3), "made", {name: FileEntry.of(data) for name, data in content(wish(3)).items()})
    with pytest.raises(IntegrityError):
        Slots(FILES, root).stage("a", index, lambda name: iter(pieces))
    assert sorted(path.name for path in root.iterdir()) == ["b", COPY, STATE]


def test_an_index_names_what_lies_below_it_and_nothing_else():
    entry = FileEntry.of(b"")
    for name in ("../x", "/etc/passwd", "artifact/../x", "release.json", "other/x", "artifact"):
        with pytest.raises(FormatError):
            SlotIndex(wish(1), "made", {name: entry})
    for pair in (("artifact/a", "artifact/A"), ("artifact/a", "artifact/a/b")):
        with pytest.raises(FormatError):
            SlotIndex(wish(1), "made", dict.fromkeys(pair, entry))


def test_an_index_comes_back_and_a_changed_one_does_not(root):
    text = (root / "b" / INDEX).read_bytes()
    index = SlotIndex.from_bytes(text)
    assert (index, index.to_bytes(), index.size_bytes) == (prove(FILES, root / "b"), text, 2373)
    for odd in (text.replace(b'"sequence": 2', b'"sequence": 3'), text[:-9], b"{}", b'{"seal": 1}'):
        with pytest.raises((FormatError, IntegrityError)):
            SlotIndex.from_bytes(odd)
