"""Files of version 1, as Portside 0.1 wrote them before there was a `seq`, are carried over; newer ones are refused."""

import sqlite3
from contextlib import closing

import pytest
from drafts import draft, label
from sqlalchemy import text

from portside.cloud.records.database import Database
from portside.cloud.records.labelling import label as write
from portside.cloud.records.reading import after, labels_of, records
from portside.cloud.records.rows import row
from portside.cloud.records.tables import COLUMNS, VERSION
from portside.sdk.core.errors import FormatError

FIRST = tuple(name for name in COLUMNS if name != "name")
TYPES = {"server_ms": "INTEGER NOT NULL", "event_ms": "INTEGER NOT NULL", "sequence": "INTEGER", "version": "INTEGER NOT NULL",
         "exposed": "INTEGER NOT NULL", "propensity": "REAL NOT NULL", "selection": "REAL NOT NULL"}  # fmt: skip


def old_file(path, drafts):
    columns = ", ".join(f"{name} {TYPES.get(name, 'TEXT')}" for name in FIRST)
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(f"CREATE TABLE records ({columns}, PRIMARY KEY (id)) WITHOUT ROWID")
        file.execute("PRAGMA user_version = 1")
        for item in drafts:
            values = dict(zip(COLUMNS, row(item, 4096), strict=True))
            marks = ", ".join("?" * len(FIRST))
            file.execute(f"INSERT INTO records VALUES ({marks})", [values[name] for name in FIRST])  # noqa: S608


def test_an_old_file_is_carried_over_and_goes_on(tmp_path):
    drafts = [draft(f"e{number}") for number in range(300)]
    old_file(tmp_path / "r.sqlite", drafts)
    found = list(records(tmp_path / "r.sqlite"))
    assert [record.id for record in found] == sorted(item.record.id for item in drafts)
    assert {record.name for record in found} == {""} and found[0].inputs["x"] == [[1.0, None]]
    with Database.open(tmp_path / "r.sqlite") as database:  # once: it is of today's version now
        assert [seq for seq, _ in after(database, 298)] == [299, 300]
        write(database, [label(found[0].id)])
        assert labels_of(database, [found[0].id])[found[0].id, 0].values == {"label": 1}


def test_migration_is_all_or_nothing(tmp_path, monkeypatch):
    drafts = [draft() for _ in range(10)]
    old_file(tmp_path / "r.sqlite", drafts)
    with monkeypatch.context() as patch:
        patch.setattr("portside.cloud.records.migrating._carry", lambda connection: connection.execute(text("SELECT nonsense")))
        with pytest.raises(FormatError, match="nonsense"):
            Database.open(tmp_path / "r.sqlite")
    assert len(list(records(tmp_path / "r.sqlite"))) == 10


def test_a_newer_database_is_refused(place):
    with Database.open(place) as database, database.write() as connection:
        change = "PRAGMA user_version = {}" if database.kind == "sqlite" else "UPDATE portside_version SET version = {}"
        connection.execute(text(change.format(VERSION + 1)))
    with pytest.raises(FormatError, match="another version"):
        Database.open(place)
