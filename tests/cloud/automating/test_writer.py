"""Reviews into the database: durable when it is said, bounded, each harmed by its own faults alone."""

import asyncio

import pytest

from portside.cloud.automating.writer import ReviewWriter
from portside.cloud.records.database import Database
from portside.cloud.review.item import Item
from portside.cloud.review.queue import status
from portside.sdk.core.errors import PortsideError


@pytest.fixture
def writer(tmp_path):
    made = ReviewWriter(tmp_path / "records.sqlite", size=3)
    yield made
    made.close()


def items(*names, payload=None):
    return [Item(name, f"r{name}", 0, "tester", payload=payload or {}) for name in names]


def test_what_was_waited_for_is_there(writer, tmp_path):
    asyncio.run(writer.now(items("a", "b")))
    with Database.open(tmp_path / "records.sqlite") as database:
        assert status(database, "a").state == status(database, "b").state == "pending"
    assert (writer.written, writer.lost) == (2, 0)


def test_what_finds_the_queue_full_is_lost_and_counted(writer):
    writer._closed = True  # nothing more is taken
    writer.later(items("a"))
    assert writer.lost == 1
    with pytest.raises(PortsideError):
        asyncio.run(writer.now(items("b")))
    assert writer.lost == 2


def test_checks_are_written_some_time(writer, tmp_path):
    writer.later(items("a", "b", "c", "d"))
    assert writer.lost == 1
    writer.close()
    with Database.open(tmp_path / "records.sqlite") as database:
        assert [status(database, name).state for name in "abc"] == ["pending"] * 3


def test_a_row_that_cannot_be_kept_harms_its_own_caller_alone(writer, tmp_path):
    odd = items("odd", payload={"x": object()})

    async def together():
        return await asyncio.gather(writer.now(items("a")), writer.now(odd), writer.now(items("b")), return_exceptions=True)

    first, second, third = asyncio.run(together())
    assert first is None and third is None and isinstance(second, PortsideError)
    writer.later(odd)
    writer.later(items("c"))
    writer.close()
    with Database.open(tmp_path / "records.sqlite") as database:
        assert [status(database, name).state for name in "abc"] == ["pending"] * 3
    assert writer.lost == 2 and writer.written == 3 and writer.fault


def test_a_caller_who_leaves_stops_nothing(writer, tmp_path):
    async def leave():
        task = asyncio.create_task(writer.now(items("a")))
        await asyncio.sleep(0)
        task.cancel()
        await writer.now(items("b"))

    asyncio.run(leave())
    with Database.open(tmp_path / "records.sqlite") as database:
        assert status(database, "a").state == status(database, "b").state == "pending"
