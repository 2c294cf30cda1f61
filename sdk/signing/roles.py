"""TUF metadata as values: what each role is for, how long its word holds, how it is signed, and what counts as signed.

Every document carries `x-portside`: when it was made (Unix seconds, so that a clock from before can be told), and in the
root for how many days each role signs. Numbers are whole: two JSON writers agree on those.
"""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from securesystemslib.signer import Key, Signer
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Role, Root, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from ..core.errors import FormatError, IntegrityError, TrustError
from ..core.release_index import check_whole

ROLES = ("root", "targets", "snapshot", "timestamp")
DAYS: Mapping[str, int] = {"root": 365, "targets": 180, "snapshot": 30, "timestamp": 7}
"""How long a signature of each role holds, where nothing else is said."""
THRESHOLDS: Mapping[str, int] = {"root": 2, "targets": 1, "snapshot": 1, "timestamp": 1}
OURS = "x-portside"
T = TypeVar("T", Root, Targets, Snapshot, Timestamp)


def first_root(keys: Mapping[str, Sequence[Key]], thresholds: Mapping[str, int], days: Mapping[str, int], now: float) -> Metadata[Root]:
    """Root version 1, unsigned.

    Args:
        keys: public keys by role; the root has at least one more than its threshold, so that a lost one can be replaced.
        thresholds: how many of them must sign.
        days: how long each role's word holds.
        now: Unix seconds.

    Raises FormatError for roles, thresholds or days that do not fit.
    """
    for role in ROLES:
        _check_role(role, [key.keyid for key in keys.get(role, ())], thresholds[role], days[role])
    if len(keys["root"]) <= thresholds["root"]:
        raise FormatError("The root needs a key more than must sign: who loses one could never replace it", got=f"{len(keys['root'])} keys",
                          expected=f"at least {thresholds['root'] + 1}")  # fmt: skip
    held = {key.keyid: key for role in ROLES for key in keys[role]}
    roles = {role: Role([key.keyid for key in keys[role]], thresholds[role]) for role in ROLES}
    root = Root(1, None, None, held, roles, True)
    root.unrecognized_fields[OURS] = {"days": {role: int(days[role]) for role in ROLES}}
    return Metadata(date(root, days["root"], now))


def changed_root(root: Root, keys: Mapping[str, Sequence[Key]], thresholds: Mapping[str, int], now: float) -> Metadata[Root]:
    """The next root, in which these roles have exactly these keys; unsigned. Raises FormatError."""
    new = Root.from_dict(root.to_dict())
    for role, chosen in keys.items():
        threshold = thresholds.get(role, root.roles[role].threshold)
        _check_role(role, [key.keyid for key in chosen], threshold, days_of(root)[role])
        new.roles[role] = Role([key.keyid for key in chosen], threshold)
        new.keys.update({key.keyid: key for key in chosen})
    used = {keyid for held in new.roles.values() for keyid in held.keyids}
    new.keys = {keyid: key for keyid, key in new.keys.items() if keyid in used}
    new.version += 1
    return Metadata(date(new, days_of(root)["root"], now))


def date(signed: Any, days: int, now: float) -> Any:
    """The same document, made now and good for so many days."""
    moment = int(now)
    signed.expires = datetime.fromtimestamp(moment, UTC) + timedelta(days=days)
    signed.unrecognized_fields[OURS] = {**signed.unrecognized_fields.get(OURS, {}), "made": moment}
    return signed


def made(signed: Signed) -> int | None:
    """When a document says that it was made, Unix seconds. None: it does not say."""
    ours = signed.unrecognized_fields.get(OURS)
    value = ours.get("made") if isinstance(ours, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def days_of(root: Root) -> dict[str, int]:
    """For how many days each role signs, as this root says."""
    ours = root.unrecognized_fields.get(OURS, {})
    return {**DAYS, **{role: int(value) for role, value in ours.get("days", {}).items() if role in ROLES}}


def sign(metadata: Metadata[Any], root: Root, signers: Sequence[Signer], *, keep: bool = False) -> bytes:
    """Sign with those of `signers` that the root names for this role, and return the bytes.

    Args:
        metadata: changed in place: its signatures.
        root: says who may sign.
        signers: any; others than the role's are not used.
        keep: add to the signatures that are there.

    Raises TrustError below the threshold.
    """
    role = metadata.signed.type
    add_signatures(metadata, [root], signers, keep=keep)
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError as error:
        have = len(metadata.signatures)
        raise TrustError(f"Too few keys sign the {role}", got=f"{have} of its keys", expected=f"{root.roles[role].threshold}",
                         fix=f"Give the key files of {role}: --key FILE, as often as needed.") from error  # fmt: skip
    return to_bytes(metadata)


def add_signatures(metadata: Metadata[Any], roots: Sequence[Root], signers: Sequence[Signer], *, keep: bool = True) -> None:
    """Signatures by every signer whom one of the roots names for this role."""
    check_whole(metadata.signed.to_dict(), f"The {metadata.signed.type} metadata")
    allowed = {keyid for root in roots for keyid in root.roles[metadata.signed.type].keyids}
    if not keep:
        metadata.signatures.clear()
    for signer in signers:
        if signer.public_key.keyid in allowed:
            metadata.sign(signer, append=True)


def to_bytes(metadata: Metadata[Any]) -> bytes:
    """As it lies in the repository."""
    return metadata.to_bytes(JSONSerializer(compact=True))


def read_signed(data: bytes, kind: type[T], root: Root | None = None) -> Metadata[T]:
    """Parse a document of ours and check its signatures against a root (itself, where it is one). Raises IntegrityError."""
    try:
        metadata = cast("Metadata[T]", Metadata.from_bytes(data))
        if metadata.signed.type != kind.type:
            raise IntegrityError("This is another kind of metadata", got=metadata.signed.type, expected=kind.type)
        by = root or cast("Root", metadata.signed)
        by.verify_delegate(metadata.signed.type, metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        raise IntegrityError(
            f"The {kind.type} metadata do not verify: {error}", fix="Restore the repository from where it came."
        ) from error
    return metadata


def _check_role(role: str, keyids: Sequence[str], threshold: int, days: int) -> None:
    if len(set(keyids)) != len(keyids):
        raise FormatError(f"A key stands twice for {role}", fix="Two signatures of one key are one signature.")
    if not 1 <= threshold <= len(keyids):
        raise FormatError(f"The {role} cannot reach its threshold", got=f"{len(keyids)} keys", expected=f"at least {max(1, threshold)}")
    if not 1 <= days <= 3650:
        raise FormatError(f"Signatures of {role} hold for a number of days", got=days, expected="1 to 3650")
