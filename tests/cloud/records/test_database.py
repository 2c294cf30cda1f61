"""What a transaction promises, on both databases."""

import threading

import pytest
from drafts import label
from sqlalchemy import Column, Integer, Table, Text, text

from portside.cloud.records.database import Database
from portside.cloud.records.labelling import label as write
from portside.cloud.records.reading import after, labels_after
from portside.cloud.records.tables import METADATA
from portside.sdk.core.errors import MissingExtraError


def test_commits_are_synced(database):
    with database.read() as connection:
        asked = "PRAGMA synchronous" if database.kind == "sqlite" else "SHOW synchronous_commit"
        assert connection.execute(text(asked)).scalar() in (2, "on")


def test_whoever_reads_does_not_wait_for_who_writes(place):
    with Database.open(place) as one, one.write(), Database.open(place) as other:
        assert after(other, 0) == []


def test_writers_take_turns(database):
    inside, order = threading.Event(), list[str]()

    def second():
        inside.wait(10)
        with database.write():
            order.append("second")

    waits = threading.Thread(target=second)
    waits.start()
    with database.write():
        inside.set()
        waits.join(0.3)
        order.append("first")
    waits.join(10)
    assert order == ["first", "second"]


def test_a_transaction_that_fails_leaves_nothing(database):
    with pytest.raises(KeyError), database.write() as connection:
        connection.execute(text("INSERT INTO deployments VALUES ('d', 'n', '{}', 1)"))
        raise KeyError
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM deployments")).scalar() == 0


def test_others_make_tables_of_their_own_once(database):
    table = Table(f"other_{database.kind}", METADATA, Column("id", Integer, primary_key=True), Column("record", Text))
    try:
        for _ in range(2):
            database.prepare(table)
        with database.read() as connection:
            assert connection.execute(table.select()).all() == []
    finally:
        METADATA.remove(table)


def test_a_database_is_opened_by_many_at_once(place):
    """Tables are made by the first; nobody fails for being second."""
    faults: list[Exception] = []

    def opens():
        try:
            with Database.open(place) as opened:
                write(opened, [label("r")])
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=opens) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Database.open(place) as database:
        assert faults == [] and len(labels_after(database, 0)) == 6


def test_without_the_driver_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("portside.cloud.records.database.create_engine", _absent)
    with pytest.raises(MissingExtraError, match=r"portside\[postgres\]"):
        Database.open("postgresql://somebody@there/records")


def _absent(*_, **__):
    raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")
