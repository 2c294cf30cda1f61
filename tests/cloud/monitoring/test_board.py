"""Boards: what workers say beside the database, taken once, also when the disk is full."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections import Counter
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from watched import MINUTE, NAME, START

from portside.cloud.answering.metrics import Metrics
from portside.cloud.monitoring import board
from portside.cloud.monitoring.absorbing import absorb, added_of
from portside.cloud.monitoring.board import SIZE, Board, Reporter, Said, boards
from portside.cloud.monitoring.reading import counts_between
from portside.cloud.monitoring.turn import Turn


def test_what_is_written_is_read_and_the_file_never_grows(tmp_path):
    held = Board(tmp_path / "boards")
    for count in range(0, 10**9, 10**8):
        held.write(Said({"written": count, "lost": 3}, "disk full" * 1000))
    held.close()
    ((_, said),) = boards(tmp_path / "boards")
    assert said.counts == {"written": 9 * 10**8, "lost": 3} and said.fault.startswith("disk full")
    assert held.path.stat().st_size == SIZE


def test_it_is_written_where_no_file_can_grow(tmp_path):
    """A limit on file sizes stands in for a disk without room: what is in place can be written over."""
    held = Board(tmp_path)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE, SIZE))
        try:
            (tmp_path / "more").write_bytes(b"x" * (SIZE + 1))
            os._exit(1)
        except OSError:
            held.write(Said({"lost": 7}))
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [said.counts for _, said in boards(tmp_path)] == [{"lost": 7}]


def test_half_a_board_is_left_for_the_next_time(tmp_path):
    held = Board(tmp_path)
    held.write(Said({"lost": 7}))
    data = held.path.read_bytes()
    held.path.write_bytes(data.replace(b'"lost": 7', b'"lost": 9'))
    assert list(boards(tmp_path)) == []
    held.path.write_bytes(data)
    assert len(list(boards(tmp_path))) == 1


def test_the_board_of_a_process_that_ended_long_ago_is_removed(tmp_path):
    path = tmp_path / "999999999-1.json"
    held = Board(tmp_path)
    held.path.rename(path)
    assert len(list(boards(tmp_path))) == 1, "its last words are still of use"
    old = time.time() - 2 * board.KEEP_S
    os.utime(path, (old, old))
    assert list(boards(tmp_path)) == [] and not path.exists()


def test_what_was_added_is_taken_once_and_a_new_worker_begins_at_zero(database):
    turn = Turn(database, NAME, "one")
    assert turn.take(START)
    first, second = ("1-1", Said({"written": 100, "lost": 2, "refused_503": 5, "refused_422": 9})), ("2-2", Said({"written": 10}))
    absorb(turn, [first], START)
    assert absorb(turn, [first], START).total == 0
    absorb(turn, [("1-1", Said({"written": 150, "lost": 2, "refused_503": 6})), second], START + MINUTE)
    records, available = (counts_between(database, NAME, name, START, START + 2 * MINUTE) for name in ("records", "availability"))
    assert (records.good, records.bad) == (160, 2) and (available.good, available.bad) == (0, 6), "422 is the caller's own fault"


@given(st.lists(st.dictionaries(st.sampled_from(["written", "lost"]), st.integers(0, 9), min_size=1), max_size=20))
def test_sums_of_what_was_added_are_the_last_word(steps):
    total, held, counts = Counter(), {}, {"written": 0, "lost": 0}
    for step in steps:
        counts = {name: count + step.get(name, 0) for name, count in counts.items()}
        added = added_of({"1-1": Said(dict(counts))}, held)["records"]
        total.update(good=added.good, bad=added.bad)
        held = {"1-1": dict(counts)}
    assert (total["good"], total["bad"]) == (counts["written"], counts["lost"])


def test_a_worker_says_what_its_engine_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(board, "EVERY_S", 0.05)
    records = SimpleNamespace(written=5, lost=1, failing=True, fault="OperationalError: database or disk is full")
    metrics = Metrics()
    for status, record in ((503, False), (503, True), (422, False), (503, False)):
        metrics.refuse(status, record)
    engine = []
    reporter = Reporter(tmp_path, lambda: engine[0] if engine else None)
    reporter.start()
    time.sleep(0.15)
    engine.append(SimpleNamespace(records=records, metrics=metrics))
    reporter.close()
    reporter._thread.join(30)  # a server waits no longer than twice the time between two words
    ((_, said),) = boards(tmp_path)
    assert said.counts == {"written": 5, "lost": 1, "refused_503": 2, "refused_422": 1}, "a refusal with a record is counted by it"
    assert "full" in said.fault and 'refused_total{status="503"} 3' in metrics.text()
