"""Releases of a few kilobytes, a source that has them, and a judge that says what it is told."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from portside.edge.files import walk
from portside.edge.health import Evidence
from portside.edge.installer import Health, Installer
from portside.edge.slot_index import INDEX, SlotIndex
from portside.edge.slots import Slots
from portside.edge.trial_file import TrialFile, Which
from portside.edge.update_state import DesiredSeen, Wanted
from portside.sdk.core.manifest import FileEntry


def wish(number, sequence=None):
    """Release `number`, wanted at that place in the order."""
    return Wanted(f"sha256:{number:064x}", number if sequence is None else sequence)


def content(wanted):
    """Its files: some shared by all releases, one empty, one of two pieces."""
    dice = hashlib.shake_256(wanted.release.encode())
    return {
        "artifact/artifact.json": dice.digest(300),
        "artifact/engine/model.bin": dice.digest(2048),
        "artifact/codec/words.txt": b"the same in every release",
        "artifact/engine/empty": b"",
    }


class Shelf:
    """A source that has every release; `fetch`, `verify` and `read` can be told to fail, by what they raise."""

    def __init__(self):
        self.fails = {}
        self.calls = []

    def fetch(self, wanted):
        self._call("fetch", wanted)

    def verify(self, wanted):
        self._call("verify", wanted)

    def index(self, wanted):
        self._call("index", wanted)
        return SlotIndex(wanted, "made", {name: FileEntry.of(data) for name, data in content(wanted).items()})

    def read(self, wanted, name):
        self._call("read", wanted)
        data = content(wanted)[name]
        yield data[: len(data) // 2]
        yield data[len(data) // 2 :]

    def _call(self, what, wanted):
        self.calls.append((what, wanted))
        if what in self.fails:
            raise self.fails[what]


class Told:
    """A judge: release -> what it says, "healthy" where nothing was said. file: where it writes down how often it was asked."""

    def __init__(self, said=None, file=None):
        self.said, self.file = {} if said is None else said, file
        self.saw = []
        self.ended = 0

    def judge(self, trial, wanted, active):
        self.saw.append((Path(trial).parent.name, wanted, active and Path(active).parent.name))
        if self.file is not None:
            which = Which(wanted.release, wanted.sequence, "", None)
            seen = self.file.restored(Evidence("passed"), which)
            self.file.save(replace(seen, live=seen.live + 1), which, closing=True)
        return Health(self.said.get(wanted.release, "healthy"), "so said the judge")

    def end(self):
        self.ended += 1


def device(files, root, said=None, counts=False):
    """An installer that has not been started. counts: its judge keeps what it has seen of a trial."""
    return Installer(Slots(files, root), Shelf(), Told(said, TrialFile(files, root) if counts else None))


def update_to(made, wanted):
    """Want a release and do what there is to do."""
    made.handle(DesiredSeen(wanted))
    return made.work()


def held_in(files, slot):
    """The release whose files lie in a slot, byte by byte; None where they are not those of the release it names."""
    index = SlotIndex.from_bytes(b"".join(files.read(slot / INDEX)))
    found = {name: b"".join(files.read(slot / name)) for name in walk(files, slot) if name != INDEX}
    return index.wanted if found == content(index.wanted) else None
