"""Versions exchanged in one process: what is pinned, what goes on when the new one is bad, and when the old one ends."""

import asyncio
import os
import threading
import time

import packages
import pytest

from portside.cloud.answering.answers import Question
from portside.cloud.deployment.file import read
from portside.cloud.deployment.generation import (
    WorkerState,
    folder_of,
    forget_state,
    pinned,
    pins_of,
    read_generation,
    read_states,
    stamp,
    write_generation,
    write_state,
)
from portside.cloud.deployment.proposal import propose, proposed, refusal
from portside.cloud.deployment.resolving import resolve
from portside.cloud.following import STARTED, Follower, newest
from portside.cloud.host import Host
from portside.cloud.reloading import alive, reload, resolved_of
from portside.sdk.cli.main import main
from portside.sdk.core.errors import FormatError, InputError, PortsideError

TEXT = """name = "swapper"
[champion]
package = "{package}"
trust = true
isolation = "inline"
[records]
enabled = {records}
"""


@pytest.fixture
def file(tmp_path):
    packages.host_package(tmp_path / "one", packages.MAIN, "one")
    packages.host_package(tmp_path / "two", packages.BACKUP, "two")
    path = tmp_path / "deployment.toml"
    path.write_text(TEXT.format(package="one", records="true"))
    return path


@pytest.fixture
def host(file):
    made = Host(resolve(read(file)))
    made.start()
    assert made.wait(60)
    yield made
    made.close()


def test_a_host_says_when_a_version_has_settled(file):
    made, said = Host(resolve(read(file))), []
    made.settled = lambda: said.append(made.engine)
    made.start()
    try:
        assert made.wait(60) and said == [None], "before anybody is told that it is ready"
        first = made.engine
        made.swap(say(file, "two"))
        assert said[1:] == [made.engine] and made.engine is not first
    finally:
        made.close()


def test_a_worker_is_found_from_its_start_so_no_reload_comes_too_early_for_it(file):
    made = Host(resolve(read(file)))
    follower = Follower(made)
    folder = folder_of("swapper", file)
    try:
        follower.start()  # before its models are even begun
        assert [state.state for state in read_states(folder, alive)] == ["loading"]
    finally:
        follower.close()
    assert read_states(folder, alive) == []


def test_a_word_that_is_being_written_when_it_ends_does_not_stay(file, monkeypatch):
    made, began, go = Host(resolve(read(file))), threading.Event(), threading.Event()
    follower, folder = Follower(made), folder_of("swapper", file)

    def slowly(*said):
        began.set()
        assert go.wait(20)
        write_state(*said)

    monkeypatch.setattr("portside.cloud.following.write_state", slowly)
    saying = threading.Thread(target=follower._say, args=("serving",))
    saying.start()
    assert began.wait(20)
    closing = threading.Thread(target=follower.close)
    closing.start()
    closing.join(0.2)
    go.set()
    for thread in (saying, closing):
        thread.join(20)
    assert read_states(folder, alive) == []


def say(file, package, records="true"):
    file.write_text(TEXT.format(package=package, records=records))
    return resolve(read(file))


def model(host):
    return asyncio.run(host.engine.answer(Question({"x": [[1.0, 2.0, 3.0]]}, time.monotonic()))).receipt.model


def test_a_version_takes_the_place_of_another_with_its_counters_and_records(host, file):
    assert model(host) == "one"
    old, version, records = host.engine, host.version, host.engine.records
    host.swap(say(file, "two"))
    assert model(host) == "two" and host.engine is not old and host.version != version
    assert host.engine.records is records and host.openapi["info"]["version"] == host.resolved.champion.digest[:19]
    text = host.engine.metrics.text()
    assert 'model="one",reason="primary"} 1' in text and 'model="two",reason="primary"} 1' in text
    assert 'portside_reloads_total{outcome="swapped"} 1' in text
    host.swap(say(file, "one", records="false"))
    assert host.engine.records is None and not any(thread.is_alive() for thread in records._threads)


def test_the_old_version_ends_when_its_last_request_has(host, file):
    old, ended = host.engine, threading.Event()
    old.inflight += 1
    old.close = lambda records: ended.set()
    swap = threading.Thread(target=host.swap, args=(say(file, "two"),))
    swap.start()
    ends = time.monotonic() + 20
    while host.engine is old and time.monotonic() < ends:
        time.sleep(0.01)
    assert model(host) == "two" and not ended.wait(0.7)
    old.inflight -= 1
    assert ended.wait(10)
    swap.join(10)


def test_a_version_that_cannot_serve_leaves_the_old_one(host, file, monkeypatch):
    old = host.engine
    say(file, "two")
    file.write_text(file.read_text() + "[server]\nmax_body_mb = 2.0\n")
    with pytest.raises(FormatError, match="max_body_mb is set up when the server starts"):
        host.swap(resolve(read(file)))
    renamed = file.with_name("other.toml")
    renamed.write_text(TEXT.format(package="two", records="true").replace("swapper", "another"))
    with pytest.raises(FormatError, match="another deployment"):
        host.swap(resolve(read(renamed)))
    monkeypatch.setattr("portside.cloud.versions.open_entries", lambda *_: (_ for _ in ()).throw(FormatError("cannot be opened")))
    with pytest.raises(PortsideError, match="cannot be opened"):
        host.swap(say(file, "two"))
    assert host.engine is old and model(host) == "one" and all(thread.is_alive() for thread in old.records._threads)


def test_a_follower_takes_up_what_a_reload_writes_and_says_so(host, file):
    with pytest.raises(InputError, match="No running server"):
        reload(file)
    follower = Follower(host)
    follower.start()
    folder = folder_of("swapper", file)
    try:
        ends = time.monotonic() + 10
        while not read_states(folder, alive) and time.monotonic() < ends:
            time.sleep(0.02)
        say(file, "two")
        done = reload(file, wait_s=30)
        assert done.served and done.workers == (WorkerState(os.getpid(), done.generation, "serving", "", done.generation),)
        assert model(host) == "two" and stamp(folder) != 0
        propose(folder, {"name": "swapper", "champion": {"package": "absent"}}, "sha256:x")
        ends = time.monotonic() + 20
        while read_states(folder, alive)[0].state != "failed" and time.monotonic() < ends:
            time.sleep(0.05)
        state = read_states(folder, alive)[0]
        assert state.generation == done.generation and "absent" in state.why and model(host) == "two"
        say(file, "one")
        assert main(["reload", str(file), "--wait", "30"]) == 0 and model(host) == "one"
    finally:
        follower.close()
    assert read_states(folder, alive) == []
    assert main(["reload", str(file)]) == 2


def test_a_reload_that_one_worker_refuses_leaves_exactly_what_was(host, file, monkeypatch):
    """Two workers: one can load the new version, the other cannot. Nobody serves it, nobody begins with it."""
    monkeypatch.setenv(STARTED, repr(time.time() - 1))
    folder, other = folder_of("swapper", file), Host(resolve(read(file)))
    other.start()
    assert other.wait(60)
    good, bad = Follower(host), Follower(other)
    good._say, bad._say = said_as(folder, good, os.getpid()), said_as(folder, bad, os.getppid())
    monkeypatch.setattr(other, "prepare", refusing := Refusing(other.prepare))
    seen = list[str]()
    monkeypatch.setattr(host, "_exchange", lambda *_: seen.append("exchanged"))
    try:
        good.start()
        bad.start()
        wait_for(lambda: len(read_states(folder, alive)) == 2)
        say(file, "two")
        done = reload(file, wait_s=30)
        wait_for(lambda: len([state for state in read_states(folder, alive) if state.state == "failed"]) == 2)
        assert done.failed and not done.served and refusing.asked == 1
        assert all(state.generation == 0 and "no memory" in state.why for state in read_states(folder, alive))
        assert seen == [] and model(host) == "one" and good._held is None
        assert read_generation(folder) is None and newest(read(file)) == (0, None), "a worker that is replaced begins with what was"
        assert proposed(folder) is None and "no memory" in (refusal(folder, done.generation) or "")
        assert not good._underway(), "nor does it try what was refused"
    finally:
        good.close()
        bad.close()
        other.close()


def test_a_generation_waits_until_every_worker_holds_it(host, file):
    folder, follower = folder_of("swapper", file), Follower(host)
    slow = WorkerState(os.getppid(), 0, "loading")
    follower.start()
    try:
        wait_for(lambda: read_states(folder, alive))
        write_state(folder, slow)
        say(file, "two")
        made = reload(file)
        wait_for(lambda: any(state.state == "ready" for state in read_states(folder, alive)))
        time.sleep(0.4)
        assert model(host) == "one" and read_generation(folder) is None
        write_state(folder, WorkerState(os.getppid(), 0, "ready", seen=made.generation))
        wait_for(lambda: any(state.generation == made.generation for state in read_states(folder, alive)))
        assert model(host) == "two" and read_generation(folder).number == made.generation
    finally:
        follower.close()


def test_a_proposal_that_is_replaced_is_let_go(host, file):
    folder, follower = folder_of("swapper", file), Follower(host)
    follower.start()
    try:
        wait_for(lambda: read_states(folder, alive))
        write_state(folder, WorkerState(os.getppid(), 0, "loading"))
        say(file, "two")
        first = reload(file)
        wait_for(lambda: follower._held is not None)
        engine = follower._held.engine
        ended = []
        engine.close, close = lambda records: ended.append(records), engine.close
        say(file, "one")
        second = reload(file)
        wait_for(lambda: follower._held is not None and follower._held.made.number == second.generation)
        assert second.generation > first.generation and ended == [False], "its records are the running version's"
        close(False)
        forget_state(folder, os.getppid())
        wait_for(lambda: read_generation(folder) is not None and follower._number == second.generation)
    finally:
        follower.close()


class Refusing:
    """A worker without the memory for another version."""

    def __init__(self, prepare):
        self.prepare, self.asked = prepare, 0

    def __call__(self, resolved):
        self.asked += 1
        self.prepare(resolved).close(records=False)
        raise FormatError("no memory")


def said_as(folder, follower, pid):
    """`Follower._say` of a process of another id."""

    def say(state, why="", seen=0):
        write_state(folder, WorkerState(pid, follower._number, state, why, seen))

    return say


def wait_for(what, seconds=20):
    ends = time.monotonic() + seconds
    while not what() and time.monotonic() < ends:
        time.sleep(0.02)
    assert what()


def test_a_server_that_could_not_load_takes_up_what_can_be(file, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("portside.cloud.versions.open_entries", lambda *_: (_ for _ in ()).throw(FormatError("cannot be opened")))
        host = Host(resolve(read(file)))
        host.start()
        assert not host.wait(30) and host.failed
    follower = Follower(host)
    follower.start()
    try:
        ends = time.monotonic() + 10
        while read_states(folder_of("swapper", file), alive)[0].state == "loading" and time.monotonic() < ends:
            time.sleep(0.02)
        assert "cannot be opened" in read_states(folder_of("swapper", file), alive)[0].why
        assert reload(file, wait_s=30).served and model(host) == "one" and not host.failed
    finally:
        follower.close()
        host.close()


def test_a_generation_pins_what_was_resolved_whatever_the_file_says_later(file, monkeypatch):
    resolved = say(file, "one")
    folder, entry = folder_of("swapper", file), resolved.champion
    pins = pins_of(resolved.entries, file.parent)
    intent = pinned({"champion": {"package": "one"}, "step": [{"package": "one"}, {"package": "x"}]}, pins)
    assert intent["champion"] == {"package": "one", "digest": entry.digest, "artifact": str(entry.artifact.path.resolve())}
    assert intent["step"] == [intent["champion"], {"package": "x"}]
    data = {"name": "swapper", "champion": {"package": "one", "trust": True}}
    made = propose(folder, pinned(data, pins_of(resolved.entries, file.parent)), resolved.digest)
    assert read_generation(folder) is None
    write_generation(folder, made)
    say(file, "two")
    assert read_generation(folder) == made and resolved_of(made, file).champion.digest == entry.digest
    assert resolved_of(made, file).digest == resolved.digest
    monkeypatch.setenv(STARTED, repr(time.time() + 5))
    assert newest(read(file)) == (0, None), "a server that started later begins with the file"
    monkeypatch.setenv(STARTED, repr(time.time() - 500))
    number, found = newest(read(file))
    assert number == made.number and found.champion.digest == entry.digest
    (folder / "generation.json").write_text("{")
    assert newest(read(file)) == (0, None)
    assert propose(folder, data, "").number > made.number, "what cannot be read is replaced by something newer"


def test_states_of_processes_that_are_gone_are_cleared(tmp_path):
    write_state(tmp_path, WorkerState(os.getpid(), 3, "serving"))
    write_state(tmp_path, WorkerState(2**22 - 7, 2, "serving"))
    assert [state.pid for state in read_states(tmp_path, alive)] == [os.getpid()]
    assert [path.name for path in (tmp_path / "workers").iterdir()] == [f"{os.getpid()}.json"]
