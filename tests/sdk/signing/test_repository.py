"""A repository on the disk: what must sign does, what a reader sees changes in one step, and numbers are whole."""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
import json
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Targets

from portside.sdk.core.errors import FormatError, IntegrityError, StoreError, TrustError
from portside.sdk.core.release_index import check_whole
from portside.sdk.signing.publish import publish_folders, published
from portside.sdk.signing.repository import Repository, parse_days, summary
from portside.sdk.signing.roles import date, made, sign
from portside.sdk.signing.rotate import approve, drop, rotate, standing

DAY = 86_400
ROLES = ("root", "targets", "snapshot", "timestamp")


def test_a_new_repository_says_who_signs_and_for_how_long(signed: Any) -> None:
    rows = {row["role"]: row for row in summary(signed.repository.state(), signed.now)}
    assert (rows["root"]["threshold"], len(rows["root"]["keys"])) == (2, 3)
    assert {role: row["days_left"] for role, row in rows.items()} == {"root": 365, "targets": 180, "snapshot": 30, "timestamp": 7}
    assert all(row["made"] == signed.now for row in rows.values())


def test_below_the_threshold_nothing_is_made(signed: Any, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other")
    keys = {role: [key.public_key for key in signed.roots] for role in ROLES}
    with pytest.raises(TrustError, match="Too few keys sign the root"):
        other.create(keys, signed.roots[:1])
    with pytest.raises(TrustError, match="Too few keys sign the targets"):
        other.create({**keys, "targets": [signed.targets.public_key]}, signed.roots)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("change", "thresholds", "days"),
    [
        ({"root": 2}, {}, {}),  # who loses one of two that must sign could never replace it
        ({}, {"targets": 4}, {}),
        ({}, {"targets": 0}, {}),
        ({}, {}, {"timestamp": 0}),
        ({"timestamp": 0}, {}, {}),
    ],
)
def test_rules_that_could_never_be_kept_are_refused(
    signed: Any, tmp_path: Path, change: dict[str, int], thresholds: Any, days: Any
) -> None:
    keys = {role: [key.public_key for key in signed.roots][: change.get(role, 3)] for role in ROLES}
    with pytest.raises(FormatError):
        Repository(tmp_path / "other").create(keys, signed.roots, thresholds, days)


def test_a_key_that_stands_twice_is_one_key(signed: Any, tmp_path: Path) -> None:
    key = signed.roots[0].public_key
    with pytest.raises(FormatError, match="stands twice"):
        Repository(tmp_path / "other").create({role: [key, key, key] for role in ROLES}, signed.roots)


def test_numbers_in_metadata_are_whole(signed: Any) -> None:
    publish_folders(signed.repository, *signed.release(b"1"), signed.signers)
    for file in signed.repository.metadata.glob("*.json"):
        check_whole(json.loads(file.read_text()))
    for file in (signed.repository.path / "targets").rglob("*.json"):
        check_whole(json.loads(file.read_text()))


@pytest.mark.parametrize("value", [1.0, 0.5, [1, {"deep": [2.0]}]])
def test_a_number_that_is_not_whole_is_not_signed(signed: Any, value: Any) -> None:
    def add(targets: Targets) -> None:
        targets.unrecognized_fields["x-other"] = value

    before = signed.repository.state().timestamp.signed.version
    with pytest.raises(FormatError, match="not whole"):
        signed.repository.change(add, signed.signers)
    assert signed.repository.state().timestamp.signed.version == before


def test_a_killed_writer_leaves_what_readers_saw(signed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timestamp is replaced last: killed before it, everything else is there, and nobody looks."""
    from portside.sdk.signing import repository as module

    real, before = module.replace_file, signed.repository.state()

    def killed(path: Path, data: bytes) -> None:
        if path.name == "timestamp.json":
            raise KeyboardInterrupt
        real(path, data)

    monkeypatch.setattr(module, "replace_file", killed)
    with pytest.raises(KeyboardInterrupt):
        publish_folders(signed.repository, *signed.release(b"1"), signed.signers)
    after = signed.repository.state()
    assert (after.timestamp.signed, published(after.targets.signed)) == (before.timestamp.signed, ())
    monkeypatch.setattr(module, "replace_file", real)
    publish_folders(signed.repository, *signed.release(b"2"), signed.signers)
    assert [one.sequence for one in published(signed.repository.state().targets.signed)] == [1]


def test_renew_signs_what_is_half_over(signed: Any) -> None:
    assert signed.repository.renew(signed.signers) == ("timestamp",)
    signed.now += 16 * DAY
    assert signed.repository.renew([signed.online]) == ("timestamp", "snapshot"), "the key of targets stays where it is"
    signed.now += 90 * DAY
    assert signed.repository.renew(signed.signers) == ("timestamp", "snapshot", "targets")
    assert made(signed.repository.state().targets.signed) == signed.now


def test_documents_that_were_changed_are_not_signed_over(signed: Any) -> None:
    file = signed.repository.metadata / "1.targets.json"
    file.write_text(file.read_text().replace('"version":1', '"version":2'))
    with pytest.raises(IntegrityError):
        signed.repository.renew(signed.signers)
    with pytest.raises(StoreError):
        Repository(signed.folder / "nothing").state()
    with pytest.raises(StoreError, match="already"):
        signed.create()


def test_every_role_can_be_rotated_and_the_chain_holds(signed: Any) -> None:
    publish_folders(signed.repository, *signed.release(b"1"), signed.signers)
    new = {role: CryptoSigner.generate_ed25519() for role in ROLES}
    old = signed.repository.root().signed
    gone = {"root": [signed.roots[0].public_key.keyid], "targets": [signed.targets.public_key.keyid],
            "snapshot": [signed.online.public_key.keyid], "timestamp": [signed.online.public_key.keyid]}  # fmt: skip
    where = rotate(signed.repository, [*signed.roots[:2], *new.values()],
                   add={role: [key.public_key] for role, key in new.items()}, remove=gone)  # fmt: skip
    assert where.published and set(where.roles) == set(new)
    state = signed.repository.state()
    old.verify_delegate("root", state.root.signed_bytes, state.root.signatures)
    assert [one.sequence for one in published(state.targets.signed)] == [1], "releases outlive the keys that signed them"
    with pytest.raises(TrustError):
        signed.repository.renew(signed.signers)
    assert signed.repository.renew(list(new.values())) == ("timestamp",)
    with pytest.raises(TrustError):
        sign(Metadata(date(Targets(), 1, signed.now)), state.root.signed, [signed.targets])


def test_a_root_of_its_own_keys_alone_is_not_published(signed: Any) -> None:
    """New holders cannot let themselves in: the root before must sign too."""
    new = [CryptoSigner.generate_ed25519() for _ in range(3)]
    where = rotate(signed.repository, [signed.roots[0], *new], add={"root": [key.public_key for key in new]},
                   remove={"root": [key.public_key.keyid for key in signed.roots]})  # fmt: skip
    assert (where.missing, where.published) == ({"before": 1, "after": 0}, False)
    assert standing(signed.repository) == where
    assert signed.repository.root().signed.version == 1
    assert approve(signed.repository, [signed.roots[1]]).published
    assert standing(signed.repository) is None and not drop(signed.repository)


def test_a_rotation_that_was_killed_is_finished_by_approve(signed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    new = CryptoSigner.generate_ed25519()

    def killed(*args: Any) -> None:
        raise KeyboardInterrupt

    change = {"add": {"timestamp": [new.public_key]}, "remove": {"timestamp": [signed.online.public_key.keyid]}}
    rotate(signed.repository, [signed.roots[0]], **change)
    with monkeypatch.context() as patch:
        patch.setattr(Repository, "resign", killed)
        with pytest.raises(KeyboardInterrupt):
            approve(signed.repository, [signed.roots[1], new])
    with pytest.raises(IntegrityError):
        signed.repository.state()
    assert approve(signed.repository, [new]).published
    assert signed.repository.state().root.signed.version == 2


@pytest.mark.parametrize("words", [["timestamp"], ["online=3"], ["root=x"]])
def test_numbers_for_roles(words: list[str]) -> None:
    assert parse_days(["timestamp=3", "root=700"]) == {"timestamp": 3, "root": 700}
    with pytest.raises(FormatError):
        parse_days(words)
