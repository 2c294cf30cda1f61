"""Decisions: once however often sent, with their label, taken back by whoever made them, never lost to a clock."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_desk import drafts, fill
from made_reviews import NOW, item, number
from sqlalchemy import select

from portside.cloud.records.reading import every_label, labels_of
from portside.cloud.review import queue
from portside.cloud.review.deciding import decide, undo
from portside.cloud.review.refusals import TakenError, UnknownReviewError
from portside.cloud.review.tables import DECISIONS, NOTICES
from portside.sdk.core.errors import InputError

ONE, RECORD = number(1), number(1, 2)


@pytest.fixture
def waiting(database):
    queue.enqueue(database, [item(1), item(2, reason="check")])
    queue.lease(database, "ana", NOW, deployment="nowhere")
    return database


def said(database, record=RECORD):
    return {key: dict(label.values) for key, label in labels_of(database, [record]).items()}


def notices(database):
    with database.read() as connection:
        return [row[0] for row in connection.execute(select(NOTICES.c.event).order_by(NOTICES.c.made_ms, NOTICES.c.id))]


def test_a_decision_is_an_answer_and_a_label(waiting):
    made = decide(waiting, ONE, "ana", {"label": 0}, NOW, note="a scratch", took_ms=900)
    assert (made.reviewer, made.values, made.late, made.took_ms) == ("ana", {"label": 0}, False, 900)
    told = queue.status(waiting, ONE)
    assert (told.state, told.answer, told.by, told.at_ms) == ("decided", {"label": 0}, "ana", NOW)
    label = labels_of(waiting, [RECORD])[RECORD, 0]
    assert (label.id, label.author, label.source, label.note) == (made.id, "ana", "person", "a scratch")
    decide(waiting, number(2), "ana", {"label": 0}, NOW)
    assert labels_of(waiting, [number(2, 2)])[number(2, 2), 0].source == "check"


@pytest.mark.parametrize("token", [number(1, 7), None])
def test_sent_twice_it_is_there_once(waiting, token):
    first = decide(waiting, ONE, "ana", {"label": 0}, NOW, token=token)
    assert decide(waiting, ONE, "ana", {"label": 0}, NOW + 5000, token=token) == first
    assert len(every_label(waiting, [RECORD])) == 1 and notices(waiting) == ["decided"]


def test_the_first_one_counts(waiting):
    decide(waiting, ONE, "ana", {"label": 0}, NOW)
    with pytest.raises(TakenError, match="ana has decided") as refused:
        decide(waiting, ONE, "ben", {"label": 1}, NOW)
    assert refused.value.by == "ana"
    with pytest.raises(TakenError):
        decide(waiting, ONE, "ana", {"label": 1}, NOW)  # who thinks again takes back first
    assert said(waiting) == {(RECORD, 0): {"label": 0}}


def test_what_somebody_holds_is_theirs_until_the_lease_ends(waiting):
    queue.lease(waiting, "ana", NOW, ms=1000)
    queue.lease(waiting, "ana", NOW, ms=1000)
    with pytest.raises(TakenError, match="ana holds"):
        decide(waiting, ONE, "ben", {"label": 1}, NOW + 999)
    decide(waiting, ONE, "ben", {"label": 1}, NOW + 1000)
    with pytest.raises(TakenError, match="ben has decided"):
        decide(waiting, ONE, "ana", {"label": 0}, NOW + 1001)


def test_a_lease_that_ended_unnoticed_costs_nobody_an_answer(waiting):
    queue.lease(waiting, "ana", NOW, ms=10)
    assert not decide(waiting, number(2), "ana", {"label": 1}, NOW + 99_999).late


def test_undo_gives_the_item_back_and_its_label_no_longer_counts(waiting):
    made = decide(waiting, ONE, "ana", {"label": 0}, NOW, tell_in_ms=5000)
    back = undo(waiting, ONE, "ana", NOW + 1, seat="s", ms=1000)
    assert back.undone_ms == NOW + 1 and back.id == made.id
    assert queue.status(waiting, ONE, NOW + 2).state == "leased" and queue.status(waiting, ONE, NOW + 2).answer is None
    assert queue.renew(waiting, [ONE], "ana", NOW + 2, seat="s") == [ONE]
    assert said(waiting) == {(RECORD, 0): {"label": None}} and len(every_label(waiting, [RECORD])) == 2
    assert notices(waiting) == []  # nobody had been told, so nobody is
    again = decide(waiting, ONE, "ana", {"label": 1}, NOW + 3)
    assert said(waiting) == {(RECORD, 0): {"label": 1}} and again.id != made.id


def test_undo_twice_is_once_and_late_copies_of_it_touch_nothing(waiting):
    first = decide(waiting, ONE, "ana", {"label": 0}, NOW, token=number(1, 7))
    undone = undo(waiting, ONE, "ana", NOW + 1, token=first.id)
    assert undo(waiting, ONE, "ana", NOW + 2, token=first.id) == undone == undo(waiting, ONE, "ana", NOW + 2)
    decide(waiting, ONE, "ana", {"label": 1}, NOW + 3, token=number(2, 7))
    assert undo(waiting, ONE, "ana", NOW + 4, token=first.id) == undone  # a copy that was under way for long
    assert decide(waiting, ONE, "ana", {"label": 0}, NOW + 5, token=first.id).undone_ms == NOW + 1  # and one of the decision itself
    assert queue.status(waiting, ONE).answer == {"label": 1} and said(waiting) == {(RECORD, 0): {"label": 1}}


def test_only_who_decided_takes_back(waiting):
    decide(waiting, ONE, "ana", {"label": 0}, NOW)
    with pytest.raises(TakenError, match="ana has decided"):
        undo(waiting, ONE, "ben", NOW)
    with pytest.raises(InputError, match="no decision"):
        undo(waiting, number(2), "ana", NOW)
    with pytest.raises(UnknownReviewError):
        undo(waiting, "nobody", "ana", NOW)


def test_who_was_told_is_told_of_an_undo(waiting):
    decide(waiting, ONE, "ana", {"label": 0}, NOW)
    with waiting.write() as connection:
        connection.execute(NOTICES.update().values(sent_ms=NOW))
    undo(waiting, ONE, "ana", NOW + 1)
    assert notices(waiting) == ["decided", "undone"]


def test_an_undone_correction_leaves_what_was_known_before(waiting):
    queue.enqueue(waiting, [item(3)])
    decide(waiting, ONE, "ana", {"label": 0}, NOW)
    with waiting.write() as connection:  # the same row is asked about once more
        connection.execute(queue.REVIEWS.update().where(queue.REVIEWS.c.id == number(3)).values(record=RECORD))
    decide(waiting, number(3), "ben", {"label": 1}, NOW + 10)
    assert said(waiting) == {(RECORD, 0): {"label": 1}}
    undo(waiting, number(3), "ben", NOW + 20)
    assert said(waiting) == {(RECORD, 0): {"label": 0}}


def test_after_the_deadline_an_answer_is_a_label_and_no_more(waiting):
    queue.enqueue(waiting, [item(5, deadline_ms=NOW + 10)])
    queue.lease(waiting, "ana", NOW)
    queue.expire(waiting, NOW + 10)
    late = decide(waiting, number(5), "ana", {"label": 0}, NOW + 11, token=number(5, 7))
    assert late.late and decide(waiting, number(5), "ana", {"label": 0}, NOW + 12, token=number(5, 7)) == late
    assert queue.status(waiting, number(5)).answer == {"label": 1}  # what the caller was told stands
    assert said(waiting, number(5, 2)) == {(number(5, 2), 0): {"label": 0}}
    with pytest.raises(TakenError, match="expired"):
        decide(waiting, number(5), "ben", {"label": 0}, NOW + 12)
    assert undo(waiting, number(5), "ana", NOW + 13).undone_ms and queue.status(waiting, number(5)).state == "expired"
    assert said(waiting, number(5, 2)) == {(number(5, 2), 0): {"label": None}}


def test_a_clock_that_went_back_loses_nothing(waiting):
    decide(waiting, ONE, "ana", {"label": 0}, NOW)
    undo(waiting, ONE, "ana", NOW - 50_000)
    decide(waiting, ONE, "ana", {"label": 1}, NOW - 90_000)
    assert said(waiting) == {(RECORD, 0): {"label": 1}} and len(every_label(waiting, [RECORD])) == 3


def test_values_that_the_output_cannot_hold_leave_no_trace(tmp_path, queue_file):
    (record,) = fill(tmp_path, drafts(1))
    queue.enqueue(queue_file, [replace(item(1), record=record)])
    for values in ({"label": 7}, {"label": "ugly"}, {"other": 1}, {}):
        with pytest.raises(InputError):
            decide(queue_file, ONE, "ana", values, NOW)
    assert every_label(queue_file, [record]) == [] and queue.status(queue_file, ONE).state == "pending"
    with queue_file.read() as connection:
        assert connection.execute(select(DECISIONS.c.id)).first() is None
    decide(queue_file, ONE, "ana", {"label": "bad"}, NOW)
    assert labels_of(queue_file, [record])[record, 0].values == {"label": 1}  # names become codes, as records hold them




def test_said_by_name_or_by_code_it_is_the_same_decision(tmp_path, queue_file):
    (record,) = fill(tmp_path, drafts(1))
    queue.enqueue(queue_file, [replace(item(1), record=record)])
    first = decide(queue_file, ONE, "ana", {"label": "bad"}, NOW)
    assert decide(queue_file, ONE, "ana", {"label": "bad"}, NOW + 5000) == first
    assert decide(queue_file, ONE, "ana", {"label": 1}, NOW + 6000) == first
    assert len(every_label(queue_file, [record])) == 1 and notices(queue_file) == ["decided"]
    for other in ({"label": "good"}, {"label": "ugly"}, {}):
        with pytest.raises(TakenError, match="ana has decided"):
            decide(queue_file, ONE, "ana", other, NOW + 7000)
    with pytest.raises(TakenError):
        decide(queue_file, ONE, "ben", {"label": "bad"}, NOW + 8000)
