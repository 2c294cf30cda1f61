"""Devices in their table: enrolled with a key that nothing keeps, let in by it, seen, blocked."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy import insert as insert_into

from ...sdk.core.errors import InputError, TrustError
from ..monitoring.upsert import upsert
from ..records.database import Database
from ..records.rows import text_of
from ..security.keys import EVERY, hashed
from .desired import ONE, Desired, desired, pairs
from .tables import DESIRED, DEVICES, LOSSES, WORDS

PREFIX = "pdk"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Device:
    """One device.

    Attributes:
        labels: name -> value, by which releases are chosen.
        deployments: names of which it may send records, or EVERY.
        versions: what it says runs there. seen_ms: when it was last heard of; None: never.
        highest: its largest sequence number here; entries: how many of its numbers are here.
        lost: "kind:reason" -> entries that it gave up.
        blocked: why it is let in no more; None: it is.
        desired: the release it is to run.
    """

    id: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    deployments: tuple[str, ...] = (EVERY,)
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    made_ms: int = 0
    seen_ms: int | None = None
    highest: int = 0
    entries: int = 0
    lost: Mapping[str, int] = field(default_factory=dict[str, int])
    blocked: str | None = None
    desired: str | None = None

    @property
    def missing(self) -> int:
        """Numbers below its highest that are not here: on their way, or given up."""
        return self.highest - self.entries

    def allows(self, deployment: str) -> bool:
        """Whether it may send records of this deployment."""
        return EVERY in self.deployments or deployment in self.deployments


def enrol(database: Database, device: str, labels: Mapping[str, str], now_ms: int, deployments: Sequence[str] = (EVERY,)) -> str:
    """Add a device; its key, which is shown once. A device that is there gets a new key, and the old one counts no more.

    Raises InputError, SQLAlchemyError.
    """
    if not _ID.fullmatch(device):
        raise InputError("This is no name for a device", field="device", got=device[:70], expected="1 to 64 letters, digits, '.', '_', '-'")
    pairs(",".join(f"{name}={value}" for name, value in labels.items()))
    key = f"{PREFIX}_{secrets.token_urlsafe(32)}"
    values = {"labels": text_of(dict(labels)), "key_hash": hashed(key), "deployments": text_of(list(deployments)), "blocked": None}
    with database.write() as connection:
        known = connection.execute(select(DEVICES.c.id).where(DEVICES.c.id == device)).first()
        if known is not None:
            connection.execute(update(DEVICES).where(DEVICES.c.id == device).values(values))
        else:
            fresh = {"id": device, "versions": "{}", "made_ms": now_ms, "seen_ms": None, "highest": 0, "entries": 0}
            connection.execute(insert_into(DEVICES).values({**fresh, **values}))
    return key


def admitted(database: Database, device: str, key: str) -> Device:
    """The device with this key. Raises TrustError for one that is not known, whose key is another, or that is blocked; SQLAlchemyError."""
    with database.read() as connection:
        row = connection.execute(select(DEVICES).where(DEVICES.c.id == device)).first()
    right = hmac.compare_digest(row.key_hash if row is not None else "-", hashed(key))
    if row is None or not right:
        raise TrustError("No device is known here with this key", fix="Enrol it, and give it the key that is printed.")
    if row.blocked is not None:
        raise TrustError("This device is blocked", got=row.blocked)
    return _device(row, {}, [])


def block(database: Database, device: str, why: str | None) -> bool:
    """Let a device in no more, or again (None); whether there is one. Raises SQLAlchemyError."""
    with database.write() as connection:
        done = connection.execute(update(DEVICES).where(DEVICES.c.id == device).values(blocked=why).returning(DEVICES.c.id))
        return done.first() is not None


def devices(database: Database) -> list[Device]:
    """All of them, by name. Raises SQLAlchemyError."""
    with database.read() as connection:
        words, lost = wanted(connection), _losses(connection)
        return [_device(row, lost.get(row.id, {}), words) for row in connection.execute(select(DEVICES).order_by(DEVICES.c.id))]


def want(database: Database, word: Desired, by: str) -> None:
    """Say which release is wanted; "" takes back what was said of this selector.

    Raises InputError for a selector that selects nothing, SQLAlchemyError.
    """
    if not word.selector.startswith(ONE):
        pairs(word.selector)
    said = {"release": word.release, "at_ms": word.at_ms, "by": by}
    with database.write() as connection:
        if word.release:
            upsert(connection, DESIRED, {"selector": word.selector}, said)
        else:
            connection.execute(delete(DESIRED).where(DESIRED.c.selector == word.selector))
        connection.execute(insert_into(WORDS).values(selector=word.selector, **said))


def wanted(connection: Connection) -> list[Desired]:
    """All that was said."""
    table = DESIRED.c
    return [Desired(*row) for row in connection.execute(select(table.selector, table.release, table.at_ms))]


def wanted_here(connection: Connection, device: Device) -> str | None:
    """The release that a device is to run."""
    return desired(device.id, device.labels, wanted(connection))


def _losses(connection: Connection) -> dict[str, dict[str, int]]:
    found = dict[str, dict[str, int]]()
    table = LOSSES.c
    for device, kind, reason, count in connection.execute(select(table.device, table.kind, table.reason, table["count"])):
        held, name = found.setdefault(device, {}), f"{kind}:{reason}"
        held[name] = held.get(name, 0) + count
    return found


def _device(row: Row[Any], lost: Mapping[str, int], words: Sequence[Desired]) -> Device:
    labels = json.loads(row.labels)
    return Device(row.id, labels, tuple(json.loads(row.deployments)), json.loads(row.versions), row.made_ms, row.seen_ms, row.highest,
                  row.entries, lost, row.blocked, desired(row.id, labels, words))  # fmt: skip
