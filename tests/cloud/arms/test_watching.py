"""Workers follow the file of the controller: every change once, a broken file changes nothing, a rollback does not wait."""

import threading
import time

from portside.cloud.arms.watching import Watch
from portside.cloud.deployment.generation import folder_of
from portside.cloud.deployment.traffic import FILE, NOBODY, Traffic, write_traffic


def test_every_change_is_taken_once_and_a_broken_file_changes_nothing(tmp_path):
    taken = []
    watch = Watch(tmp_path, taken.append)
    watch.look()
    watch.look()
    assert taken == []  # no rollout has ever been here
    first = Traffic(1, "r1", "canary", ("sha256:ab",), 0.1, salt="r1")
    write_traffic(tmp_path, first)
    watch.look()
    watch.look()
    (tmp_path / FILE).write_text("{")
    watch.look()
    watch.look()
    assert taken == [first]
    write_traffic(tmp_path, first)
    watch.look()
    assert taken == [first, first]
    (tmp_path / FILE).unlink()
    watch.look()
    assert taken[-1] == NOBODY


def test_an_engine_begins_with_what_stands_there_and_follows(tried, made):
    one = tried()
    folder = folder_of("tester", one.file.resolve())
    write_traffic(folder, Traffic(4, "r1", "promoted", (one.digest,)))
    ends = time.monotonic() + 10
    while one.engine.traffic.serial != 4 and time.monotonic() < ends:
        time.sleep(0.02)
    assert one.ask().receipt.entry == -1
    again = type(one)(one.file)  # a worker that begins now
    try:
        assert again.engine.traffic.phase == "promoted" and again.ask().receipt.entry == -1
    finally:
        again.engine.close()


def test_what_was_called_off_while_it_was_loaded_is_given_to_nobody(tried, monkeypatch):
    one = tried()
    folder, seen = folder_of("tester", one.file.resolve()), []

    def slowly(entry, seconds):
        write_traffic(folder, Traffic(6, "r1", "rolled back", (one.digest,)))
        seen.append(entry)
        return ""

    monkeypatch.setattr("portside.cloud.arms.standing.warmed", slowly)
    write_traffic(folder, Traffic(5, "r1", "switched", (one.digest,)))
    phases, ends = set(), time.monotonic() + 10
    while one.engine.traffic.serial != 6 and time.monotonic() < ends:
        phases.add(one.engine.traffic.phase)
        time.sleep(0.002)
    assert one.engine.traffic.serial == 6 and phases == {NOBODY.phase} and len(seen) == 1
    while seen[0].lane._closed is False and time.monotonic() < ends:
        time.sleep(0.01)
    assert seen[0].lane._closed


def test_a_challenger_that_hangs_while_it_is_loaded_does_not_keep_a_server_from_answering(tried, monkeypatch):
    one, gate = tried(), threading.Event()
    monkeypatch.setattr("portside.cloud.arms.standing.warmed", lambda entry, seconds: "" if gate.wait(20) else "it hung")
    monkeypatch.setattr("portside.cloud.arms.watching.BEGIN_S", 0.05)
    write_traffic(folder_of("tester", one.file.resolve()), Traffic(3, "r1", "promoted", (one.digest,)))
    again = type(one)(one.file)  # a worker that begins now
    try:
        assert again.ask().receipt.entry == 0
        gate.set()
        ends = time.monotonic() + 10
        while again.engine.traffic.serial != 3 and time.monotonic() < ends:
            time.sleep(0.02)
        assert again.ask().receipt.entry == -1
    finally:
        gate.set()
        again.engine.close()


def test_an_engine_that_is_closed_while_it_loads_leaves_nothing_open(tried, monkeypatch):
    one, gate, entries = tried(), threading.Event(), []

    def slowly(entry, seconds):
        entries.append(entry)
        gate.wait(20)
        return ""

    monkeypatch.setattr("portside.cloud.arms.standing.warmed", slowly)
    monkeypatch.setattr(one.engine._watch, "close", lambda close=one.engine._watch.close: close(0.05))
    write_traffic(folder_of("tester", one.file.resolve()), Traffic(8, "r1", "canary", (one.digest,), 0.5))
    ends = time.monotonic() + 10
    while not entries and time.monotonic() < ends:
        time.sleep(0.01)
    one.engine.close()
    gate.set()
    while not entries[0].lane._closed and time.monotonic() < ends:
        time.sleep(0.01)
    assert entries[0].lane._closed and one.engine.stand.arm is None


def test_a_take_that_fails_is_no_end_of_following(tmp_path):
    taken = []

    def take(traffic):
        taken.append(traffic.serial)
        if traffic.serial == 1:
            raise RuntimeError("whatever a package does to its loading")

    watch = Watch(tmp_path, take)
    watch._thread.start()
    for serial in (1, 2):
        write_traffic(tmp_path, Traffic(serial))
        ends = time.monotonic() + 10
        while serial not in taken and time.monotonic() < ends:
            time.sleep(0.02)
    watch.close()
    assert taken == [1, 2]
