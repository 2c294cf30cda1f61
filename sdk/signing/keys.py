"""Keys that sign releases: ed25519, made here, kept in a file, never printed.

A private key is a PEM file that only its owner may read. With a passphrase its content is sealed (scrypt, AES-256-GCM);
without one it is plain PKCS#8, for a machine that has its own way of keeping secrets. The public half lies beside it as
`<name>.pub`, and is all that a repository needs to know of a key that stays offline.
"""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
import base64
import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from ..core.canonical import canonical_json, read_object
from ..core.errors import FormatError, StoreError, TrustError
from ..core.replacing import replace_file

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEAD, _TAIL = b"-----BEGIN PORTSIDE SEALED KEY-----\n", b"-----END PORTSIDE SEALED KEY-----\n"
_COST = {"n": 1 << 15, "r": 8, "p": 1}
"""Of scrypt: 32 MiB and about a tenth of a second for each guess."""
_MOST = 1 << 20
Passphrase = Callable[[str], str]
"""From the name of a key to what opens it; asked only where a key is sealed."""


@dataclass(frozen=True)
class SigningKey:
    """A private key in memory. What prints it shows its name and id.

    Attributes:
        name: of its file.
        signer: signs with it.
    """

    name: str
    signer: CryptoSigner = field(repr=False)

    @property
    def public(self) -> Key:
        """The half that may be shown."""
        return self.signer.public_key

    @property
    def id(self) -> str:
        """By which metadata name it: 64 hex digits."""
        return self.public.keyid


def make_key(folder: Path, name: str, passphrase: str | None = None) -> SigningKey:
    """Make a key and write `<name>.pem` (mode 0600) and `<name>.pub` into a folder.

    Args:
        folder: made if it is not there, for its owner alone.
        name: a file name without ending.
        passphrase: seals the private half; None leaves it readable to whoever can read the file.

    Raises StoreError where a key of this name is there, FormatError for another name than letters and digits.
    """
    if not _NAME.fullmatch(name):
        raise FormatError("This is no name for a key", got=repr(name)[:80], expected="letters, digits, . _ -")
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    if private.exists() or public.exists():
        raise StoreError("A key of this name is there already", got=str(private), fix="Choose another name; keys are never overwritten.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = SigningKey(name, CryptoSigner(Ed25519PrivateKey.generate()))
    plain = key.signer.private_bytes
    replace_file(private, plain if passphrase is None else _seal(plain, passphrase), 0o600)
    replace_file(public, canonical_json({"keyid": key.id, **key.public.to_dict()}) + b"\n")
    return key


def read_key(file: Path, passphrase: Passphrase | None = None) -> SigningKey:
    """The private key of a file that `make_key` wrote, or of any PKCS#8 PEM file with an ed25519 key.

    Raises:
        TrustError: sealed, and there is no passphrase or a wrong one; or others may read the file.
        FormatError: the file holds no such key.
    """
    data = _read(file)
    if os.name == "posix" and file.stat().st_mode & 0o077:
        raise TrustError("Others can read this private key", got=f"{file}, mode {file.stat().st_mode & 0o777:o}", expected="600",
                         fix=f"Run: chmod 600 {file}; if others had access to this machine, rotate the key.")  # fmt: skip
    if data.startswith(_HEAD):
        if passphrase is None:
            raise TrustError("This key is sealed with a passphrase", got=str(file), fix="Pass one: --passphrase-file FILE, or type it.")
        data = _unseal(data, passphrase(file.stem), file)
    try:
        private = load_pem_private_key(data, None)
    except (ValueError, TypeError) as error:  # TypeError: PKCS#8 with a passphrase, which is not our way of sealing
        raise FormatError("This file holds no private key that can be read here", got=str(file), expected="PEM, ed25519") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise FormatError("This key is of another kind", got=type(private).__name__, expected="ed25519")
    return SigningKey(file.stem, CryptoSigner(private))


def read_public(file: Path) -> Key:
    """The public half from `<name>.pub`. Raises FormatError, and for a file whose id is not that of its key."""
    data = read_object(_read(file), f"The public key {file.name}")
    try:
        key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(data["keyval"]["public"])))
    except (KeyError, ValueError, TypeError) as error:
        raise FormatError("This file holds no public key", got=str(file), expected="what portside sign keys wrote as NAME.pub") from error
    if {"keyid": key.keyid, **key.to_dict()} != data:
        raise FormatError("This public key is of another kind, or its id is not its own", got=str(file))
    return key


def _seal(plain: bytes, passphrase: str) -> bytes:
    if not passphrase:
        raise FormatError("An empty passphrase seals nothing", fix="Choose one, or leave the key unsealed on purpose: --unsealed.")
    salt, nonce = os.urandom(16), os.urandom(12)
    held = AESGCM(_stretched(passphrase, salt)).encrypt(nonce, plain, _HEAD)
    whole = json.dumps({"format": 1, "kdf": "scrypt", **_COST, "salt": salt.hex(), "nonce": nonce.hex(), "sealed": held.hex()})
    return _HEAD + base64.encodebytes(whole.encode()) + _TAIL


def _unseal(data: bytes, passphrase: str, file: Path) -> bytes:
    try:
        body = data[len(_HEAD) : data.rindex(_TAIL)]
        whole = read_object(base64.b64decode(body, validate=False), f"The sealed key {file.name}")
        salt, nonce, held = (bytes.fromhex(whole[name]) for name in ("salt", "nonce", "sealed"))
        if (whole["format"], whole["kdf"]) != (1, "scrypt"):
            raise FormatError("This key was sealed in another way", got=str(file), fix="Update Portside.")
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError("This sealed key is damaged", got=str(file), fix="Take it from your backup.") from error
    try:
        return AESGCM(_stretched(passphrase, salt)).decrypt(nonce, held, _HEAD)
    except InvalidTag as error:
        raise TrustError("The passphrase does not open this key, or the file was changed", got=str(file)) from error


def _stretched(passphrase: str, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase.encode(), salt=salt, **_COST, maxmem=1 << 27, dklen=32)


def _read(file: Path) -> bytes:
    try:
        data = file.read_bytes()
    except OSError as error:
        fix = "Name a key that is there, or make one: portside sign keys NAME --folder keys."
        raise FormatError(f"A key cannot be read: {error.strerror}", got=str(file), fix=fix) from error
    if len(data) > _MOST:
        raise FormatError("This file is too large for a key", got=str(file))
    return data
