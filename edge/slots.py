"""Two slots and one small state file: what a device finds when it starts, whatever it was doing when it stopped.

    state.json         which slot answers, what is on trial, what was refused; replaced by one atomic rename
    state.copy.json    the same, replaced afterwards: for a disk that damages a file later
    a/  b/             a release each (slot_index.py); b.new/ is one that is being written

Order is everything. A slot is written beside its place, every file and folder is synced, and only then it gets its name. It is
read back before the state names it, and the state no longer counts on a slot before that is overwritten. So whichever
operations a power cut undoes, the state on the disk names a slot that is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..sdk.core.errors import FormatError, IntegrityError, PortsideError, StoreError
from .files import Files, make_folders, read_whole, remove_tree, replace_file
from .slot_index import ARTIFACT, INDEX, SlotIndex, prove
from .update_machine import RULES, Rules, durable, step
from .update_record import Record
from .update_state import SLOTS, Action, Held, Rebooted, Slot, Update, Wanted

STATE, COPY = "state.json", "state.copy.json"
STATE_BYTES = 1 << 20


@dataclass(frozen=True)
class Boot:
    """What a device starts with.

    Attributes:
        update: the state, saved.
        actions: what is to be done now.
        run: the slot that answers; None on a device that has not got a release yet.
        notes: what was repaired, for the log.
    """

    update: Update
    actions: tuple[Action, ...]
    run: Slot | None
    notes: tuple[str, ...] = ()


class Slots:
    """The slots below a folder. One process, and in it one thread at a time.

    Args:
        files: the file layer.
        root: a folder of the device's own, made where it is missing.
    """

    def __init__(self, files: Files, root: Path) -> None:
        self.files, self.root = files, root
        self._revision = 0

    def folder(self, slot: Slot) -> Path:
        """Where a slot is."""
        return self.root / slot

    def artifact(self, slot: Slot) -> Path:
        """The folder in a slot that `load` opens."""
        return self.root / slot / ARTIFACT

    def boot(self, clean: bool = False, rules: Rules = RULES) -> Boot:
        """Read the state, prove the slots, remove what an interrupted write left, and say what runs.

        A damaged state is replaced by its copy; where both are, the slots say it (`recovered`). No slot is ever removed here.

        Args:
            clean: the last stop was asked for.
            rules: of the machine.

        Raises:
            StoreError: the disk cannot be written.
        """
        try:
            make_folders(self.files, self.root)
            found = self._looked()
            sound = _sound(found)
            held, paired, notes = self._read()
            update = recovered(sound) if held is None else held.update
            self._revision = 0 if held is None else held.revision
            then, actions = step(update, Rebooted(sound, clean), rules)
            if held is None or not paired or durable(then) != held.update:
                self.save(then)
            self._clean()
        except OSError as error:
            raise _cannot("start", self.root, error) from error
        notes += [f"slot {slot}: {why}" for slot, why in found.items() if isinstance(why, str)]
        return Boot(then, actions, then.active.slot if then.active else None, tuple(notes))

    def sound(self) -> Mapping[Slot, Wanted]:
        """Slots whose every file is what their index says, and the release in each."""
        return _sound(self._looked())

    def holds(self, slot: Slot, wanted: Wanted) -> bool:
        """The slot is whole, and the release in it is this one."""
        found = self._look(slot)
        return isinstance(found, SlotIndex) and found.wanted.release == wanted.release

    def save(self, update: Update) -> None:
        """Put the state on the disk: after this returns, a restart finds it. Raises OSError."""
        self._revision += 1
        data = Record(durable(update), self._revision).to_bytes()
        replace_file(self.files, self.root / STATE, data)
        replace_file(self.files, self.root / COPY, data)

    def stage(self, slot: Slot, index: SlotIndex, read: Callable[[str], Iterator[bytes]]) -> None:
        """Write a release into a slot that the saved state does not count on, and read it back.

        Args:
            slot: where to.
            index: what it must hold.
            read: path in `index.files` -> its bytes, in pieces.

        Raises:
            OSError: no space, a faulty disk.
            IntegrityError: other bytes than the index promises.
        """
        place, fresh = self.folder(slot), self.root / f"{slot}.new"
        remove_tree(self.files, fresh)
        remove_tree(self.files, place)
        try:
            self._fill(fresh, index, read)
            if prove(self.files, fresh).to_bytes() != index.to_bytes():
                raise IntegrityError("A slot does not read back as it was written", got=slot)
            self.files.rename(fresh, place)
        except (OSError, PortsideError):
            with suppress(OSError):  # its space is needed elsewhere
                remove_tree(self.files, fresh)
            raise
        self.files.sync_folder(self.root)

    def _fill(self, fresh: Path, index: SlotIndex, read: Callable[[str], Iterator[bytes]]) -> None:
        self.files.mkdir(fresh)
        folders = _folders(index)
        for folder in folders:
            self.files.mkdir(fresh / folder)
        for name, entry in index.files.items():
            self._put(fresh / name, _bounded(name, read(name), entry.size))
        self._put(fresh / INDEX, iter([index.to_bytes()]))
        for folder in (*reversed(folders), ""):
            self.files.sync_folder(fresh / folder)

    def _put(self, path: Path, pieces: Iterator[bytes]) -> None:
        self.files.write(path, pieces)
        self.files.sync(path)

    def _read(self) -> tuple[Record | None, bool, list[str]]:
        """The later of the two copies that can be read; whether both are there and equal; what is wrong with one that cannot be read."""
        found: list[Record] = []
        notes: list[str] = []
        for name in (STATE, COPY):
            if not self.files.exists(self.root / name):
                continue
            try:
                found.append(Record.from_bytes(read_whole(self.files, self.root / name, STATE_BYTES)))
            except (OSError, PortsideError) as error:
                notes.append(f"{name}: {error}")
        paired = len(found) == 2 and found[0] == found[1]
        return max(found, key=lambda held: held.revision, default=None), paired, notes

    def _looked(self) -> dict[Slot, SlotIndex | str | None]:
        return {slot: self._look(slot) for slot in SLOTS}

    def _look(self, slot: Slot) -> SlotIndex | str | None:
        """What a slot proves; why it proves nothing; None where there is no slot."""
        if not self.files.exists(self.folder(slot)):
            return None
        try:
            return prove(self.files, self.folder(slot))
        except (OSError, FormatError, IntegrityError) as error:
            return str(error)

    def _clean(self) -> None:
        """Remove what was being written. A leftover that cannot be removed is no reason not to run."""
        for name in self.files.names(self.root):
            if name.endswith(".new"):
                with suppress(OSError):
                    remove_tree(self.files, self.root / name)


def recovered(sound: Mapping[Slot, Wanted]) -> Update:
    """The state of a device that lost it: of two whole slots, the one with the earlier wish answers.

    A release gets into the spare slot only by a later wish than that of the active one, so the earlier of the two has been active
    on this device; the later one may never have passed its trial, and gets a new one when it is wanted again.
    """
    held = [Held(slot, wanted) for slot, wanted in sound.items()]
    first = min(held, key=lambda one: one.wanted.sequence, default=None)
    return Update(active=first, seen=first.wanted if first else None)


def _sound(found: Mapping[Slot, SlotIndex | str | None]) -> Mapping[Slot, Wanted]:
    return {slot: index.wanted for slot, index in found.items() if isinstance(index, SlotIndex)}


def _folders(index: SlotIndex) -> list[str]:
    """Folders that its files need, those above before those in them."""
    found = {str(parent) for name in index.files for parent in PurePosixPath(name).parents if str(parent) != "."}
    return sorted(found, key=lambda folder: (folder.count("/"), folder))


def _bounded(name: str, pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The pieces, but never more than was promised: a source cannot fill the disk."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise IntegrityError(f"{name} is longer than its index says", expected=most)
        yield piece


def _cannot(what: str, where: Path, error: OSError) -> StoreError:
    return StoreError(f"The slots of this device cannot {what}: {error.strerror or error}", got=str(where),
                      fix="The folder must be writable by the agent, on a disk with space left.")  # fmt: skip
