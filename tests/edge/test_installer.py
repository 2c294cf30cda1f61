"""An installer: work in order, failures that leave a device running, a full disk, several threads, and a folder as a source."""

from __future__ import annotations

import errno
import threading

import pytest
from faulty_files import FaultyFiles
from made_releases import Shelf, Told, device, held_in, update_to, wish

from portside.edge.files import OsFiles
from portside.edge.installer import Installer
from portside.edge.slots import Slots
from portside.edge.update_state import Active, DesiredSeen, Held, Idle, MetadataExpired, RolledBack, Trial
from portside.sdk.core.errors import IntegrityError, StoreError, UnsupportedError


class Switched(list):
    """Slots that were switched to."""

    def __call__(self, held):
        self.append(held)


@pytest.fixture
def made(tmp_path):
    """A device on which release 1 is active."""
    found = device(OsFiles(), tmp_path)
    found.switched = Switched()
    found.boot()
    update_to(found, wish(1))
    return found


def test_the_way_of_an_update(made):
    assert made.switched == [Held("a", wish(1))]
    assert made.judge.saw == [("a", wish(1), None)]
    assert update_to(made, wish(2)) is False
    assert made.switched[1:] == [Held("b", wish(2))]
    assert made.judge.saw[1:] == [("b", wish(2), "a")]
    assert [what for what, wanted in made.source.calls if wanted == wish(2)] == ["fetch", "verify", "index", *["read"] * 4]
    assert held_in(made.slots.files, made.slots.folder("b")) == wish(2)
    assert made.judge.ended >= 1


def test_a_trial_without_enough_data_is_judged_whenever_there_is_work(made):
    made.judge.said[wish(2).release] = "not enough data"
    assert update_to(made, wish(2)) is True
    assert [made.work() for _ in range(3)] == [True] * 3
    assert (made.update.phase, made.update.active) == (Trial(wish(2), "b"), Held("a", wish(1)))
    made.judge.said[wish(2).release] = "healthy"
    assert made.work() is False
    assert made.update.active == Held("b", wish(2))


def test_an_unhealthy_release_is_refused_with_its_reason(made):
    made.judge.said[wish(2).release] = "unhealthy"
    update_to(made, wish(2))
    assert made.update.phase == RolledBack(wish(2), "so said the judge")
    calls = len(made.source.calls)
    update_to(made, wish(2))
    assert (made.update.active, len(made.source.calls)) == (Held("a", wish(1)), calls)


@pytest.mark.parametrize("what", ["fetch", "verify", "index", "read"])
@pytest.mark.parametrize("error", [StoreError("Away"), OSError(errno.EIO, "Input/output error"), KeyError("a mistake"), MemoryError()])
def test_whatever_a_source_does_wrong_the_device_goes_on_and_tries_again(made, what, error):
    made.source.fails = {what: error}
    update_to(made, wish(2))
    assert isinstance(made.update.phase, Idle)
    assert made.update.phase.why
    assert (made.update.active, made.update.refused) == (Held("a", wish(1)), ())
    made.source.fails = {}
    update_to(made, wish(2))
    assert made.update.phase == Active(wish(2))


@pytest.mark.parametrize("error", [IntegrityError("Other bytes"), UnsupportedError("For another machine")])
def test_a_release_that_is_not_what_was_signed_is_refused(made, error):
    made.source.fails = {"verify": error}
    update_to(made, wish(2))
    assert made.update.phase == RolledBack(wish(2), str(error))
    made.source.fails = {}
    update_to(made, wish(2))
    assert made.update.active == Held("a", wish(1))


def test_a_source_that_gives_another_release_s_index_is_not_believed(made, monkeypatch):
    index = Shelf().index(wish(7))
    monkeypatch.setattr(made.source, "index", lambda wanted: index)
    update_to(made, wish(2))
    assert made.update.phase.why.startswith("The index is of another release")


def test_a_newer_wish_during_a_fetch_wins(made, monkeypatch):
    def fetch(wanted):
        if wanted == wish(2):
            made.handle(DesiredSeen(wish(3)))

    monkeypatch.setattr(made.source, "fetch", fetch)
    update_to(made, wish(2))
    assert made.update.phase == Active(wish(3))
    assert ("verify", wish(2)) not in made.source.calls


def test_an_expiry_during_a_fetch_stops_the_install(made, monkeypatch):
    monkeypatch.setattr(made.source, "fetch", lambda wanted: made.handle(MetadataExpired()))
    update_to(made, wish(2))
    assert made.update.phase == Idle("the metadata has expired")
    assert made.update.active == Held("a", wish(1))


def test_an_operator_goes_back_and_forward_is_another_wish(made):
    with pytest.raises(StoreError, match="no release to go back to"):
        made.rollback()
    update_to(made, wish(2))
    made.source.fails = {"fetch": OSError("no network")}
    assert made.rollback().active == Held("a", wish(1))
    assert made.switched[-1] == Held("a", wish(1))
    update_to(made, wish(2))
    assert made.update.active == Held("a", wish(1))


def test_an_operator_does_not_go_back_to_a_damaged_slot(made):
    update_to(made, wish(2))
    (made.slots.artifact("a") / "engine" / "model.bin").write_bytes(b"rot")
    with pytest.raises(StoreError, match="one slot that is whole"):
        made.rollback()
    assert made.update.active == Held("b", wish(2))


def test_a_slot_that_rots_between_staging_and_trial_is_written_again(made, monkeypatch):
    monkeypatch.setattr(made.slots, "holds", lambda slot, wanted: False)
    update_to(made, wish(2))
    assert made.update.phase == Idle("slot b is not whole")
    monkeypatch.undo()
    update_to(made, wish(2))
    assert made.update.phase == Active(wish(2))


class Full(FaultyFiles):
    """No byte fits while `full`."""

    full = False

    def write(self, path, pieces):
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        super().write(path, pieces)


def test_a_full_disk_stops_updates_and_nothing_else(tmp_path):
    files = Full()
    made = device(files, tmp_path)
    made.boot()
    update_to(made, wish(1))
    files.full = True
    with pytest.raises(StoreError, match="state of updates cannot be written: No space left"):
        update_to(made, wish(2))  # the wish itself has to be written down
    files.full = False
    made.handle(DesiredSeen(wish(2)))
    files.full = True
    with pytest.raises(StoreError):
        made.work()
    assert made.update.active == Held("a", wish(1))
    files.full = False
    made.work()
    assert "No space left" in made.update.phase.why
    update_to(made, wish(2))
    assert made.update.phase == Active(wish(2))


def test_a_result_that_could_not_be_written_is_taken_in_later(tmp_path):
    files = Full()
    judge = Told()
    made = Installer(Slots(files, tmp_path), Shelf(), judge)
    made.boot()
    judging = judge.judge

    def judge_and_fill(*given):
        files.full = True
        return judging(*given)

    judge.judge = judge_and_fill
    with pytest.raises(StoreError):
        update_to(made, wish(1))
    assert made.update.phase == Trial(wish(1), "a")
    files.full = False
    made.work()
    assert (made.update.phase, len(judge.saw)) == (Active(wish(1)), 1)


def test_wishes_from_many_threads_end_in_the_newest(made):
    stop = threading.Event()

    def work():
        while not stop.is_set():
            made.work()

    worker = threading.Thread(target=work)
    worker.start()
    threads = [threading.Thread(target=lambda start=start: [made.handle(DesiredSeen(wish(number))) for number in range(start, 60, 4)])
               for start in range(2, 6)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    worker.join()
    made.work()
    assert (made.update.phase, made.update.active.wanted) == (Active(wish(59)), wish(59))
    assert held_in(made.slots.files, made.slots.folder(made.update.active.slot)) == wish(59)


def test_a_start_goes_on_with_a_trial(made, tmp_path):
    made.judge.said[wish(2).release] = "not enough data"
    update_to(made, wish(2))
    again = device(OsFiles(), tmp_path)
    found = again.boot()
    assert (found.run, found.update.phase) == ("a", Trial(wish(2), "b", 1))
    assert again.work() is False
    assert again.update.phase == Active(wish(2))
