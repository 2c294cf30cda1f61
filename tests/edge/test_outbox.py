"""The outbox against a model: nothing vanishes uncounted, numbers never come again, and its files never exceed the quota."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from outbox_model import Sizes, drained, full_disk, without_syncs

from portside.edge import outbox_store
from portside.edge.outbox import Entry, Outbox
from portside.edge.outbox_policy import KINDS, LEAST_QUOTA_BYTES
from portside.sdk.core.errors import FormatError, InputError, StoreError

MIB = 1 << 20
SIZES = [2, 60, 300, 1200, 5000, 20_000, 90_000]
ENTRIES = st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(SIZES)), min_size=1, max_size=12)


def entry(kind, size):
    """An entry with a body of about `size` bytes."""
    return Entry(kind, b'{"x":"%s"}' % (b"a" * size))


class Model(RuleBasedStateMachine):
    """What waits by urgency, in order; what was settled and appended by kind."""

    def __init__(self):
        super().__init__()
        self.folder, self.patch = Path(tempfile.mkdtemp()), pytest.MonkeyPatch()
        without_syncs(self.patch)
        self.sizes = Sizes(self.folder, self.patch)
        self.quota = MIB
        self.outbox = self.opened()
        self.waiting = {urgency: [] for urgency in range(3)}
        self.appended, self.settled, self.last = Counter(), Counter(), 0

    def opened(self):
        return Outbox(self.folder / "outbox.sqlite", self.quota)

    @initialize(entries=ENTRIES)
    def begin(self, entries):
        self.append(entries)

    @rule(entries=ENTRIES, again=st.integers(1, 6))
    def append(self, entries, again=1):
        for _ in range(again):
            numbers = self.outbox.append([entry(*one) for one in entries])
            self.take(entries, numbers)

    def take(self, entries, numbers):
        assert len(numbers) == len(entries)
        for (kind, _), number in zip(entries, numbers, strict=True):
            self.appended[kind] += 1
            if number is not None:
                assert number > self.last
                self.last = number
                self.waiting[KINDS[kind]].append((number, kind))
        self.compare()

    def compare(self):
        """What waits is what waited, but for the oldest of each urgency."""
        held = {urgency: set() for urgency in range(3)}
        with self.outbox._store.read() as connection:
            for urgency in held:
                held[urgency] = {row[0] for row in connection.execute(f"SELECT sequence FROM held_{urgency}").fetchall()}  # noqa: S608
        for urgency, known in self.waiting.items():
            kept = [one for one in known if one[0] in held[urgency]]
            assert kept == known[len(known) - len(kept) :] and len(held[urgency]) == len(kept)
            self.waiting[urgency] = kept

    @rule(most=st.integers(1, 40), size=st.sampled_from([100, 10_000, 300_000]))
    def settle(self, most, size):
        entries = self.outbox.batch(size, most)
        wanted = [number for urgency in range(3) for number, _ in self.waiting[urgency]]
        assert [one.sequence for one in entries] == wanted[: len(entries)] and (entries or not wanted)
        assert sum(len(one.body) for one in entries[1:]) <= size
        self.outbox.settle([one.sequence for one in entries])
        gone = {one.sequence for one in entries}
        self.settled.update(one.kind for one in entries)
        self.waiting = {urgency: [one for one in known if one[0] not in gone] for urgency, known in self.waiting.items()}

    @rule(place=st.integers(0, 30))
    def set_aside(self, place):
        entries = self.outbox.batch(MIB, 31)[place : place + 1]
        for one in entries:
            self.outbox.set_aside(one.sequence, "refused")
            self.waiting[KINDS[one.kind]].remove((one.sequence, one.kind))

    @rule(place=st.integers(0, 5), above=st.integers(0, 50))
    def renumber(self, place, above):
        numbers = [one.sequence for one in self.outbox.batch(MIB, 6)[place:]]
        self.outbox.renumber(numbers, self.last + above)
        for urgency, known in self.waiting.items():
            moved = sorted(one for one in known if one[0] in numbers)
            self.waiting[urgency] = [one for one in known if one not in moved]
        order = sorted((number, urgency, kind) for urgency, kind, number in self._moved(numbers))
        for number, urgency, kind in order:
            self.waiting[urgency].append((number, kind))
            self.last = max(self.last, number)

    def _moved(self, numbers):
        with self.outbox._store.read() as connection:
            for urgency in range(3):
                known = {number for number, _ in self.waiting[urgency]}
                for number, kind in connection.execute(f"SELECT sequence, kind FROM held_{urgency}").fetchall():  # noqa: S608
                    if number not in known:
                        yield urgency, kind, number

    @rule()
    def reopen(self):
        self.outbox.close()
        self.outbox = self.opened()

    @rule(quota=st.sampled_from([MIB, MIB + 300_000, 2 * MIB]))
    def another_quota(self, quota):
        self.outbox.close()
        grown = self.quota < quota
        self.quota, self.sizes.most = quota, 0 if not grown else self.sizes.most
        self.patch.undo()  # while it is made smaller it may be as large as it was
        without_syncs(self.patch)
        self.outbox = self.opened()
        self.sizes = Sizes(self.folder, self.patch)
        self.compare()

    @rule(entries=ENTRIES, share=st.floats(0, 1))
    def the_disk_is_full(self, entries, share):
        with full_disk(int(self.sizes.now() * share)):
            try:
                numbers = self.outbox.append([entry(*one) for one in entries])
            except StoreError:
                numbers = []
        self.take(entries[: len(numbers)], numbers)

    @rule()
    def lose(self):
        self.outbox.lose("record", "busy")
        self.appended["record"] += 1

    @invariant()
    def nothing_vanishes(self):
        lost = Counter()
        for (kind, _), count in self.outbox.dropped().items():
            lost[kind] += count
        for kind in KINDS:
            waits = sum(one == kind for known in self.waiting.values() for _, one in known)
            assert self.appended[kind] == waits + self.settled[kind] + lost[kind], kind

    @invariant()
    def within_the_quota(self):
        self.sizes.look()
        assert self.sizes.most <= self.quota

    def teardown(self):
        self.outbox.close()
        self.patch.undo()
        shutil.rmtree(self.folder)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=12, stateful_step_count=25, suppress_health_check=list(HealthCheck))


@pytest.fixture
def outbox(tmp_path):
    """A small one."""
    with Outbox(tmp_path / "outbox.sqlite", MIB) as opened:
        yield opened


def test_the_urgent_goes_first_and_stays_longest(outbox):
    outbox.append([entry("error", 2000), entry("summary", 2000)])
    for _ in range(60):
        outbox.append([entry("record", 2000) for _ in range(10)])
    status = outbox.status()
    assert (
        status.waiting["error"] == 1
        and status.waiting["summary"] == 1
        and status.dropped["record:evicted"] == 600 - status.waiting["record"]
    )
    while outbox.append([entry("error", 2000)] * 10)[-1] and not outbox.status().dropped.get("error:evicted"):
        pass
    assert set(outbox.status().waiting) == {"error"}
    assert outbox.append([entry("record", 10)]) in ([None], [outbox.status().next - 1])
    assert outbox.append([entry("record", 5000)]) == [None] and outbox.status().dropped["record:no-room"] >= 1


def test_what_is_too_long_is_counted_and_nothing_goes_for_it(outbox):
    first = outbox.append([entry("record", 100)])
    assert outbox.append([entry("error", outbox.quota.entry_bytes), entry("error", 5)]) == [None, 2]
    assert first == [1] and outbox.status().dropped == {"error:too-long": 1}
    assert outbox.append([entry("error", outbox.quota.entry_bytes - 20)]) == [3]


def test_an_outbox_has_one_owner(outbox):
    with pytest.raises(StoreError, match="Another process"):
        Outbox(outbox.path)


def test_a_damaged_file_is_given_up_and_its_numbers_are_not_used_again(tmp_path):
    with Outbox(tmp_path / "outbox.sqlite", MIB) as outbox:
        outbox.append([entry("record", 100)] * 7)
        first = outbox.id
    (tmp_path / "outbox.sqlite").write_bytes(b"no database" * 1000)
    with Outbox(tmp_path / "outbox.sqlite", MIB) as outbox:
        assert outbox.append([entry("record", 100)])[0] > 7 and outbox.id != first
        assert outbox.dropped() == {("unknown", "damaged"): 1}


def test_numbers_stay_ahead_without_the_mark(tmp_path):
    with Outbox(tmp_path / "outbox.sqlite", MIB) as outbox:
        assert outbox.append([entry("record", 100)] * 7)[-1] == 7
    (tmp_path / "outbox.sqlite.mark").unlink()
    with Outbox(tmp_path / "outbox.sqlite", MIB) as outbox:
        assert outbox.append([entry("record", 100)]) == [8]


def test_a_smaller_quota_gives_the_oldest_up(tmp_path):
    with Outbox(tmp_path / "outbox.sqlite", 4 * MIB) as outbox:
        for _ in range(40):
            outbox.append([entry("record", 3000)] * 30)
    with Outbox(tmp_path / "outbox.sqlite", MIB) as outbox:
        held, dropped = outbox.status().waiting["record"], outbox.status().dropped["record:evicted"]
        assert held + dropped == 1200 and held > 50 and outbox.size_bytes() <= MIB
        assert drained(outbox)[-1] == 1200


def test_what_cannot_be_taken_is_refused(outbox, tmp_path):
    for kind, body in (("gossip", {}), ("record", {"x": float("nan")}), ("record", {"x": object()}), ("record", {"x": "\ud800"})):
        with pytest.raises(InputError):
            outbox.append([Entry(kind, body)])
    with pytest.raises(InputError, match="too small"):
        Outbox(tmp_path / "other.sqlite", LEAST_QUOTA_BYTES - 1)
    assert outbox.status().next == 1
    with outbox._store.write(10) as connection:
        connection.execute("PRAGMA user_version = 9")
    outbox.close()
    with pytest.raises(FormatError):
        Outbox(outbox.path)


@pytest.mark.parametrize("emptied", [True, False])
def test_the_control_that_never_empties_its_log_exceeds_the_quota(tmp_path, monkeypatch, emptied):
    without_syncs(monkeypatch)
    sizes = Sizes(tmp_path, monkeypatch)
    if not emptied:
        monkeypatch.setattr(outbox_store.Paged, "_make_way", lambda store, frames: None)
    with Outbox(tmp_path / "outbox.sqlite", MIB) as outbox:
        for _ in range(60):
            outbox.append([entry("record", 5000)] * 5)
            sizes.look()
    assert (sizes.most <= MIB) == emptied
