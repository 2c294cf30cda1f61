"""A champion that wedges, crawls, throws, answers nonsense or dies, in a process of its own: no request fails, receipts say why.

1,000 calls per fault, 20,000 with PORTSIDE_EFFORT=full.
"""

import contextlib
import os
import signal
import threading
import time
from collections import Counter

import packages
import pytest
import started as servers

FAULTS = {
    "wedge": {"deadline", "breaker-open", "down", "crashed"},
    "slow": {"deadline", "breaker-open", "down", "crashed"},
    "throw": {"failed", "breaker-open"},
    "nan": {"non-finite", "breaker-open"},
    "exit": {"crashed", "down", "breaker-open"},
}


def storm(folder, fault, calls):
    """Every fault in turn, over one server; what came back."""
    file = packages.deployment(folder, deadline=150)  # a machine that stands still for a moment makes late whoever is under way
    with servers.serving(servers.SERVE, file.parent) as server:
        assert {body["receipt"]["model"] for _, body, _ in server.ask_many(16)} <= {"main", "backup"}
        for name, reasons in FAULTS.items():
            fault("ok")
            server.wait_for("primary", 60)
            fault(name)
            judge(name, reasons, server.ask_many(calls))
        fault("ok")
        server.wait_for("primary", 60)
        text = server.call("/metrics")[1].decode()
    assert 'portside_requests_total{model="backup"' in text


def judge(name, reasons, answers):
    """Nobody was refused, nobody got nonsense, and whoever was not answered by the champion knows why."""
    assert Counter(status for status, _, _ in answers) == {200: len(answers)}, name
    receipts = [body["receipt"] for _, body, _ in answers]
    assert {receipt["model"] for receipt in receipts} <= {"backup", "main", "default"}
    seen = Counter(receipt["reason"] for receipt in receipts)
    late = 0 if "deadline" in reasons else seen.pop("deadline", 0)  # any call may be late on a busy machine, one in a thousand
    seen.pop("busy", 0)  # the queue of a model that was slow a moment ago is taken for long, and calls are passed on at once
    assert set(seen) <= reasons | {"primary"} and seen["primary"] <= 8 and late <= max(1, len(receipts) // 1000), (name, seen, late)
    assert all(body["outputs"]["label"] in ("good", "bad") and 0 <= body["outputs"]["score"] <= 1 for _, body, _ in answers)
    assert all(receipt["attempts"][0] == f"0:{receipt['reason']}" for receipt in receipts if receipt["reason"] != "primary")


@pytest.mark.chaos
@pytest.mark.load
@pytest.mark.timeout(1800)
def test_no_request_fails(tmp_path, fault, effort):
    storm(tmp_path / "d", fault, 1000 * effort)


@pytest.mark.chaos
@pytest.mark.load
def test_a_killed_worker_loses_no_request(tmp_path, fault):
    file = packages.deployment(tmp_path / "d")
    with servers.serving(servers.SERVE, file.parent) as server:
        stop = threading.Event()

        def kill():
            while not stop.wait(0.4):
                for pid in server.workers():
                    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                        os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        ends, answers = time.monotonic() + 6, []
        while time.monotonic() < ends:
            answers += server.ask_many(50)
        stop.set()
        killer.join()
        assert Counter(status for status, _, _ in answers) == {200: len(answers)}
        assert {body["receipt"]["reason"] for _, body, _ in answers} & {"crashed", "down"}
        assert server.wait_for("primary", 60) >= 1
