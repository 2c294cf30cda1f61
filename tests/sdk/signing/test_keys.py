"""Keys in files: sealed or plain, for their owner alone, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from portside.sdk.core.errors import FormatError, StoreError, TrustError
from portside.sdk.signing.keys import make_key, read_key, read_public


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portside.sdk.signing.keys._COST", {"n": 1 << 4, "r": 8, "p": 1})


@pytest.mark.parametrize("passphrase", [None, "a b c", "pässwörd"])
def test_a_key_comes_back_from_its_files(tmp_path: Path, passphrase: str | None) -> None:
    made = make_key(tmp_path / "keys", "ana", passphrase)
    back = read_key(tmp_path / "keys" / "ana.pem", lambda name: passphrase or "")
    public = read_public(tmp_path / "keys" / "ana.pub")
    public.verify_signature(back.signer.sign(b"hello"), b"hello")
    assert made.id == back.id == public.keyid
    assert (tmp_path / "keys" / "ana.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_what_prints_a_key_shows_nothing_of_it(tmp_path: Path) -> None:
    key = make_key(tmp_path, "ana")
    secret = (tmp_path / "ana.pem").read_text().splitlines()[1]
    assert secret not in repr(key) + str(key)


def test_sealed_bytes_open_with_their_passphrase_alone(tmp_path: Path) -> None:
    make_key(tmp_path, "ana", "right")
    file = tmp_path / "ana.pem"
    assert b"PRIVATE KEY" not in file.read_bytes()
    with pytest.raises(TrustError, match="does not open"):
        read_key(file, lambda name: "wrong")
    with pytest.raises(TrustError, match="sealed"):
        read_key(file)


def test_a_changed_sealed_key_is_refused(tmp_path: Path) -> None:
    make_key(tmp_path, "ana", "right")
    file = tmp_path / "ana.pem"
    lines = file.read_bytes().splitlines(keepends=True)
    for at in range(1, len(lines) - 1):
        spoilt = [*lines[:at], lines[at][:10] + (b"A" if lines[at][10:11] != b"A" else b"B") + lines[at][11:], *lines[at + 1 :]]
        file.write_bytes(b"".join(spoilt))
        with pytest.raises((TrustError, FormatError)):
            read_key(file, lambda name: "right")
    file.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(FormatError, match="damaged"):
        read_key(file, lambda name: "right")


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    make_key(tmp_path, "ana")
    (tmp_path / "ana.pem").chmod(0o640)
    with pytest.raises(TrustError, match="chmod 600"):
        read_key(tmp_path / "ana.pem")


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    make_key(tmp_path, "ana")
    with pytest.raises(StoreError):
        make_key(tmp_path, "ana")
    for name in ("../ana", "", "a/b", ".hidden"):
        with pytest.raises(FormatError):
            make_key(tmp_path, name)
    with pytest.raises(FormatError, match="seals nothing"):
        make_key(tmp_path, "other", "")


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ec.pem"
    file.write_bytes(generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    file.chmod(0o600)
    with pytest.raises(FormatError, match="another kind"):
        read_key(file)


def test_a_public_key_under_another_id_is_refused(tmp_path: Path) -> None:
    """One key under two ids would sign twice."""
    make_key(tmp_path, "ana")
    file = tmp_path / "ana.pub"
    file.write_text(json.dumps({**json.loads(file.read_text()), "keyid": "0" * 64}))
    with pytest.raises(FormatError, match="not its own"):
        read_public(file)
    for text in ("{}", "[]", "no", json.dumps({"keyval": {"public": "zz"}})):
        file.write_text(text)
        with pytest.raises(FormatError):
            read_public(file)


def test_a_key_that_is_not_there_says_how_one_is_made(tmp_path: Path) -> None:
    for read in (read_key, read_public):
        with pytest.raises(FormatError, match=r"cannot be read.*portside sign keys NAME"):
            read(tmp_path / "targets.pem")
