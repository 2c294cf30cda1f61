"""Labelled rows out of the database: what was looked at, what counts as its label by now, who said so, and why it was asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, select

from ...sdk.core.labels import Label
from ..records.database import Database
from ..records.reading import labels_of
from .payload import Part
from .rows import payload_of
from .tables import REVIEWS
from .turn import reading

AT_ONCE = 200


@dataclass(frozen=True)
class Wanted:
    """Which rows.

    Attributes:
        deployments: names; none: all.
        since_ms, until_ms: of the label, Unix milliseconds; `until_ms` itself is not among them.
        sources: of the label; none: all.
        authors: none: all.
    """

    deployments: tuple[str, ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None
    sources: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()

    def takes(self, label: Label) -> bool:
        """Whether a row with this label is wanted."""
        late = self.until_ms is not None and label.at_ms >= self.until_ms
        early = self.since_ms is not None and label.at_ms < self.since_ms
        if late or early:
            return False
        return (not self.sources or label.source in self.sources) and (not self.authors or label.author in self.authors)


@dataclass(frozen=True)
class Labelled:
    """A row with the label that counts. `model`: the model's own value of the reviewed output."""

    review: str
    record: str
    row: int
    deployment: str
    package: str
    entity: str | None
    created_ms: int
    selection: float
    reason: str
    output: str
    model: Any
    label: Label
    parts: tuple[Part, ...] = field(repr=False, default=())

    @property
    def key(self) -> str:
        """Names the row; older records first."""
        return f"{self.record}#{self.row}"


def labelled(database: Database, wanted: Wanted) -> Iterator[Labelled]:
    """Rows that were put before people and are labelled by now, by record and row; each once, however often it was reviewed."""
    last, seen = "", set[tuple[str, int]]()
    while rows := _some(database, wanted, last):
        last = rows[-1]["record"]
        labels = labels_of(database, {row["record"] for row in rows})
        for row in rows:
            label = labels.get((row["record"], row["row"]))
            known = {} if label is None else {name: value for name, value in label.values.items() if value is not None}
            if label is None or not known or not wanted.takes(label) or (row["record"], row["row"]) in seen:
                continue
            seen.add((row["record"], row["row"]))
            with reading(database) as connection:
                yield _labelled(row, label, payload_of(connection, row["id"]))


def _some(database: Database, wanted: Wanted, after: str) -> Sequence[RowMapping]:
    """Rows of whole records, by record, after this one."""
    of: ColumnElement[bool] = REVIEWS.c.record > after
    if wanted.deployments:
        of = and_(of, REVIEWS.c.deployment.in_(wanted.deployments))
    with reading(database) as connection:
        some = select(REVIEWS.c.record).where(of).distinct().order_by(REVIEWS.c.record).limit(AT_ONCE)
        records = list(connection.execute(some).scalars())
        order = (REVIEWS.c.record, REVIEWS.c.row, REVIEWS.c.created_ms, REVIEWS.c.id)
        query = select(REVIEWS).where(of, REVIEWS.c.record.in_(records)).order_by(*order)
        return connection.execute(query).mappings().all() if records else []


def _labelled(row: RowMapping, label: Label, parts: Sequence[Part]) -> Labelled:
    names = ("record", "row", "deployment", "package", "entity", "created_ms", "selection", "reason", "output")
    held = {name: row[name] for name in names}
    return Labelled(row["id"], **held, model=json.loads(row["model"]), label=label, parts=tuple(parts))
