"""A hundred devices in one process: installers over files in memory, batches into a real database, a line that loses both ways."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from sent import batch

from portside.cloud.fleet.batch import parsed
from portside.cloud.fleet.devices import admitted, enrol
from portside.cloud.fleet.ingest import ingest
from portside.edge.installer import Health, Installer
from portside.edge.slot_index import SlotIndex
from portside.edge.slots import Slots
from portside.edge.update_state import DesiredSeen, RolledBack, Wanted
from portside.sdk.core.manifest import FileEntry
from portside.sdk.core.records import new_id

sys.path.append(str(Path(__file__).parents[2] / "edge"))

from faulty_files import FaultyFiles

PLATFORMS = ("tflite", "onnx-cpu")
ROWS = 40


def digest(number):
    return f"sha256:{number:064x}"


def content(release, platform, broken):
    """The artifact of a platform: a contract, and an engine that keeps it or does not. broken: (release, platform) of those that do not."""
    answers = [int(release[-4:], 16) * row % 7 for row in range(ROWS)]
    wrong = [answer + (row % 9 == 0) for row, answer in enumerate(answers)] if (release, platform) in broken else answers
    return {"artifact/contract.json": json.dumps(answers).encode(), f"artifact/engine/{platform}.json": json.dumps(wrong).encode()}


class Shelf:
    """What is signed for a platform: release -> its highest sequence."""

    def __init__(self, platform, signed, broken):
        self.platform, self.signed, self.broken = platform, signed, broken

    def fetch(self, wanted):
        """It is here."""

    verify = fetch

    def index(self, wanted):
        held = content(wanted.release, self.platform, self.broken)
        return SlotIndex(wanted, "made", {name: FileEntry.of(data) for name, data in held.items()})

    def read(self, wanted, name):
        yield content(wanted.release, self.platform, self.broken)[name]


class ContractJudge:
    """Asks the engine in a trial's slot what its contract asks; at the second look, for the first has seen too few rows."""

    def __init__(self, files, platform):
        self.files, self.platform, self.looks = files, platform, 0

    def judge(self, trial, wanted, active):
        self.looks += 1
        if self.looks < 2:
            return Health("not enough data")
        contract, engine = (
            json.loads(b"".join(self.files.read(trial / name))) for name in ("contract.json", f"engine/{self.platform}.json")
        )
        off = sum(one != other for one, other in zip(contract, engine, strict=True))
        return Health("unhealthy", f"contract: {off} of {len(contract)} firm rows differ on {self.platform}") if off else Health("healthy")

    def end(self):
        self.looks = 0


class Simulated:
    """One device: its files survive a restart, and what it has to tell waits until it is acknowledged."""

    def __init__(self, database, name, platform, signed, broken, dice):
        self.database, self.name, self.platform, self.dice = database, name, platform, dice
        self.signed, self.broken, self.files = signed, broken, FaultyFiles()
        self.key = enrol(database, name, {"platform": platform, "site": dice.choice(("north", "south"))}, 0)
        self.waiting, self.told, self.ran = [], [], []
        self.start()

    def start(self):
        """After a restart that was asked for."""
        root = Path("/slots")
        if not self.files.exists(root):
            self.files.mkdir(root)
        judge = ContractJudge(self.files, self.platform)
        source = Shelf(self.platform, self.signed, self.broken)
        self.installer = Installer(Slots(self.files, root), source, judge, switched=self._switched)
        self.installer.boot(clean=True)
        self._runs()

    def _switched(self, held):
        self.ran.append(held.wanted.release)
        self._tell("release", release=held.wanted.release)

    def _runs(self):
        """What answers: as the state says, and as the slot on the disk says."""
        active = self.installer.update.active
        if active is not None:
            assert self.installer.slots.holds(active.slot, active.wanted)
            self.ran.append(active.wanted.release)
        return None if active is None else active.wanted.release

    def _tell(self, name, **said):
        number = len(self.told) + 1
        self.told.append((name, said["release"]))
        self.waiting.append({"sequence": number, "id": new_id(), "kind": "event", "body": {"name": name, **said}})

    def turn(self, now_ms):
        """Send, hear, install; perhaps restart. The line loses a batch, or its acknowledgement, one time in seven each.

        What waits is sent at once; where nothing does, an empty batch now and then says that the device lives.
        """
        lost = self.dice.random()
        if lost > 0.15 and (self.waiting or self.dice.random() < 0.4):
            running = self._runs()
            versions = {"agent": "1", "platform": self.platform, **({"release": running} if running else {})}
            body = batch(*self.waiting, device=self.name, outbox=self.name, versions=versions)
            taken = ingest(self.database, admitted(self.database, self.name, self.key), parsed(body, self.name), now_ms)
            assert not taken.refused and not taken.conflicts
            if lost > 0.3:
                self.waiting = [entry for entry in self.waiting if entry["sequence"] not in taken.held]
                self._hear(taken.desired)
        before = self.installer.update.phase
        self.installer.work()
        then = self.installer.update.phase
        if isinstance(then, RolledBack) and then != before:
            self._tell("rolled-back", release=then.wanted.release, why=then.why)
        if self.dice.random() < 0.1:
            self.start()

    def _hear(self, release):
        if release is not None:
            self.installer.handle(DesiredSeen(Wanted(release, self.signed[release])))


def devices(database, count, signed, broken, seed):
    """They are enrolled, half of each platform."""
    dice = random.Random(seed)
    return [
        Simulated(database, f"cam-{place:03d}", PLATFORMS[place % 2], signed, broken, random.Random(dice.random()))
        for place in range(count)
    ]
