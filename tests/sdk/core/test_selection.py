"""With which probability a row was chosen: of records of one row, of several, and of those from before there was a dial."""

from portside.sdk.core.records import Record
from portside.sdk.core.selection import Selection, selection_of


def test_one_row_is_as_its_record_says():
    record = Record("r", 0, 0, selection=0.05, selection_reason="check")
    assert selection_of(record, 0) == Selection(0.05, "check", "model")


def test_rows_that_differ_stand_in_the_receipt():
    rows = [[0.05, "confident", "model"], [1.0, "low-confidence", "both"]]
    record = Record("r", 0, 0, selection=0.05, selection_reason="mixed", decided_by="mixed", receipt={"automation": {"rows": rows}})
    assert [selection_of(record, row) for row in (0, 1)] == [Selection(*row) for row in rows]
    assert selection_of(record, 2).reason == "mixed"


def test_records_from_before_were_chosen_by_nobody():
    assert selection_of(Record("r", 0, 0), 0) == Selection(0.0, None, "model")
