"""The power is cut before and after every file operation of a device's life, with every way to lose what was not synced.

After each of them the device starts with a release that is whole, is the one that was active or the one that was becoming
it, and can go on to the next. Without fsync it does not: that is asserted too, or the test would prove nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from portside.edge.update_state import Active, OperatorRollback, RolledBack

sys.path.insert(0, str(Path(__file__).parent))
from faulty_files import FaultyFiles, PowerCut, at_any_byte, empty, everything, first, lost, scattered, torn, written, zeroed
from made_releases import device, held_in, update_to, wish

ROOT = Path("/var/portside")
NEWEST = wish(99)
BAD = {wish(3).release: "unhealthy", wish(6).release: "not enough data"}
NAMES = {"all": everything, "none": first(0), "half": lambda journal: journal[: len(journal) // 2], "but one": first(-1)}
TEARS = {"all": written, "synced": lost, "empty": empty, "third": torn(1 / 3), "zeros": zeroed(2 / 3)}


def life(made):
    """A device's life, and after each step what has to be true from then on: (release that answers, releases never to run again)."""
    made.boot()
    yield wish(1), set()
    update_to(made, wish(2))
    yield wish(2), set()
    update_to(made, wish(3))  # fails its trial
    assert isinstance(made.update.phase, RolledBack)
    yield wish(2), {wish(3)}
    update_to(made, wish(4))
    yield wish(4), {wish(3)}
    made.handle(OperatorRollback(made.slots.sound()))
    yield wish(2), {wish(3), wish(4)}
    update_to(made, wish(5))
    yield wish(5), {wish(3), wish(4)}
    update_to(made, wish(6))  # its trial goes on and on
    yield wish(5), {wish(3), wish(4)}
    update_to(made, wish(7))  # replaces it
    yield wish(7), {wish(3), wish(4)}
    update_to(made, wish(5, 8))  # lies in the other slot still
    yield wish(5), {wish(3), wish(4)}


STEPS = (wish(1), wish(2), wish(2), wish(4), wish(2), wish(5), wish(5), wish(7), wish(5))


@pytest.fixture(scope="module")
def installed():
    """A disk on which release 1 is active and everything is synced."""
    files = FaultyFiles()
    made = device(files, ROOT)
    made.boot()
    update_to(made, wish(1))
    assert made.update.phase == Active(wish(1))
    return files.power_cut(everything, written)


class Lives:
    """What a device may find after each operation of its life, and what it must start with then.

    Args:
        installed: the disk that the life begins on.
        forgets: syncs that do nothing.
        step: of how many operations one is looked at.
    """

    def __init__(self, installed, forgets=(), step=1):
        self.files = installed.power_cut(everything, written)
        self.files.forgets, self.files.watch = frozenset(forgets), self.look
        self.step, self.done, self.never, self.found = step, -1, set(), {}
        self.points = 0

    def live(self, seeds=1):
        self.seeds = seeds
        for _, never in life(device(self.files, ROOT, BAD, counts=True)):
            self.done, self.never = self.done + 1, {wanted.release for wanted in never}
        assert self.done == len(STEPS) - 1
        return self

    def look(self, moment):
        number = self.files.operations
        if number % self.step == 0:
            allowed = {wanted.release for wanted in STEPS[max(self.done, 0) : self.done + 2]} - self.never
            for name, disk in disks(self.files, range(number, number + self.seeds)):
                self.points += 1
                self.found.setdefault((state(disk), frozenset(allowed)), (disk, f"{moment} operation {number}, {name}"))

    def unlike(self):
        """(a disk, the releases it may start with, where it was found), each once."""
        return [(disk, allowed, where) for (_, allowed), (disk, where) in self.found.items()]


def disks(files, seeds):
    """Every disk that a restart may find, by name."""
    for names, kept in NAMES.items():
        for tear, found in TEARS.items():
            yield f"{names}/{tear}", files.power_cut(kept, found)
    for seed in seeds:
        yield f"scattered {seed}", files.power_cut(scattered(seed), at_any_byte(seed))


def state(disk):
    """What lies on a disk, as a value."""

    def walked(folder):
        return tuple((name, node.data if hasattr(node, "data") else walked(node)) for name, node in sorted(folder.names.items()))

    return walked(disk.top)


def started(disk):
    """What a device starts with: the release in the slot that answers, read byte by byte; and the device."""
    made = device(disk, ROOT, BAD, counts=True)
    found = made.boot()
    assert found.run is not None, "nothing runs"
    release = held_in(disk, ROOT / found.run)
    assert release is not None, "what runs is not whole"
    assert not [name for name in disk.names(ROOT) if name.endswith(".new")]
    return release.release, made


def goes_on(disk, made, where):
    """The device is not stuck: the next release that works becomes active, and is still there after the next start."""
    update_to(made, NEWEST)
    assert made.update.phase == Active(NEWEST), where
    assert started(disk.power_cut(first(0), empty))[0] == NEWEST.release, where


@pytest.mark.chaos
def test_a_verified_release_runs_after_a_power_cut_anywhere(installed, effort, capsys):
    lives = Lives(installed).live(seeds=3 * effort)
    for disk, allowed, where in lives.unlike():
        release, made = started(disk)
        assert release in allowed, where
        goes_on(disk, made, where)
    with capsys.disabled():
        print(f"\n{lives.points} power cuts before and after {lives.files.operations} operations left {len(lives.found)} unlike disks: "
              "a verified release ran after each")  # fmt: skip
    assert len(lives.found) >= 500


@pytest.mark.chaos
def test_the_power_may_go_again_while_the_device_starts(installed, effort, capsys):
    points = 0
    for found, allowed, where in Lives(installed, step=max(1, 25 - effort)).live().unlike():
        unlike = {}
        disk = found.power_cut(everything, written)
        disk.watch = lambda moment, disk=disk, unlike=unlike: unlike.update(
            (state(again), again) for _, again in disks(disk, [disk.operations])
        )
        device(disk, ROOT, BAD, counts=True).boot()
        points += len(unlike)
        for again in unlike.values():
            assert started(again)[0] in allowed, where
    with capsys.disabled():
        print(f"\n{points} unlike disks after a second power cut while starting: a verified release ran after each")
    assert points >= 500


@pytest.mark.chaos
@pytest.mark.parametrize("forgets", [("file", "folder"), ("file",), ("folder",)], ids=" and ".join)
def test_without_fsync_it_would_not(installed, forgets, capsys):
    """The negative control: the same cuts on a layer whose syncs do nothing leave devices on which nothing runs."""
    lives, bricked = Lives(installed, forgets, step=11).live(), 0
    for disk, _, _ in lives.unlike():
        try:
            started(disk)
        except AssertionError:
            bricked += 1
    with capsys.disabled():
        print(f"\nwithout fsync of {' and '.join(forgets)}: nothing runs on {bricked} of {len(lives.found)} unlike disks")
    assert bricked > 0


def test_a_cut_in_the_middle_of_each_step(installed):
    """The ordinary suite's share of the above: real cuts, after which no operation of the device does anything."""
    count = Lives(installed, step=10**9).live().files.operations
    for number in range(1, count + 1, 29):
        files, done = installed.power_cut(everything, written), -1
        files.cut = (number, "before")
        with pytest.raises(PowerCut):
            for _ in life(device(files, ROOT, BAD, counts=True)):
                done += 1
        for kept, tear in ((first(0), lost), (everything, empty), (scattered(number), at_any_byte(number))):
            disk = files.power_cut(kept, tear)
            release, made = started(disk)
            assert release in {wanted.release for wanted in STEPS[max(done, 0) : done + 2]}
            goes_on(disk, made, number)
