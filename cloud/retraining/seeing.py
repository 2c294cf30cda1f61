"""What there is now, for the triggers: alerts that fire, labels that came, packages that others are built on."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import and_, func, inspect, select

from ...sdk.core.errors import StoreError
from ...sdk.core.records import SHADOW
from ...sdk.store import Store
from ..deployment.retrain import Retrain
from ..monitoring.reading import alerts
from ..monitoring.tables import ALERTS
from ..records.database import Database
from ..records.tables import LABELS, RECORDS
from .triggers import DAY_MS, HOUR_MS, Fired, Past, Seen, Settings


def settings_of(section: Retrain) -> Settings:
    """What asks, of a `[retrain]` section."""
    every = None if section.every_days is None else int(section.every_days * DAY_MS)
    return Settings(tuple(section.on_alerts), section.on_labels, every, tuple(section.on_upstream), section.min_labels,
                    int(section.cooldown_hours * HOUR_MS))  # fmt: skip


def see(database: Database, name: str, section: Retrain, past: Past, now_ms: int, trying: str | None = None) -> Seen:
    """Look. Raises SQLAlchemyError, FormatError.

    Args:
        database: of the deployment's records.
        name: of the deployment.
        past: what earlier runs knew.
        now_ms: the time.
        trying: a candidate that is being tried, in words.
    """
    since = None if section.rows.days is None else now_ms - int(section.rows.days * DAY_MS)
    first = _first(database, name)
    return Seen(now_ms, _labelled(database, name, labelled_since=past.done_ms), _labelled(database, name, asked_since=since), first,
                fired(database, name), upstream_of(section.on_upstream), trying)  # fmt: skip


def fired(database: Database, name: str) -> tuple[Fired, ...]:
    """The alerts of a deployment that fire; none where no monitor ever ran."""
    if not inspect(database.engine).has_table(ALERTS.name):
        return ()
    return tuple(Fired(alert.id, alert.name, alert.subject, alert.since_ms) for alert in alerts(database, name, "firing"))


def upstream_of(references: Iterable[str]) -> dict[str, str]:
    """reference -> digest of the packages in the store; those that are nowhere are left out."""
    found: dict[str, str] = {}
    for reference in references:
        try:
            found[reference] = Store().resolve(reference)
        except StoreError:
            continue
    return found


def _labelled(database: Database, name: str, labelled_since: int | None = None, asked_since: int | None = None) -> int:
    """Rows of the deployment with a label, said or answered since then; shadows and steps of graphs are no rows."""
    of = and_(RECORDS.c.name == name, RECORDS.c.arm != SHADOW)
    if labelled_since is not None:
        of = and_(of, LABELS.c.at_ms >= labelled_since)
    if asked_since is not None:
        of = and_(of, RECORDS.c.server_ms >= asked_since)
    rows = select(LABELS.c.record, LABELS.c.row).join(RECORDS, RECORDS.c.id == LABELS.c.record).where(of).distinct().subquery()
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(rows)).scalar() or 0)


def _first(database: Database, name: str) -> int | None:
    query = select(func.min(LABELS.c.at_ms)).join(RECORDS, RECORDS.c.id == LABELS.c.record).where(RECORDS.c.name == name)
    with database.read() as connection:
        return connection.execute(query).scalar()
