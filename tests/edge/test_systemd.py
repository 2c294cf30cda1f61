"""What systemd hears, over real datagrams: ready, fed while alive, stopping; and a real process that is ended by its manager's signal."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from door_callers import Doubling, get, post, quick, said_to, until

from portside.edge.serving import serve, served
from portside.edge.systemd import Feeder, Systemd
from portside.edge.watchdog import Patience, Pulse, Verdict


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A manager's socket, and the environment that names it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        name = str(tmp_path / "notify") if request.param == "path" else f"@portside-{os.getpid()}"
        made.bind("\0" + name[1:] if name.startswith("@") else name)
        made.settimeout(60)
        # Ten datagrams wait for whoever hears them, and what comes then is lost: two seconds of them.
        yield made, {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "600000"}


def heard(made):
    return dict(line.split("=", 1) for line in made.recv(4096).decode().split("\n"))


def test_nobody_listens(tmp_path):
    alone = Systemd({})
    assert not alone.listens and not alone.ready() and alone.watchdog_s is None
    gone = Systemd({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert not gone.ready(), "a manager that went away is no reason to fail"
    Feeder(alone, lambda: Verdict(True)).close()


def test_what_is_told(manager):
    made, environment = manager
    systemd = Systemd(environment)
    assert systemd.ready("two\nlines") and heard(made) == {"READY": "1", "STATUS": "two lines"}
    assert systemd.stopping() and heard(made) == {"STOPPING": "1", "STATUS": "stopping"}


@pytest.mark.parametrize(("said", "seconds"), [({}, None), ({"WATCHDOG_USEC": "0"}, None), ({"WATCHDOG_USEC": "x"}, None),
                                               ({"WATCHDOG_USEC": "2500000"}, 2.5), ({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}, None),
                                               ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}, 1.0)])  # fmt: skip
def test_the_time_of_the_watchdog(said, seconds):
    assert Systemd(said).watchdog_s == seconds


def test_it_is_fed_while_the_verdict_is_alive_and_only_then(manager):
    made, environment = manager
    verdicts = [Verdict(True)]

    def verdict():
        if isinstance(verdicts[-1], Exception):
            raise verdicts[-1]
        return verdicts[-1]

    feeder = Feeder(Systemd(environment), verdict)
    feeder.turn()
    assert heard(made) == {"WATCHDOG": "1"}
    verdicts.append(Verdict(True, "slow"))
    feeder.turn()
    assert heard(made) == {"WATCHDOG": "1", "STATUS": "slow"}
    for wrong, why in ((Verdict(False, "stuck"), "stuck"), (ValueError("x"), "the self-check failed: ValueError")):
        verdicts.append(wrong)
        assert not feeder.turn().alive
        assert heard(made) == {"STATUS": why}
    made.setblocking(False)
    feeder.turn()
    with pytest.raises(BlockingIOError):
        made.recv(100)


def test_what_a_busy_manager_did_not_hear_is_said_again(manager):
    made, environment = manager
    feeder, sent = Feeder(Systemd(environment), lambda: Verdict(True, "slow")), 0
    while Systemd(environment).tell(STATUS="before"):
        sent += 1  # until no more wait for whoever hears them
    feeder.turn()
    assert [heard(made) for _ in range(sent)] == [{"STATUS": "before"}] * sent
    feeder.turn()
    assert heard(made) == {"WATCHDOG": "1", "STATUS": "slow"}


def test_an_agent_that_is_wedged_is_not_fed_until_it_answers_again(manager):
    made, environment = manager
    doubling, pulse = Doubling(), Pulse()
    with served(doubling, quick(), pulse=pulse, patience=Patience(wedged_s=0.2), systemd=Systemd(environment)) as doors:
        assert heard(made)["READY"] == "1"
        assert heard(made) == {"WATCHDOG": "1"}
        doubling.gate = threading.Event()
        caller = threading.Thread(target=said_to, args=(doors, post()))
        caller.start()
        until(lambda: (heard(made).get("STATUS") or "").endswith("none has ended since"))
        assert said_to(doors, get()).status == 503, "and whoever asks hears why"
        doubling.gate.set()
        caller.join()
        until(lambda: heard(made) == {"WATCHDOG": "1", "STATUS": "answers"})
        assert said_to(doors, get()).status == 200
    until(lambda: heard(made).get("STOPPING") == "1")


def test_without_doors_the_manager_is_told_all_the_same(manager):
    made, environment = manager
    with served(Doubling(), None, systemd=Systemd(environment)) as doors:
        assert doors is None and heard(made)["READY"] == "1"
    until(lambda: heard(made).get("STOPPING") == "1")


def test_served_until_it_is_stopped():
    stop = threading.Event()
    thread = threading.Thread(target=serve, args=(Doubling(), quick(), stop))
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_process_ends_in_order_on_the_managers_signal(manager):
    made, environment = manager
    code = "from door_callers import Doubling, quick\nfrom portside.edge.serving import serve\nserve(Doubling(), quick())\nprint('ended')"
    child = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent, env={**os.environ, **environment}, text=True,
                             stdout=subprocess.PIPE)  # fmt: skip
    try:
        assert heard(made)["READY"] == "1"
        child.send_signal(signal.SIGTERM)
        until(lambda: heard(made).get("STOPPING") == "1")
        assert child.communicate(timeout=60)[0] == "ended\n" and child.returncode == 0
    finally:
        child.kill()
        child.wait()
