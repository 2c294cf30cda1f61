"""The Update Framework's list of attacks, one test each: the attacker owns the mirror, and sometimes a key.

https://theupdateframework.github.io/specification/latest/#goals-to-protect-against-specific-attacks

Every test asserts the typed refusal, and that what ran before still is what runs and the only release on the device.
"""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tuf")
sys.path[:0] = [str(Path(__file__).parent)]

from securesystemslib.signer import CryptoSigner  # noqa: E402
from signed_mirror import DAY, World, world  # noqa: E402
from tuf.api.metadata import Metadata, MetaFile, Role, Root, Snapshot, TargetFile  # noqa: E402

from portside.edge.fetch import Fetched  # noqa: E402
from portside.edge.stopped import Stopped  # noqa: E402
from portside.edge.trust import Offer  # noqa: E402
from portside.sdk.signing.publish import published  # noqa: E402
from portside.sdk.signing.repository import Repository  # noqa: E402
from portside.sdk.signing.roles import OURS, sign, to_bytes  # noqa: E402
from portside.sdk.signing.rotate import rotate  # noqa: E402


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("os.fsync", lambda handle: None)  # no power is cut here
    with world(tmp_path) as held:
        yield held


def metadata(world: World, name: str) -> Path:
    return world.publisher.repository.metadata / name


class TestArbitrarySoftware:
    def test_a_chunk_of_the_attackers_is_not_taken(self, made: World) -> None:
        made.publisher.publish(World.SECOND)
        chunks = made.publisher.repository.path / "chunks"

        def other(handler: Any, path: str) -> bool:
            if path.startswith("chunks/"):
                made.web.send(handler, b"malware".ljust((chunks.parent / path).stat().st_size, b"!"))
            return path.startswith("chunks/")

        made.web.attack = other
        with made.refused("mismatch"):
            pass

    def test_an_index_of_the_attackers_is_not_taken(self, made: World) -> None:
        made.publisher.publish(World.SECOND)

        def other(handler: Any, path: str) -> bool:
            if ".index.json" in path:
                made.web.send(handler, b'{"format": 1}')
            return ".index.json" in path

        made.web.attack = other
        with made.refused("mismatch"):
            pass

    def test_a_list_signed_by_nobody_who_may_is_not_taken(self, made: World) -> None:
        forged = Repository(made.folder / "forged", made.clock)
        keys = [CryptoSigner.generate_ed25519() for _ in range(3)]
        public = [key.public_key for key in keys]
        forged.create({"root": public, "targets": public[:1], "snapshot": public[:1], "timestamp": public[:1]}, keys)
        for name in ("timestamp.json", "1.snapshot.json", "1.targets.json"):
            (made.publisher.repository.metadata / name).write_bytes((forged.metadata / name).read_bytes())
        with made.refused("untrusted"):
            pass


class TestRollback:
    def test_an_older_state_of_the_repository_is_not_taken(self, made: World) -> None:
        kept = made.save()
        made.publisher.publish(World.SECOND)
        assert isinstance(made.device.update(), Fetched)
        made.web.folder = kept
        with made.refused("rollback"):
            pass

    @pytest.mark.parametrize("lost", ["all", "torn"])
    def test_nor_where_the_device_lost_its_copies(self, made: World, lost: str) -> None:
        """The client's own protection is in files that a power cut may tear; the floor is not."""
        kept = made.save()
        made.publisher.publish(World.SECOND)
        assert isinstance(made.device.update(), Fetched)
        for file in (made.device.folder / "trust" / "metadata").rglob("*.json"):
            file.unlink() if lost == "all" else file.write_bytes(file.read_bytes()[:7])
        made.web.folder = kept
        found = made.device.trust.refresh()
        assert isinstance(found, Stopped), "not only is its release too old: the list is"
        assert found.reason.value == "rollback"
        with made.refused("rollback"):
            pass

    def test_a_release_below_the_one_that_was_accepted_is_not_taken_though_it_is_signed(self, made: World) -> None:
        """Whoever orders releases, or took over the server that does, cannot bring an old fault back."""
        made.publisher.publish(World.SECOND)
        assert isinstance(made.device.update(), Fetched)
        before = made.device.runs()
        for wish in ({"sequence": 1}, {"release": published(made.publisher.repository.state().targets.signed)[0].custom["release"]}):
            answer = made.device.update(**wish)
            assert isinstance(answer, Stopped)
            assert answer.reason.value == "rollback"
            assert "--rolls-back-to 1" in str(answer.fix)
        assert made.device.runs() == before

    def test_going_back_is_signed_and_costs_no_bytes(self, made: World) -> None:
        made.publisher.publish(World.SECOND)
        assert isinstance(made.device.update(), Fetched)
        made.publisher.publish(World.FIRST, back=1)
        answer = made.device.update()
        assert isinstance(answer, Fetched)
        assert answer.progress.received == 0
        assert {path.removeprefix("3/"): data for path, data in made.device.runs().items() if path.startswith("3/")} == World.FIRST
        offer = made.device.look()
        assert isinstance(offer, Offer)
        assert (offer.index.sequence, offer.index.rolls_back_to) == (3, 1)


class TestFreeze:
    def test_a_mirror_that_stands_still_is_believed_no_longer_than_its_timestamp(self, made: World) -> None:
        frozen = made.save()
        made.publisher.publish(World.SECOND)
        made.web.folder = frozen
        assert isinstance(made.device.update(), Fetched), "nothing tells a fresh mirror from one that hides the last hour"
        made.clock.now += 8 * DAY
        with made.refused("expired"):
            pass

    def test_nor_by_a_device_whose_clock_was_set_back(self, made: World) -> None:
        frozen = made.save()
        made.clock.now += 3 * DAY
        made.publisher.repository.renew(made.publisher.online)
        assert isinstance(made.device.update(), Fetched)
        made.web.folder = frozen
        made.clock.now -= 3 * DAY
        with made.refused("clock"):
            pass

    def test_a_new_device_knows_that_its_root_was_made_before_now(self, made: World) -> None:
        made.clock.now = 0.0  # no battery, no network time
        made.device.folder.joinpath("trust", "seen.json").unlink()
        made.device.folder.joinpath("trust", "seen.copy.json").unlink()
        with made.refused("clock"):
            pass

    def test_an_old_root_is_not_taken_for_the_newest(self, made: World) -> None:
        frozen = made.save()
        rotate(made.publisher.repository, made.publisher.root_keys)
        assert isinstance(made.device.update(), Fetched)
        made.web.folder = frozen
        shrunk = made.device.folder / "trust" / "metadata" / "root_history"
        for file in shrunk.iterdir():
            file.unlink()
        with made.refused("rollback"):
            pass


class TestMixAndMatch:
    def test_documents_of_different_times_do_not_go_together(self, made: World) -> None:
        made.publisher.publish(World.SECOND)
        state = made.publisher.repository.state()
        snapshot, targets = state.snapshot.signed.version, state.targets.signed.version
        metadata(made, f"{snapshot}.snapshot.json").write_bytes(metadata(made, f"{snapshot - 1}.snapshot.json").read_bytes())
        with made.refused("mismatch", "rollback"):
            pass
        metadata(made, f"{snapshot}.snapshot.json").write_bytes(to_bytes(state.snapshot))
        metadata(made, f"{targets}.targets.json").write_bytes(metadata(made, f"{targets - 1}.targets.json").read_bytes())
        with made.refused("mismatch", "rollback"):
            pass

    def test_nor_chunks_of_different_releases(self, made: World) -> None:
        second = made.publisher.publish(World.SECOND)
        chunks = list(second.chunks())

        def swapped(handler: Any, path: str) -> bool:
            if path.startswith("chunks/"):
                other = next(chunk for chunk in chunks if not path.endswith(chunk) and second.chunks()[chunk] == 4096)
                made.web.answer(handler, f"chunks/{other[:2]}/{other}")
            return path.startswith("chunks/")

        made.web.attack = swapped
        with made.refused("mismatch", "endless", "offline"):
            pass


class TestEndlessData:
    @pytest.mark.parametrize("what", ["timestamp.json", "snapshot.json", "targets.json", ".index.json", "chunks/", "2.root.json"])
    def test_no_more_is_read_than_there_may_be(self, made: World, what: str) -> None:
        made.publisher.publish(World.SECOND)
        made.web.attack = self.endless(made, what)
        with made.refused("endless"):
            pass
        assert made.web.sent < 40 << 20

    def endless(self, made: World, what: str) -> Any:
        def attack(handler: Any, path: str) -> bool:
            if what not in path:
                return False
            handler.send_response(200)
            handler.end_headers()  # no length: until the connection ends
            handler.close_connection = True
            while not made.web.closing.is_set():
                handler.wfile.write(b"x" * 65536)
                made.web.sent += 65536
            return True

        return attack

    def test_nor_of_headers(self, made: World) -> None:
        def attack(handler: Any, path: str) -> bool:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not made.web.closing.is_set():
                handler.wfile.write(b"X-More: " + b"x" * 60_000 + b"\r\n")
            return True

        made.web.attack = attack
        with made.refused("endless", "offline"):
            pass


class TestWrongSoftware:
    def test_the_index_of_another_product_does_not_stand_for_ours(self, made: World) -> None:
        made.publisher.publish(World.SECOND)
        other = made.publisher.publish({"artifact.json": b"other"}, name="toaster")

        def attack(handler: Any, path: str) -> bool:
            if "/inspector/" in path:
                made.web.send(handler, other.to_bytes())
            return "/inspector/" in path

        made.web.attack = attack
        with made.refused("mismatch"):
            pass

    @pytest.mark.parametrize("change", [{"name": "toaster"}, {"platform": "onnx-cpu"}])
    def test_nor_where_it_was_signed_under_our_name_by_mistake(self, made: World, change: dict[str, str]) -> None:
        index = made.publisher.publish(World.SECOND)

        def confuse(signed: Any) -> None:
            custom = signed.targets[index.path].unrecognized_fields["custom"]
            custom[OURS] = {**custom[OURS], **change}

        made.publisher.repository.change(confuse, made.publisher.online)
        with made.refused("wrong software"):
            pass

    def test_nor_an_index_that_says_other_than_the_list(self, made: World) -> None:
        index = made.publisher.publish(World.SECOND)

        def confuse(signed: Any) -> None:
            custom = signed.targets[index.path].unrecognized_fields["custom"]
            custom[OURS] = {**custom[OURS], "package": "sha256:" + "0" * 64}

        made.publisher.repository.change(confuse, made.publisher.online)
        with made.refused("wrong software"):
            pass

    def test_a_platform_that_nothing_was_signed_for_gets_nothing(self, made: World) -> None:
        answer = made.device.update(platform="onnx-cpu")
        assert isinstance(answer, Stopped)
        assert answer.reason.value == "missing"


class TestSlowRetrieval:
    @pytest.mark.parametrize("what", ["timestamp.json", "chunks/"])
    def test_a_trickle_ends(self, made: World, what: str) -> None:
        made.publisher.publish(World.SECOND)

        def drip(handler: Any, path: str) -> bool:
            if what not in path:
                return False
            handler.send_response(200)
            handler.end_headers()
            while not made.web.closing.wait(0.05):
                handler.wfile.write(b"x")
            return True

        made.web.attack = drip
        with made.refused("slow"):
            pass

    def test_a_trickle_of_headers_ends(self, made: World) -> None:
        def drip(handler: Any, path: str) -> bool:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not made.web.closing.wait(0.05):
                handler.wfile.write(b"x")
            return True

        made.web.attack = drip
        with made.refused("slow"):
            pass

    def test_silence_ends(self, made: World) -> None:
        made.web.attack = lambda handler, path: made.web.closing.wait(20)
        with made.refused("slow"):
            pass


class TestExtraneousDependencies:
    def test_files_that_were_not_signed_do_not_come_along(self, made: World) -> None:
        index = made.publisher.publish(World.SECOND)
        more = json.loads(index.to_bytes())
        more["files"].append({"path": "engine/extra.so", "size": 0, "sha256": "0" * 64, "chunks": []})

        def attack(handler: Any, path: str) -> bool:
            if "2.index.json" in path:
                made.web.send(handler, json.dumps(more).encode())
            return "2.index.json" in path

        made.web.attack = attack
        with made.refused("mismatch", "endless"):
            pass

    def test_only_what_is_listed_is_asked_for(self, made: World) -> None:
        index = made.publisher.publish(World.SECOND)
        made.web.asked.clear()
        assert isinstance(made.device.update(), Fetched)
        chunks = {path.rpartition("/")[2] for path in made.web.asked if path.startswith("chunks/")}
        assert chunks <= set(index.chunks())
        assert {path for path in made.device.runs() if path.startswith("2/")} == {f"2/{path}" for path in World.SECOND}


class TestStolenKeys:
    def test_one_of_two_root_keys_changes_nothing(self, made: World) -> None:
        """The thief makes a root of his own; one signature of two is none."""
        thief, stolen = CryptoSigner.generate_ed25519(), made.publisher.root_keys[0]
        forged: Metadata[Root] = Metadata(Root.from_dict(made.publisher.repository.root().signed.to_dict()))
        forged.signed.version = 2
        for role in ("root", "targets", "snapshot", "timestamp"):
            forged.signed.roles[role] = Role([thief.public_key.keyid], 1)
        forged.signed.keys = {thief.public_key.keyid: thief.public_key}
        for signer in (stolen, thief):
            forged.sign(signer, append=True)
        metadata(made, "2.root.json").write_bytes(to_bytes(forged))
        with made.refused("untrusted"):
            pass

    def test_nor_does_a_second_signature_of_the_same_key(self, made: World) -> None:
        stolen = made.publisher.root_keys[0]
        forged: Metadata[Root] = Metadata(Root.from_dict(made.publisher.repository.root().signed.to_dict()))
        forged.signed.version = 2
        double = stolen.public_key.__class__("0" * 64, "ed25519", "ed25519", dict(stolen.public_key.keyval))
        forged.signed.keys["0" * 64] = double
        forged.signed.roles["root"] = Role([stolen.public_key.keyid, "0" * 64], 2)
        forged.sign(stolen, append=True)
        forged.signatures["0" * 64] = forged.signatures[stolen.public_key.keyid]
        metadata(made, "2.root.json").write_bytes(to_bytes(forged))
        with made.refused("untrusted", "malformed"):
            pass

    def test_timestamp_and_snapshot_sign_no_software(self, made: World) -> None:
        state = made.publisher.repository.state()
        path = state.targets.signed.targets.popitem()[0]
        state.targets.signed.targets[path] = TargetFile.from_data(path, b"malware", ["sha256"])
        state.targets.signed.version += 1
        text = to_bytes(state.targets)  # the old signature: the thief has none
        self.put(made, state.snapshot.signed, text, state.targets.signed.version)
        metadata(made, f"{state.targets.signed.version}.targets.json").write_bytes(text)
        with made.refused("untrusted"):
            pass

    def put(self, made: World, signed: Snapshot, targets: bytes, version: int, jump: int = 1) -> None:
        """What a thief of the timestamp's and the snapshot's keys can sign."""
        state, thief = made.publisher.repository.state(), [made.publisher.snapshot, made.publisher.timestamp]
        signed.meta["targets.json"] = MetaFile.from_data(version, targets, ["sha256"])
        signed.version += jump
        text = sign(Metadata(signed), state.root.signed, thief)
        state.timestamp.signed.snapshot_meta = MetaFile.from_data(signed.version, text, ["sha256"])
        state.timestamp.signed.version += jump
        metadata(made, f"{signed.version}.snapshot.json").write_bytes(text)
        metadata(made, "timestamp.json").write_bytes(sign(state.timestamp, state.root.signed, thief))

    def test_a_stolen_key_is_rotated_and_its_fast_forward_is_forgotten(self, made: World) -> None:
        """The thief signs versions far ahead, so that honest ones look old; new keys count anew."""
        honest = made.save()
        state = made.publisher.repository.state()
        targets = metadata(made, f"{state.targets.signed.version}.targets.json").read_bytes()
        self.put(made, state.snapshot.signed, targets, state.targets.signed.version, jump=1 << 30)
        assert isinstance(made.device.update(), Fetched), "the thief's documents are signed, and hold only what is honest"
        made.web.folder = honest
        with made.refused("rollback"):
            pass
        publisher = made.publisher
        publisher.repository = Repository(honest, made.clock)
        stolen = {"snapshot": publisher.snapshot.public_key.keyid, "timestamp": publisher.timestamp.public_key.keyid}
        publisher.snapshot, publisher.timestamp = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
        rotate(publisher.repository, [*publisher.root_keys[1:], *publisher.online],
               add={"snapshot": [publisher.snapshot.public_key], "timestamp": [publisher.timestamp.public_key]},
               remove={role: [keyid] for role, keyid in stolen.items()})  # fmt: skip
        publisher.publish(World.SECOND)
        assert isinstance(made.device.update(), Fetched)
