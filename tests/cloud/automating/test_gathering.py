"""From records and labels to what thresholds are fitted on: every label for as many rows as it stands for, or left out and counted."""

import numpy as np
import pytest

from portside.cloud.automating.gathering import gather
from portside.cloud.automating.plan import Plan, Slice
from portside.cloud.automating.score import parse
from portside.cloud.automation import Dial
from portside.cloud.records.database import Database
from portside.cloud.records.draft import Draft
from portside.cloud.records.labelling import label
from portside.cloud.records.store import RecordStore
from portside.sdk.core.labels import Label
from portside.sdk.core.records import Record, new_id
from portside.sdk.core.signature import Signature

PLAN = Plan(Dial("partial"), parse("sure"), "label", (Slice("label=1", "label", 1, True),))
PACKAGE = "sha256:1"


@pytest.fixture
def found(tmp_path):
    """(records, labels) -> what is gathered of them."""

    def build(records, labels, **options):
        store = RecordStore(tmp_path / "records.sqlite")
        for record in records:
            store.put(Draft(record, {}, arrays(record), Signature((), ())))
        store.close()
        with Database.open(tmp_path / "records.sqlite") as database:
            label(database, labels)
            return gather(database, "tester", PACKAGE, PLAN, **options)

    return build


def arrays(record):
    return {name: np.asarray(value) for name, value in record.outputs.items()}


def record(number, labels=(0,), sure=(0.9,), package=PACKAGE, at=10, **more):
    return Record(number, at, at, package=package, name="tester", outputs={"label": list(labels), "sure": list(sure)}, **more)


def said(number, value, row=0, source="person", output="label"):
    return Label(new_id(), number, row, {output: value}, "ana", 99, source)


def test_reviews_count_for_as_many_rows_as_they_stand_for(found):
    rows = [[0.05, "check", "model"], [1.0, "low-confidence", "both"], [0.05, "confident", "model"]]
    many = record("a", (0, 0, 0), (0.99, 0.4, 0.98), receipt={"automation": {"rows": rows}})
    held = found([many], [said("a", 0, 0, "check"), said("a", 1, 1)])
    assert [(row.score, row.correct, row.weight, row.automated) for row in held.rows[""]] == [
        (0.99, True, 20.0, True), (0.4, False, 1.0, False)]  # fmt: skip
    assert held.traffic[""] == [0.99, 0.4, 0.98] and held.waiting == 0 and not held.left_out


def test_rows_are_told_apart_by_slice(found):
    held = found([record("a", (1, 0), (0.9, 0.8), selection=1.0)], [said("a", 1, 0), said("a", 1, 1)])
    assert [row.correct for row in held.rows["label=1"]] == [True] and [row.correct for row in held.rows[""]] == [False]


def test_the_label_that_counts_is_the_newest(found):
    early = Label(new_id(), "a", 0, {"label": 1}, "ana", 5, "person")
    assert found([record("a", selection=1.0)], [said("a", 0), early]).rows[""][0].correct


def test_labels_that_do_not_count_are_counted(found):
    records = [record("own", selection=1.0), record("came", selection=1.0), record("before"), record("other", package="sha256:2"),
               record("silent", selection=1.0, decided_by="both", selection_reason="level"), record("vague", selection=1.0),
               Record("asleep", 1, 1, package=PACKAGE, name="tester"), Record("foreign", 1, 1, package=PACKAGE, name="else")]  # fmt: skip
    labels = [said("own", 0), said("came", 0, source="api"), said("before", 0), said("other", 0), said("vague", 3.0, output="sure"),
              said("asleep", 0), said("foreign", 0)]  # fmt: skip
    held = found(records, labels)
    assert len(held.rows[""]) == 1 and held.waiting == 1 and len(held.traffic[""]) == 5
    assert dict(held.left_out) == {
        "chosen with a probability that nobody knows": 2, "not the champion's answer, or that of another package": 1,
        "nothing is said of label": 1, "the score was not kept": 1,
    }  # fmt: skip


def test_outcomes_that_come_for_every_row_count_alike_where_that_is_said(found):
    records = [record("a", selection=0.05), record("b", labels=(1,), sure=(0.8,)), record("late", at=50)]
    held = found(records, [said("a", 0, source="api"), said("b", 0, source="import"), said("late", 0)], every_label=True, until_ms=40)
    assert [(row.correct, row.weight) for rows in held.rows.values() for row in rows] == [(True, 1.0), (False, 1.0)]


def test_a_score_that_is_not_a_number_is_the_least_sure(found):
    held = found([record("a", (0, 0), (float("nan"), 0.5), selection=1.0)], [said("a", 0)])
    assert np.isnan(held.traffic[""][0]) and held.columns("")[0].tolist() != [0.0]
