"""The log of a rollout: what happened, when, who did it and why, with the figures of that moment. Appended to, chained, verified.

Every entry holds the digest of the one before it, and the rollout's own row the number and digest of the last one. So an entry that was
changed, put in, taken out or cut off the end is found by `verify_log`, whoever did it without making the whole chain anew; a digest that
is kept elsewhere (`portside rollout log` prints it) tells that as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select, update

from ...sdk.core.errors import IntegrityError
from ..records.database import Database
from .tables import LOG, ROLLOUTS

SYSTEM = "controller"
"""The author of what no person did."""


@dataclass(frozen=True)
class Entry:
    """One line of the log.

    Attributes:
        rollout: its id.
        number: of the entry, from 1.
        at_ms: when, by the clock of who wrote it; Unix milliseconds.
        kind: "started", "moved", "approved", "paged", "rolled back by hand", ...
        author: a person, or SYSTEM.
        before, after: the phase and step, "canary 5%".
        why: a sentence.
        evidence: JSON-ready: the figures that decided.
        previous, digest: of the entry before ("" for the first), and of this one.
    """

    rollout: str
    number: int
    at_ms: int
    kind: str
    author: str
    before: str
    after: str
    why: str
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    previous: str = ""
    digest: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**vars(self), "evidence": dict(self.evidence)}


@dataclass(frozen=True)
class Said:
    """What is to be logged: an Entry without its place in the chain."""

    kind: str
    why: str
    before: str = ""
    after: str = ""
    author: str = SYSTEM
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])


def append(connection: Connection, rollout: str, at_ms: int, said: Iterable[Said]) -> None:
    """Put entries behind the others, and the end of the chain into the rollout's row. Raises SQLAlchemyError."""
    number, head = connection.execute(select(ROLLOUTS.c.entries, ROLLOUTS.c.head).where(ROLLOUTS.c.id == rollout)).one()
    for one in said:
        number += 1
        row = {"rollout": rollout, "number": number, "at_ms": at_ms, "kind": one.kind, "author": one.author, "before": one.before,
               "after": one.after, "why": one.why, "evidence": _text(one.evidence), "previous": head}  # fmt: skip
        head = digest_of(row)
        connection.execute(insert(LOG).values(**row, digest=head))
    connection.execute(update(ROLLOUTS).where(ROLLOUTS.c.id == rollout).values(entries=number, head=head))


def read_log(database: Database, rollout: str) -> list[Entry]:
    """All entries, in order. Raises SQLAlchemyError."""
    with database.read() as connection:
        return [_entry(row) for row in _rows(connection, rollout)]


def verify_log(database: Database, rollout: str) -> str:
    """The digest of the last entry, when the whole log is as it was written.

    Raises:
        IntegrityError: an entry was changed, is missing, or was put in; it says which.
        SQLAlchemyError: the database cannot be read.
    """
    with database.read() as connection:
        rows = _rows(connection, rollout)
        held = connection.execute(select(ROLLOUTS.c.entries, ROLLOUTS.c.head).where(ROLLOUTS.c.id == rollout)).first()
    head = ""
    for place, row in enumerate(rows, 1):
        if row["number"] != place or row["previous"] != head:
            raise _broken(rollout, place, "does not follow the one before it", row["previous"], head)
        head = digest_of(row)
        if row["digest"] != head:
            raise _broken(rollout, place, "is not what was written", head, row["digest"])
    if held is not None and (held[0], held[1]) != (len(rows), head):
        raise _broken(rollout, len(rows) + 1, "is missing", f"{len(rows)} entries", f"{held[0]} entries that end with {held[1]}")
    return head


def digest_of(row: Mapping[str, Any]) -> str:
    """Of an entry: all it holds, the digest of the one before included."""
    text = json.dumps([row[name] for name in _HASHED], ensure_ascii=False, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


_HASHED = ("rollout", "number", "at_ms", "kind", "author", "before", "after", "why", "evidence", "previous")


def _rows(connection: Connection, rollout: str) -> list[Mapping[str, Any]]:
    columns = [LOG.c[name] for name in (*_HASHED, "digest")]
    query = select(*columns).where(LOG.c.rollout == rollout).order_by(LOG.c.number, LOG.c.seq)
    return [row._asdict() for row in connection.execute(query)]


def _entry(row: Mapping[str, Any]) -> Entry:
    """Evidence that somebody spoilt is shown as it stands; `verify_log` says of which entry it is."""
    try:
        evidence: Any = json.loads(row["evidence"])
    except (ValueError, TypeError, RecursionError):
        evidence = None
    values: dict[str, Any] = {**row, "evidence": evidence if isinstance(evidence, dict) else {"unreadable": str(row["evidence"])[:200]}}
    return Entry(**values)


def _text(evidence: Mapping[str, Any]) -> str:
    return json.dumps(dict(evidence), ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def _broken(rollout: str, number: int, what: str, got: object, expected: object) -> IntegrityError:
    return IntegrityError(f"The log of rollout {rollout} was tampered with: entry {number} {what}", got=got, expected=expected,
                          fix="Look who can write to the records database, and compare with a digest that was kept elsewhere.")  # fmt: skip
