"""Fetching a release: cut anywhere, it goes on; what is here does not come again; nothing partial looks whole."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path[:0] = [str(Path(__file__).parent)]

from signed_mirror import CHUNK, QUICK, Web  # noqa: E402

from portside.edge.fetch import INCOMING, Fetched, Progress, fetch, is_whole  # noqa: E402
from portside.edge.mirror import Mirror  # noqa: E402
from portside.edge.stopped import Stopped  # noqa: E402
from portside.sdk.core.release_index import ReleaseIndex, chunk_path  # noqa: E402
from portside.sdk.signing.chunks import put_files  # noqa: E402

FEW = settings(max_examples=settings().max_examples // 3)
DIGEST = "sha256:" + "0" * 64
FILES = {
    "artifact.json": b"{}",
    "engine/model.bin": bytes(os.urandom(3 * CHUNK + 100)),
    "engine/twin.bin": b"t" * (2 * CHUNK),  # one chunk, twice
    "contract/empty": b"",
}


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: None)


def publish(folder: Path, files: dict[str, bytes]) -> ReleaseIndex:
    """Files as chunks in `folder/repository`, and their index; nobody signs here."""
    for name, data in files.items():
        path = folder / "source" / str(len(files)) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    held = put_files(folder / "source" / str(len(files)), folder / "repository", CHUNK)
    return ReleaseIndex("inspector", "tflite", "tflite", 1, DIGEST, DIGEST, DIGEST, held, CHUNK)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Made(NamedTuple):
    folder: Path
    index: ReleaseIndex
    web: Web
    url: str

    def fetch(self, out: str = "out", **options: Any) -> Fetched | Stopped:
        with Mirror(self.url, QUICK) as mirror:
            return fetch(self.index, mirror, self.folder / out, **options)


@contextmanager
def serving(folder: Path, files: dict[str, bytes] = FILES) -> Iterator[Made]:
    index = publish(folder, files)
    web = Web(folder / "repository")
    with web.serve() as url:
        yield Made(folder, index, web, url)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    with serving(tmp_path) as held:
        yield held


def cutting(made: Made, at: Callable[[], int | None]) -> None:
    """Each chunk's answer ends after so many bytes; None: it does not."""

    def attack(handler: Any, path: str) -> bool:
        made.web.send(handler, (made.web.folder / path).read_bytes(), at())
        return True

    made.web.attack = attack


def test_what_arrives_is_what_was_published_and_equal_chunks_come_once(made: Made) -> None:
    told: list[Progress] = []
    got = made.fetch(watch=told.append)
    assert isinstance(got, Fetched)
    assert contents(got.path) == FILES
    assert len(made.web.asked) == len(set(made.web.asked)) == len(made.index.chunks())
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert told[-1] == got.progress
    assert got.progress.done == got.progress.total == made.web.sent
    assert not list(made.folder.glob("out.partial"))


def test_a_whole_folder_is_not_asked_for_again(made: Made) -> None:
    made.fetch()
    made.web.asked.clear()
    got = made.fetch()
    assert isinstance(got, Fetched)
    assert (got.progress.kept, made.web.asked) == (got.progress.total, [])


def test_a_stick_is_a_mirror(made: Made) -> None:
    with Mirror((made.folder / "repository").as_uri(), QUICK) as mirror:
        got = fetch(made.index, mirror, made.folder / "out")
    assert isinstance(got, Fetched)
    assert contents(got.path) == FILES


@pytest.mark.parametrize("ranges", [True, False])
@FEW
@given(cuts=st.lists(st.integers(0, CHUNK), min_size=1, max_size=12))
def test_cut_anywhere_it_goes_on_and_little_is_sent_twice(tmp_path_factory: pytest.TempPathFactory, ranges: bool, cuts: list[int]) -> None:
    with serving(tmp_path_factory.mktemp("cut")) as made:
        made.web.ranges = ranges
        left = list(cuts)
        cutting(made, lambda: left.pop() if left else None)
        attempts, got = 0, made.fetch()
        while isinstance(got, Stopped):
            attempts += 1
            assert got.reason.value == "offline"
            assert not (made.folder / "out").exists(), "a partial release never looks whole"
            assert attempts <= len(cuts)
            got = made.fetch()
        assert contents(got.path) == FILES
        again = made.web.sent - got.progress.total
        assert again == 0 if ranges else again <= attempts * CHUNK, "with ranges no byte comes twice, without them a chunk for each cut"


@FEW
@given(where=st.integers(0, 3 * CHUNK + 99), bit=st.integers(0, 7))
def test_what_lies_there_is_not_believed(tmp_path_factory: pytest.TempPathFactory, where: int, bit: int) -> None:
    """A byte of an earlier attempt changes: that chunk comes again, and no other."""
    with serving(tmp_path_factory.mktemp("spoilt")) as made:
        last = chunk_path(made.index.files[-1].chunks[-1])
        made.web.attack = lambda handler, path: path == last and (made.web.send(handler, None), True)[1]
        assert isinstance(made.fetch(), Stopped)
        spoilt = made.folder / "out.partial" / "files" / "engine" / "model.bin"
        data = bytearray(spoilt.read_bytes())
        data[where] ^= 1 << bit
        spoilt.write_bytes(data)
        made.web.attack = lambda handler, path: False
        made.web.asked.clear()
        got = made.fetch()
        assert isinstance(got, Fetched)
        assert contents(got.path) == FILES
        assert len(made.web.asked) == 2


@pytest.mark.parametrize("left", [b"", b"x" * 70, b"0" * 64 + b"\n" + b"y" * 100, None])
def test_what_is_incoming_is_not_believed(made: Made, left: bytes | None) -> None:
    """Of another chunk, of none, or of this one with other bytes: it costs a chunk at most."""
    cutting(made, lambda: 1000)
    assert isinstance(made.fetch(), Stopped)
    incoming = made.folder / "out.partial" / INCOMING
    incoming.write_bytes(incoming.read_bytes()[:65] + b"z" * 500 if left is None else left)
    made.web.attack = lambda handler, path: False
    got = made.fetch()
    assert isinstance(got, Fetched)
    assert contents(got.path) == FILES
    assert got.progress.received <= got.progress.total + CHUNK


def test_a_longer_beginning_than_the_chunk_is_forgotten(made: Made) -> None:
    cutting(made, lambda: 1000)
    made.fetch()
    incoming = made.folder / "out.partial" / INCOMING
    incoming.write_bytes(incoming.read_bytes()[:65] + b"z" * (CHUNK * 2))
    made.web.attack = lambda handler, path: False
    assert isinstance(made.fetch(), Fetched)


def test_chunks_of_the_running_slot_do_not_come_over_the_network(made: Made) -> None:
    slot = made.folder / "slot" / "artifact"
    slot.mkdir(parents=True)
    (slot / "old.bin").write_bytes(FILES["engine/model.bin"][: 2 * CHUNK] + b"another end")
    got = made.fetch(held=[slot])
    assert isinstance(got, Fetched)
    assert contents(got.path) == FILES
    assert got.progress.reused == 2 * CHUNK
    assert got.progress.reused + got.progress.received == got.progress.total


def test_what_another_release_left_is_no_hindrance(made: Made) -> None:
    odd = made.folder / "out.partial" / "files"
    (odd / "artifact.json").mkdir(parents=True)
    (odd / "artifact.json" / "inner").write_bytes(b"x")
    (odd / "engine").mkdir()
    (odd / "engine" / "stale.bin").write_bytes(b"x")
    (odd / "engine" / "model.bin").symlink_to("/etc/passwd")
    got = made.fetch()
    assert isinstance(got, Fetched)
    assert contents(got.path) == FILES
    assert Path("/etc/passwd").stat().st_size != len(FILES["engine/model.bin"])


@pytest.mark.parametrize("limit", [{"quota_bytes": 1000}, {"reserve_bytes": 1 << 60}])
def test_no_room_is_said_before_anything_comes(made: Made, limit: dict[str, int]) -> None:
    got = made.fetch(**limit)
    assert isinstance(got, Stopped)
    assert (got.reason.value, made.web.asked) == ("no space", [])


def test_a_disk_that_fills_meanwhile_is_a_verdict(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("portside.edge.fetch._Work._put", full)
    got = made.fetch()
    assert isinstance(got, Stopped)
    assert got.reason.value == "no space"
    assert not (made.folder / "out").exists()


def test_it_stops_when_it_is_told_to_and_goes_on_later(made: Made) -> None:
    told = threading.Event()
    with Mirror(made.url, QUICK, cancelled=told.is_set) as mirror:
        got = fetch(made.index, mirror, made.folder / "out", watch=lambda now: told.set() if now.done > CHUNK else None)
    assert isinstance(got, Stopped)
    assert got.reason.value == "cancelled"
    done = made.fetch()
    assert isinstance(done, Fetched)
    assert 0 < done.progress.kept < done.progress.total


def test_a_folder_is_whole_or_it_is_not(made: Made) -> None:
    got = made.fetch()
    assert isinstance(got, Fetched)
    assert is_whole(made.index, got.path)
    (got.path / "more").write_bytes(b"")
    assert not is_whole(made.index, got.path)
    (got.path / "more").unlink()
    (got.path / "artifact.json").write_bytes(b"[]")
    assert not is_whole(made.index, got.path)
    assert isinstance(made.fetch(), Fetched), "and is then made anew"
    assert is_whole(made.index, got.path)
