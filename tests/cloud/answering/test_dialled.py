"""An engine with a dial: what callers get, what is recorded, what waits for a person, at every level; and what happens when that fails."""

import asyncio
import time
from contextlib import contextmanager

import dialled_up
import numpy as np
import pytest
from dialled_up import SURE, UNSURE
from sqlalchemy import text

from portside.cloud.answering.answers import Question
from portside.cloud.answering.clerk import LostReviewError
from portside.cloud.answering.engine import Engine
from portside.cloud.records.database import Database
from portside.cloud.records.reading import records
from portside.cloud.review.queue import lease, status
from portside.sdk.core.selection import selection_of

HAND = 'level = "partial"\nthreshold = 0.9\n'


@pytest.fixture
def dialled(tmp_path):
    """(automation, review) -> an engine and its records database, closed at the end."""

    @contextmanager
    def build(automation, review=""):
        engine = dialled_up.engine(dialled_up.written(tmp_path, automation, review))
        engine._clerk._draw = lambda: 0.5  # whether a row is drawn for a check is no matter of luck here
        with Database.open(tmp_path / "records.sqlite") as database:
            try:
                yield engine, database
            finally:
                engine.close()

    return build


def ask(engine, *rows):
    return asyncio.run(engine.answer(Question({"x": list(rows)}, time.monotonic())))


def kept(engine, database):
    engine.records.flush()
    return list(records(database.place))


def test_a_row_below_the_threshold_waits_and_the_others_do_not(dialled):
    with dialled(HAND) as (engine, database):
        answer = ask(engine, SURE, UNSURE)
        number = answer.pending.reviews[1]
        assert answer.pending.reviews == (None, number) and answer.pending.blank == (1,)
        assert answer.outputs["label"].tolist() == ["bad", None] and np.isnan(answer.outputs["score"]).tolist() == [False, True]
        assert status(database, number).state == "pending"  # it is on the disk before the answer is here
        item = lease(database, "ana", 0)
        assert (item.id, item.row, item.reason, item.selection, item.output, item.deployment) == (
            number, 1, "low-confidence", 1.0, "label", "tester")  # fmt: skip
        assert [(one.value, one.shown) for one in item.candidates] == [(1, "bad"), (0, "good")]
        assert item.candidates[0].probability == pytest.approx(0.5987, abs=1e-3)
        assert item.payload["x"] == pytest.approx(UNSURE)
        (record,) = kept(engine, database)
        assert [selection_of(record, row)[1:] for row in (0, 1)] == [("confident", "model"), ("low-confidence", "both")]
        assert selection_of(record, 0).probability == 0.05 and selection_of(record, 1).probability == 1.0
        assert record.outputs["label"] == [1, 1] and record.exposed and record.decided_by == "mixed" and item.record == record.id


def test_sure_rows_only_leave_an_answer_as_it_is_without_a_dial(dialled):
    with dialled(HAND + "check_share = 0.000001\n") as (engine, database):
        answer = ask(engine, SURE, SURE)
        assert answer.pending is None and answer.outputs["label"].tolist() == ["bad", "bad"]
        (record,) = kept(engine, database)
        assert (record.selection, record.selection_reason, record.decided_by) == (1e-6, "confident", "model")
        assert lease(database, "ana", 0) is None


def test_checks_are_drawn_of_what_the_model_decides_and_nobody_waits_for_them(dialled):
    with dialled(HAND + "check_share = 1.0\n") as (engine, database):
        answer = ask(engine, SURE)
        assert answer.pending is None and answer.outputs["label"].tolist() == ["bad"]
        (record,) = kept(engine, database)
    with Database.open(database.place) as again:  # the engine is closed: what waited for the writer is there
        item = lease(again, "ana", 0)
    assert (item.reason, item.selection, item.record) == ("check", 1.0, record.id) and record.selection_reason == "check"
    assert record.decided_by == "model" and item.priority < 1


@pytest.mark.parametrize("share", [0.3])
def test_as_many_are_drawn_as_is_recorded(dialled, share):
    with dialled(HAND + f"check_share = {share}\n") as (engine, database):
        engine._clerk._draw = np.random.default_rng(0).random
        ask(engine, *[SURE] * 1000)
        (record,) = kept(engine, database)
    found = [selection_of(record, row) for row in range(1000)]
    drawn = sum(one.reason == "check" for one in found)
    assert {one.probability for one in found} == {share} and 255 < drawn < 345
    assert engine._clerk.writer.written == drawn


@pytest.mark.parametrize(("waiting", "label", "score"), [("champion", "bad", 0.5987), ("default", "bad", 0.5)])
def test_what_a_caller_gets_meanwhile(dialled, waiting, label, score):
    with dialled(HAND + f'while_waiting = "{waiting}"\n') as (engine, _):
        answer = ask(engine, UNSURE, SURE)
        assert answer.pending.reviews[0] and answer.pending.reviews[1] is None and answer.pending.blank == ()
        assert answer.outputs["label"].tolist() == [label, "bad"]
        assert answer.outputs["score"].tolist() == pytest.approx([score, 0.9999], abs=1e-3)


def test_in_the_shadow_the_answer_is_recorded_and_nobody_sees_it(dialled):
    with dialled('level = "shadow"\n') as (engine, database):
        answer = ask(engine, SURE)
        assert answer.outputs["label"].tolist() == [None] and np.isnan(answer.outputs["score"]).all()
        item = lease(database, "ana", 0)
        assert [(one.value, one.probability) for one in item.candidates] == [(0, None), (1, None)]
        (record,) = kept(engine, database)
        assert record.outputs["label"] == [1] and not record.exposed
        assert (record.decided_by, record.selection, record.selection_reason) == ("person", 1.0, "level")


def test_assist_shows_the_proposal_to_the_person(dialled):
    with dialled('level = "assist"\n') as (engine, database):
        assert ask(engine, SURE).outputs["label"].tolist() == [None]
        assert [one.shown for one in lease(database, "ana", 0).candidates] == ["bad", "good"]
        assert kept(engine, database)[0].decided_by == "both"


def test_full_asks_nobody_but_for_checks(dialled):
    with dialled('level = "full"\ncheck_share = 0.000001\n') as (engine, database):
        assert ask(engine, UNSURE).pending is None
        assert kept(engine, database)[0].selection_reason == "level"


def test_at_level_human_no_model_is_asked(dialled, fault):
    with dialled('level = "human"\n') as (engine, database):
        fault("throw")
        answer = ask(engine, SURE, UNSURE)
        assert answer.outputs["label"].tolist() == [None, None] and all(answer.pending.reviews)
        assert (answer.receipt.model, answer.receipt.entry, answer.receipt.reason) == ("people", -1, "level")
        assert [one.shown for one in lease(database, "ana", 0).candidates] == ["good", "bad"]
        (record,) = kept(engine, database)
        assert record.outputs == {} and record.decided_by == "person" and not record.exposed


def test_a_backups_answer_is_never_automated(dialled, fault):
    with dialled(HAND) as (engine, database):
        fault("throw")
        answer = ask(engine, SURE)
        assert answer.receipt.model == "backup" and answer.pending is not None
        assert lease(database, "ana", 0).reason == "not-champion"


def test_without_a_fitted_threshold_everything_goes_to_a_person(dialled):
    with dialled('level = "partial"\ntarget_error = 0.05\n') as (engine, database):
        assert ask(engine, SURE).pending.reviews[0]
        assert lease(database, "ana", 0).reason == "no-threshold"
        assert 'portside_automation_threshold{slice=""} +Inf' in engine.metrics.text()


def test_a_slice_has_a_level_of_its_own(dialled):
    slices = '[automation.slices."label=good"]\nlevel = "full"\ncheck_share = 0.000001\n'
    with dialled('level = "assist"\n' + slices) as (engine, _):
        answer = ask(engine, [-3.0, -3.0, -3.0], SURE)
        assert answer.pending.reviews[0] is None and answer.pending.reviews[1] and answer.outputs["label"].tolist() == ["good", None]


def test_a_review_that_cannot_be_written_is_no_answer_to_wait_for(dialled):
    with dialled(HAND) as (engine, database):
        with database.write() as connection:
            connection.execute(text("DROP TABLE reviews"))
        with pytest.raises(LostReviewError, match="could not be written down"):
            ask(engine, SURE, UNSURE)
        assert ask(engine, SURE).pending is None  # nobody has to wait for that one
        assert engine._clerk.writer.lost == 1 and "portside_reviews_lost_total 1" in engine.metrics.text()
        assert engine.inflight == 0


def test_callers_at_once_share_a_sync_and_none_is_lost(dialled):
    with dialled(HAND) as (engine, database):

        async def crowd():
            return await asyncio.gather(*(engine.answer(Question({"x": [UNSURE]}, time.monotonic())) for _ in range(60)))

        numbers = {answer.pending.reviews[0] for answer in asyncio.run(crowd())}
        assert len(numbers) == 60 and {status(database, number).state for number in numbers} == {"pending"}


def test_the_page_counts_who_decides(dialled):
    with dialled(HAND + "check_share = 0.000001\n") as (engine, _):
        ask(engine, SURE, UNSURE, UNSURE)
        page = engine.metrics.text()
        assert 'portside_decisions_total{by="model",reason="confident"} 1' in page
        assert 'portside_decisions_total{by="both",reason="low-confidence"} 2' in page
        assert "portside_reviews_written_total 2" in page and 'portside_automation_threshold{slice=""} 0.9' in page


def test_without_the_section_the_engine_is_the_plain_one(tmp_path):
    plain = dialled_up.TEXT.replace('[automation]\nscore = "either(score)"\n', "")
    engine = dialled_up.engine(dialled_up.written(tmp_path, "", text=plain))
    assert type(engine) is Engine and ask(engine, UNSURE).pending is None
    engine.close()
