"""Keys are replaced by a new root. It needs enough keys of the root before and of itself, which may sign one after another.

The keys of a root lie in different drawers. So a change is staged, each holder adds a signature where they are, and what
completes it publishes it: the root first, then the documents of a role whose keys changed, signed by the new ones.
"""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from securesystemslib.signer import Key, Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from ..core.errors import FormatError, IntegrityError, StoreError, TrustError
from ..core.replacing import replace_file
from .repository import Repository
from .roles import ROLES, add_signatures, changed_root, date, days_of, sign, to_bytes

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Staged:
    """Where a change of keys stands.

    Attributes:
        version: of the root that it will be.
        roles: whose keys it changes.
        missing: how many signatures are missing, by which root asks for them: "before" and "after".
        published: it is what readers see.
    """

    version: int
    roles: tuple[str, ...]
    missing: dict[str, int]
    published: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"version": self.version, "roles": list(self.roles), "missing": self.missing, "published": self.published}


def rotate(
    repository: Repository, signers: Sequence[Signer], *,
    add: Mapping[str, Sequence[Key]] = NOTHING, remove: Mapping[str, Sequence[str]] = NOTHING, thresholds: Mapping[str, int] = NOTHING,
) -> Staged:  # fmt: skip
    """Change keys of roles in one step, or none of them and only sign the root for another year.

    Args:
        repository: which.
        signers: of the root before and after, and of the changed roles; what the root lacks can be added with `approve`.
        add: public keys by role.
        remove: by role key ids, or how they begin.
        thresholds: by role, how many must sign from now on; others stay.

    Raises FormatError, StoreError where another change is staged, TrustError without the keys of a changed role.
    """
    if unknown := sorted({*add, *remove, *thresholds} - set(ROLES)):
        raise FormatError("There is no such role", got=unknown[0], expected=", ".join(ROLES))
    with repository.writing():
        if _file(repository).exists():
            raise StoreError("Another change of keys waits for signatures", fix="Finish it: portside sign approve; or portside sign drop.")
        root = repository.root().signed
        keys = {role: _changed(root, role, add.get(role, ()), remove.get(role, ())) for role in {*add, *remove, *thresholds}}
        return _proceed(repository, root, changed_root(root, keys, thresholds, repository.clock()), signers)


def approve(repository: Repository, signers: Sequence[Signer]) -> Staged:
    """Add signatures to the staged change, and publish it where they are enough. Raises StoreError where nothing is staged, TrustError."""
    with repository.writing():
        new = staged(repository)
        if new is None:
            raise StoreError(
                "No change of keys is staged", fix="Begin one: portside sign rotate FOLDER --add ROLE=NEW.pub --remove ROLE=ID"
            )
        root = repository.root().signed
        return _finish(repository, root, signers) if root.version == new.signed.version else _proceed(repository, root, new, signers)


def staged(repository: Repository) -> Metadata[Root] | None:
    """The root that waits for signatures. Raises IntegrityError."""
    try:
        return cast("Metadata[Root]", Metadata.from_bytes(_file(repository).read_bytes()))
    except FileNotFoundError:
        return None
    except RepositoryError as error:
        raise IntegrityError(f"The staged root cannot be read: {error}", fix="Run: portside sign drop, and begin again.") from error


def standing(repository: Repository) -> Staged | None:
    """Where the staged change stands. Raises IntegrityError."""
    new = staged(repository)
    return None if new is None else _standing(repository.root().signed, new)


def drop(repository: Repository) -> bool:
    """Forget the staged change. Returns whether there was one."""
    there = _file(repository).exists()
    _file(repository).unlink(missing_ok=True)
    return there


def _proceed(repository: Repository, root: Root, new: Metadata[Root], signers: Sequence[Signer]) -> Staged:
    add_signatures(new, [root, new.signed], signers)
    where = _standing(root, new)
    if any(where.missing.values()):
        _file(repository).parent.mkdir(exist_ok=True)
        replace_file(_file(repository), to_bytes(new))
        return where
    others = tuple(role for role in where.roles if role != "root")
    _prove(repository, new.signed, others, signers)
    before = repository.state()
    replace_file(repository.metadata / f"{new.signed.version}.root.json", to_bytes(new))
    if others:
        repository.resign(new.signed, others, signers, before)
    drop(repository)
    return Staged(where.version, where.roles, where.missing, True)


def _finish(repository: Repository, root: Root, signers: Sequence[Signer]) -> Staged:
    """A process was killed after it had published the root: sign what the new keys have to."""
    before = repository.root(root.version - 1).signed
    roles = tuple(role for role in ROLES if before.roles[role].to_dict() != root.roles[role].to_dict())
    try:
        repository.state()
    except IntegrityError:
        repository.resign(root, [role for role in roles if role != "root"], signers, repository.state(before))
    drop(repository)
    return Staged(root.version, roles, {"before": 0, "after": 0}, True)


def _prove(repository: Repository, new: Root, roles: Sequence[str], signers: Sequence[Signer]) -> None:
    """The changed roles can sign at once, and those whose documents name theirs: else readers would be left with nothing."""
    kinds = {"targets": Targets, "snapshot": Snapshot, "timestamp": Timestamp}
    need = {"targets": ("targets", "snapshot", "timestamp"), "snapshot": ("snapshot", "timestamp"), "timestamp": ("timestamp",)}
    for role in sorted({other for changed in roles for other in need[changed]}):
        try:
            sign(Metadata(date(kinds[role](), days_of(new)[role], repository.clock())), new, signers)
        except TrustError as error:
            raise TrustError(f"The keys of {role} must sign as soon as the root changes", got=error.got, expected=error.expected,
                             fix="Give them with the last signature of the root.") from error  # fmt: skip


def _standing(root: Root, new: Metadata[Root]) -> Staged:
    result = new.signed.get_root_verification_result(root, new.signed_bytes, new.signatures)
    missing = {"before": result.first.missing, "after": result.second.missing}
    changed = tuple(role for role in ROLES if root.roles[role].to_dict() != new.signed.roles[role].to_dict())
    return Staged(new.signed.version, changed, missing, False)


def _changed(root: Root, role: str, add: Sequence[Key], remove: Sequence[str]) -> list[Key]:
    held = root.roles[role].keyids
    gone = {_find(held, word) for word in remove}
    return [root.keys[keyid] for keyid in held if keyid not in gone] + [key for key in add if key.keyid not in held]


def _find(keyids: Sequence[str], word: str) -> str:
    fitting = [keyid for keyid in keyids if word and keyid.startswith(word)]
    if len(fitting) != 1:
        raise FormatError("This is no key of the role", got=word, expected=", ".join(keyid[:12] for keyid in keyids))
    return fitting[0]


def _file(repository: Repository) -> Path:
    return repository.path / ".staged" / "root.json"
