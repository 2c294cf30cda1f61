"""What a device remembers and how it judges: torn files, a lost floor, clocks, rotated lists, and no cryptography to install."""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path[:0] = [str(Path(__file__).parent)]

from securesystemslib.signer import CryptoSigner  # noqa: E402
from signed_mirror import DAY, QUICK, World, world  # noqa: E402

from portside.edge.fetch import Fetched  # noqa: E402
from portside.edge.mirror import Mirror  # noqa: E402
from portside.edge.signed_source import Room, SignedSource  # noqa: E402
from portside.edge.stopped import LATER, Reason, StopError, Stopped  # noqa: E402
from portside.edge.trust import Offer, Trust  # noqa: E402
from portside.edge.trust_floor import Floor, FloorFiles, Seen  # noqa: E402
from portside.edge.update_state import Wanted  # noqa: E402
from portside.sdk.core.errors import FormatError, PortsideError, StoreError, TrustError  # noqa: E402
from portside.sdk.signing.rotate import rotate  # noqa: E402

seen = st.builds(Seen, st.integers(1, 9), st.sampled_from(["old", "new"]))
roles = st.fixed_dictionaries(dict.fromkeys(("root", "timestamp", "snapshot", "targets"), seen))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("os.fsync", lambda handle: None)  # no power is cut here
    with world(tmp_path) as held:
        yield held


def memory(made: World) -> Path:
    return made.device.folder / "trust"


@given(before=roles, now=roles)
def test_no_version_goes_down_while_its_keys_stay(before: dict[str, Seen], now: dict[str, Seen]) -> None:
    below = Floor(before).below(now)
    fresh = any(before[role].keys != now[role].keys for role in ("timestamp", "snapshot"))
    lower = {role for role in now if now[role].number < before[role].number}
    free = {*(("timestamp", "snapshot") if fresh else ()), *(("targets",) if before["targets"].keys != now["targets"].keys else ())}
    assert (below is None) == (not lower - free)


def test_an_empty_floor_takes_everything_and_rises() -> None:
    now = {"root": Seen(1, "k"), "targets": Seen(4, "k")}
    raised = Floor().raised(now, 1000.9)
    assert (Floor().below(now), raised.roles, raised.last_good) == (None, now, 1000)
    assert raised.raised(now, 500).last_good == 1000
    assert Floor.from_bytes(raised.to_bytes()) == raised


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\0" * 50, Floor().to_bytes().replace(b'"last_good": 0', b'"last_good": 1')])
def test_a_torn_floor_is_no_floor(text: bytes) -> None:
    with pytest.raises(FormatError):
        Floor.from_bytes(text)


def test_of_two_copies_one_is_enough_and_the_later_counts(tmp_path: Path) -> None:
    files = FloorFiles(tmp_path)
    assert files.read() == Floor()
    one = files.write(Floor(last_good=5))
    first = (tmp_path / "seen.json").read_bytes()
    two = files.write(replace(one, last_good=9))
    (tmp_path / "seen.json").write_bytes(first)  # power was cut between the copies
    assert files.read() == two
    (tmp_path / "seen.copy.json").write_bytes(b"torn")
    assert files.read() == one
    (tmp_path / "seen.json").write_bytes(b"torn")
    with pytest.raises(StopError) as raised:
        files.read()
    assert raised.value.stopped.reason is Reason.STATE


def test_a_device_that_lost_what_it_saw_installs_nothing_and_says_what_to_do(made: World) -> None:
    for copy in memory(made).glob("seen*.json"):
        copy.write_bytes(b"")
    with made.refused("state"):
        pass
    assert "remove both copies" in str(made.device.look().fix)  # type: ignore[union-attr]


@pytest.mark.parametrize("how", ["empty", "half", "zeros", "gone", "folder", "link"])
def test_torn_copies_of_what_is_signed_are_had_again(made: World, how: str) -> None:
    rotate(made.publisher.repository, made.publisher.root_keys)
    made.publisher.publish(World.SECOND)
    assert isinstance(made.device.update(), Fetched)
    for file in sorted((memory(made) / "metadata").rglob("*.json")):
        data = file.read_bytes() if file.is_file() else b""
        file.unlink(missing_ok=True)
        if how == "folder":
            file.mkdir()
        elif how == "link":
            file.symlink_to("nowhere")
        elif how != "gone":
            file.write_bytes({"empty": b"", "half": data[: len(data) // 2], "zeros": bytes(len(data))}[how])
    assert isinstance(made.device.look(), Offer)


def test_a_mirror_that_is_not_there_is_a_verdict(made: World) -> None:
    made.device.url = "http://127.0.0.1:9"
    with made.refused("offline"):
        pass
    made.device.url = "http://no-such-host.invalid"
    with made.refused("offline"):
        pass


@pytest.mark.parametrize("root", [b"", b"{}", b"\xff"])
def test_a_root_that_is_none_is_a_verdict(made: World, root: bytes) -> None:
    answer = Trust(made.folder / "other", root, made.url, made.clock).refresh()
    assert isinstance(answer, Stopped)
    assert answer.reason is Reason.UNTRUSTED


def test_an_offer_stands_until_it_expires_and_while_the_clock_goes_forward(made: World) -> None:
    offer = made.device.look()
    assert isinstance(offer, Offer)
    assert offer.expires == made.clock.now + 7 * DAY
    assert made.device.trust.standing(offer.expires) is None
    made.clock.now += 8 * DAY
    assert getattr(made.device.trust.standing(offer.expires), "reason", None) is Reason.EXPIRED
    made.clock.now -= 30 * DAY
    assert getattr(made.device.trust.standing(offer.expires), "reason", None) is Reason.CLOCK


def test_a_document_from_the_future_says_that_the_clock_is_late(made: World) -> None:
    made.clock.now += 3600
    made.publisher.publish(World.SECOND)
    made.clock.now -= 3600
    answer = made.device.look()
    assert isinstance(answer, Stopped)
    assert answer.reason is Reason.CLOCK
    made.clock.now += 3600
    assert isinstance(made.device.look(), Offer)


def test_a_release_stays_the_least_while_new_keys_of_the_list_name_it_too(made: World) -> None:
    """A plain rotation of the targets' key opens no way back."""
    made.publisher.publish(World.SECOND)
    assert isinstance(made.device.update(), Fetched)
    old, made.publisher.targets = made.publisher.targets, CryptoSigner.generate_ed25519()
    rotate(made.publisher.repository, [*made.publisher.root_keys, *made.publisher.online],
           add={"targets": [made.publisher.targets.public_key]}, remove={"targets": [old.public_key.keyid]})  # fmt: skip
    answer = made.device.look(sequence=1)
    assert isinstance(answer, Stopped)
    assert answer.reason is Reason.ROLLBACK


def test_a_sequence_that_a_thief_signed_is_forgotten_with_his_key(made: World) -> None:
    thief = made.publisher.targets
    path = made.publisher.publish(World.SECOND).path
    assert isinstance(made.device.update(), Fetched)
    made.publisher.targets = CryptoSigner.generate_ed25519()
    made.publisher.repository.change(lambda targets: targets.targets.pop(path) and None, [thief, *made.publisher.online])  # withdrawn
    rotate(made.publisher.repository, [*made.publisher.root_keys, *made.publisher.online],
           add={"targets": [made.publisher.targets.public_key]}, remove={"targets": [thief.public_key.keyid]})  # fmt: skip
    offer = made.device.look()
    assert isinstance(offer, Offer)
    assert offer.index.sequence == 1


def test_what_a_device_came_with_counts_until_it_accepts_something(made: World) -> None:
    fresh = Trust(made.folder / "fresh", made.publisher.root, made.url, made.clock)
    found = fresh.refresh()
    assert not isinstance(found, Stopped)
    with found:
        answer = found.find("inspector", "tflite", installed=5)
        assert isinstance(answer, Stopped)
        assert answer.reason is Reason.ROLLBACK
        assert isinstance(found.find("inspector", "tflite", installed=1), Offer)
        assert found.sequences("inspector", "tflite") == (1,)
        assert found.sequences("inspector", "tfl") == ()


def test_a_list_of_whatever_shape_is_a_verdict(made: World) -> None:
    def confuse(custom: Any) -> None:
        def change(targets: Any) -> None:
            for target in targets.targets.values():
                target.unrecognized_fields["custom"] = custom

        made.publisher.repository.change(change, made.publisher.online)

    for custom in (
        {},
        [],
        "x",
        {"x-portside": 3},
        {"x-portside": {}},
        {"x-portside": {"sequence": "1"}},
        {"x-portside": {"sequence": True}},
    ):
        confuse(custom)
        with made.refused("malformed"):
            pass


def test_every_verdict_is_an_error_where_one_is_wanted() -> None:
    for reason in Reason:
        error = Stopped(reason, "It is so.", "Wait.").error()
        assert isinstance(error, StoreError) == (reason in LATER)
        assert reason.value in str(error)
        assert Stopped(reason, "It is so.").to_dict()["installs"] == "stopped"


def test_a_device_needs_no_cryptography_and_nothing_heavy(made: World) -> None:
    """tuf verifies ed25519 with Python alone: `[edge]` brings no compiled wheel."""
    code = f"""
import sys
sys.modules["cryptography"] = None
from pathlib import Path
from portside.edge.trust import Trust
trust = Trust({str(made.folder / "bare")!r}, Path({str(made.publisher.repository.metadata / "1.root.json")!r}).read_bytes(), {made.url!r},
              lambda: {made.clock.now})
with trust.refresh() as found:
    print(found.find("inspector", "tflite").index.sequence)
assert not {{"torch", "onnxruntime", "bentoml", "sqlalchemy", "pydantic", "requests"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.strip(), done.returncode) == ("1", 0), done.stderr


class TestSignedSource:
    """The installer's way to all of it."""

    @pytest.fixture
    def source(self, made: World) -> SignedSource:
        return SignedSource(made.device.trust, made.folder / "fetched", "inspector", "tflite", held=lambda: [made.device.releases],
                            room=Room(quota_bytes=1 << 20))  # fmt: skip

    def wanted(self, made: World) -> Wanted:
        return Wanted(made.publisher.publish(World.SECOND).release, 7)

    def test_it_gives_a_slot_the_signed_files(self, made: World, source: SignedSource) -> None:
        wanted = self.wanted(made)
        source.fetch(wanted)
        source.verify(wanted)
        index = source.index(wanted)
        assert {name: b"".join(source.read(wanted, name)) for name in index.files} == {f"artifact/{n}": d for n, d in World.SECOND.items()}
        assert all(index.files[name].size == len(b"".join(source.read(wanted, name))) for name in index.files)
        source.forget()
        with pytest.raises(StoreError, match="not fetched"):
            source.verify(wanted)

    def test_what_changed_meanwhile_is_fetched_again(self, made: World, source: SignedSource) -> None:
        wanted = self.wanted(made)
        source.fetch(wanted)
        next((made.folder / "fetched").rglob("model.tflite")).write_bytes(b"!")
        with pytest.raises(StoreError, match="not whole"):
            source.verify(wanted)
        source.fetch(wanted)
        source.verify(wanted)

    def test_expiry_and_clock_stop_it(self, made: World, source: SignedSource) -> None:
        wanted = self.wanted(made)
        source.fetch(wanted)
        made.clock.now += 8 * DAY
        with pytest.raises(StoreError, match="expired"):
            source.verify(wanted)
        made.clock.now -= 9 * DAY
        with pytest.raises(StoreError, match="clock"):
            source.verify(wanted)

    def test_one_release_is_on_its_way(self, made: World, source: SignedSource) -> None:
        source.fetch(self.wanted(made))
        third = Wanted(made.publisher.publish({"artifact.json": b"3"}).release, 8)
        source.fetch(third)
        assert [path.name for path in (made.folder / "fetched").iterdir()] == [third.release.removeprefix("sha256:")]

    def test_what_is_not_signed_or_too_large_or_old_does_not_come(self, made: World, source: SignedSource) -> None:
        wanted = self.wanted(made)
        with pytest.raises(StoreError, match="missing"):
            source.fetch(Wanted("sha256:" + "0" * 64, 9))
        small = SignedSource(made.device.trust, made.folder / "f2", "inspector", "tflite", room=Room(quota_bytes=10))
        with pytest.raises(StoreError, match="no space"):
            small.fetch(wanted)
        source.fetch(wanted)
        with pytest.raises(TrustError, match="rollback"):
            source.fetch(Wanted(made.publisher.repository.state().targets.signed.targets["releases/inspector/tflite/1.index.json"]
                                .custom["x-portside"]["release"], 10))  # fmt: skip


def test_addresses_that_are_none_are_refused_at_once() -> None:
    for url in ("ftp://host/x", "https://", "host/path", "https://user:word@host/", "https://host/?q=1"):
        with pytest.raises(PortsideError):
            Mirror(url, QUICK)
