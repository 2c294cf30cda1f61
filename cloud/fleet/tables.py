"""The tables of a fleet, beside the records that its devices send.

- `devices`: one row each; the hash of its key, labels, what runs there, when it was last heard of.
- `device_entries`: (device, sequence) of everything that was taken, so that nothing is taken twice; `seq` in the order of commits.
- `device_losses`: what a device says it gave up, by outbox, kind and reason: totals, which only grow.
- `device_events`: what happened on devices: updates, roll-backs, restarts.
- `fleet_desired`: the release that is wanted, for one device ("device:ID") or for those with labels ("site=north,line=2"; "": all).
- `fleet_words`: all that was ever said of it, in order, by whom; a release of "" takes a word back.
- `device_spans`: runs of numbers whose rows in `device_entries` were old and are gone: see forgetting.py.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from ..records.database import Database
from ..records.tables import METADATA, sequence


def _text(name: str, key: bool = False) -> Column[str]:
    return Column(name, Text(), primary_key=key, nullable=False)


def _whole(name: str, key: bool = False, empty: bool = False) -> Column[int]:
    return Column(name, BigInteger(), primary_key=key, nullable=empty, autoincrement=False)


DEVICES = Table(
    "devices", METADATA, _text("id", True), _text("labels"), _text("key_hash"), _text("deployments"), _text("versions"), _whole("made_ms"),
    _whole("seen_ms", empty=True), _whole("highest"), _whole("entries"), Column("blocked", Text()),
)  # fmt: skip
ENTRIES = Table(
    "device_entries", METADATA, _text("device", True), _whole("sequence", True), _text("id"), _text("kind"), _whole("received_ms"),
)  # fmt: skip
LOSSES = Table(
    "device_losses", METADATA, _text("device", True), _text("outbox", True), _text("kind", True), _text("reason", True), _whole("count"),
)  # fmt: skip
EVENTS = Table(
    "device_events", METADATA, sequence(), _text("device"), _whole("sequence"), _text("name"), _whole("at_ms"), _whole("received_ms"),
    _text("data"), sqlite_autoincrement=True,
)  # fmt: skip
DESIRED = Table("fleet_desired", METADATA, _text("selector", True), _text("release"), _whole("at_ms"), _text("by"))
WORDS = Table(
    "fleet_words", METADATA, sequence(), _text("selector"), _text("release"), _whole("at_ms"), _text("by"), sqlite_autoincrement=True,
)  # fmt: skip
SPANS = Table("device_spans", METADATA, _text("device", True), _whole("low", True), _whole("high"))
Index("device_entries_by_time", ENTRIES.c.received_ms)
Index("device_events_by_device", EVENTS.c.device, EVENTS.c.seq)
Index("device_entries_by_id", ENTRIES.c.id, unique=True)
OWN = (DEVICES, ENTRIES, LOSSES, EVENTS, DESIRED, WORDS, SPANS)


def prepare(database: Database) -> None:
    """Make the tables where they are not there. Raises SQLAlchemyError."""
    database.prepare(*OWN)
