"""The queue on SQLite and PostgreSQL: order, leases, skips, deadlines; what comes back is what was put in."""

from __future__ import annotations

import numpy as np
import pytest
from made_reviews import NOW, PICTURE, PIXELS, TONE, item, number, of_every_kind

from portside.cloud.review import overview, queue
from portside.cloud.review.refusals import TakenError, UnknownReviewError
from portside.sdk.core.errors import InputError


def ids(found):
    return [one.id if one is not None else None for one in found]


def test_items_come_back_as_they_were_and_are_there_once(database):
    items = of_every_kind()
    queue.enqueue(database, items)
    queue.enqueue(database, [items[0], item(9)])
    found = [queue.lease(database, "ana", NOW) for _ in range(6)]
    assert ids(found) == [number(9), *(number(place) for place in (5, 4, 3, 2, 1))]
    assert queue.lease(database, "ana", NOW) is None
    assert found[1].payload == items[0].payload and found[1].candidates == items[0].candidates and found[1].model == 1
    assert found[2].payload == items[1].payload and found[3].selection == 0.05
    sound = found[4].payload["speech"]
    assert sound.rate == 8000 and np.array_equal(sound.samples, TONE.samples)


def test_arrays_come_back_with_their_dtype(database):
    queue.enqueue(database, [item(1, payload={"image": PIXELS, "wide": np.arange(6000, dtype=np.int64), "few": np.float32([1.5, np.nan])})])
    held = queue.lease(database, "ana", NOW).payload
    assert held["image"].dtype == np.uint8 and np.array_equal(held["image"], PIXELS)
    assert np.array_equal(held["wide"], np.arange(6000)) and held["few"] == [1.5, None]


def test_nothing_is_kept_of_a_batch_with_a_payload_that_cannot_be_shown(database):
    with pytest.raises(InputError, match="cannot be shown"):
        queue.enqueue(database, [item(1), item(2, payload={"x": object()})])
    assert queue.lease(database, "ana", NOW) is None


def test_a_near_deadline_comes_first_then_priority_then_age(database):
    soon = [item(1, deadline_ms=NOW + 90_000), item(2, deadline_ms=NOW + 60_000)]
    alike = [item(3, priority=5.0), item(4, priority=5.0, created_ms=NOW - 1)]
    queue.enqueue(database, [*soon, *alike, item(5, deadline_ms=NOW + 999_999_999)])
    assert ids(queue.lease(database, "ana", NOW) for _ in range(5)) == [number(place) for place in (2, 1, 4, 3, 5)]


def test_a_lease_ends_and_its_item_returns(database):
    queue.enqueue(database, [item(1)])
    assert queue.lease(database, "ana", NOW, ms=1000).id == number(1)
    assert queue.lease(database, "ben", NOW + 999) is None
    assert [queue.status(database, number(1), NOW + after).state for after in (999, 1000)] == ["leased", "pending"]
    assert queue.lease(database, "ben", NOW + 1000).id == number(1)


def test_a_lease_is_renewed_until_somebody_else_has_the_item(database):
    queue.enqueue(database, [item(1), item(2)])
    for _ in range(2):
        queue.lease(database, "ana", NOW, ms=1000, seat="s")
    both = [number(1), number(2)]
    assert sorted(queue.renew(database, both, "ana", NOW + 5000, ms=1000, seat="s")) == both  # ended, and nobody came
    assert queue.renew(database, both, "ana", NOW, seat="another window") == [] == queue.renew(database, both, "ben", NOW)
    assert queue.lease(database, "ben", NOW + 6000).id == number(2)
    assert queue.renew(database, both, "ana", NOW + 6001, seat="s") == [number(1)]
    assert queue.release(database, both, "ana", seat="s") == [number(1)]
    assert queue.lease(database, "cem", NOW + 6002).id == number(1)


def test_windows_of_one_reviewer_hold_different_items_and_find_theirs_again(database):
    queue.enqueue(database, [item(place) for place in range(4)])
    first = [queue.lease(database, "ana", NOW + turn, seat="one").id for turn in range(2)]
    second = queue.lease(database, "ana", NOW, seat="two").id
    assert second not in first
    with database.read() as connection:
        assert [row["id"] for row in queue.held(connection, "ana", NOW + 2, "one")] == first
        assert [row["id"] for row in queue.held(connection, "ana", NOW + 2, "two")] == [second]
        assert not queue.held(connection, "ana", NOW + 99_000_000, "one")


def test_a_skipped_item_goes_to_others_and_comes_back_last(database):
    queue.enqueue(database, [item(1), item(2), item(3)])
    queue.skip(database, queue.lease(database, "ana", NOW).id, "ana", NOW)
    queue.skip(database, number(2), "ana", NOW + 1)
    assert ids(queue.lease(database, "ana", NOW + 2) for _ in range(3)) == [number(1), number(3), number(2)]
    queue.release(database, [number(3)], "ana")
    assert queue.lease(database, "ben", NOW + 3).id == number(3)
    with pytest.raises(TakenError, match="ben holds"):
        queue.skip(database, number(3), "ana", NOW + 4)
    with pytest.raises(UnknownReviewError):
        queue.skip(database, "nobody", "ana", NOW)


@pytest.mark.parametrize(
    "says, answer, by", [("model", {"label": 1}, "model"), ({"label": 0}, {"label": 0}, "default"), (None, None, None)], ids=str
)
def test_a_deadline_is_answered_as_the_deployment_says(database, says, answer, by):
    queue.enqueue(database, [item(1, deadline_ms=NOW + 10), item(2, deadline_ms=NOW + 11), item(3)])
    queue.lease(database, "ana", NOW)
    assert queue.expire(database, NOW + 9, {"cells": says}) == []
    assert ids(queue.expire(database, NOW + 10, {"cells": says})) == [number(1)]
    assert queue.expire(database, NOW + 10, {"cells": says}) == []
    told = queue.status(database, number(1), NOW + 12)
    assert (told.state, told.answer, told.by, told.at_ms) == ("expired", answer, by, NOW + 10)
    assert queue.lease(database, "ben", NOW + 12).id == number(3)  # one whose time is over is given to nobody, even before `expire` came


def test_deadlines_of_other_deployments_are_left_to_whoever_knows_what_they_say(database):
    queue.enqueue(database, [item(1, deadline_ms=NOW, deployment="a"), item(2, deadline_ms=NOW, deployment="b")])
    assert ids(queue.expire(database, NOW, {"a": None})) == [number(1)]
    assert queue.status(database, number(2), NOW).state == "pending"
    assert ids(queue.expire(database, NOW, {"b": "model", "c": None})) == [number(2)]


def test_a_deployment_without_a_word_answers_as_its_model_and_one_whose_model_gave_nothing_does_not(database):
    queue.enqueue(database, [item(1, deadline_ms=NOW), item(2, deadline_ms=NOW, model=None)])
    queue.expire(database, NOW)
    assert queue.status(database, number(1)).answer == {"label": 1} and queue.status(database, number(2)).answer is None


def test_items_are_withdrawn_unless_they_are_decided(database):
    queue.enqueue(database, [item(1), item(2)])
    queue.decide(database, number(2), "ana", {"label": 1}, NOW)
    assert queue.withdraw(database, [number(1), number(2)], NOW) == [number(1)]
    assert queue.status(database, number(1)).state == "withdrawn" and queue.lease(database, "ana", NOW) is None


def test_only_of_some_deployments(database):
    queue.enqueue(database, [item(1, deployment="a"), item(2, deployment="b"), item(3, deployment="c")])
    assert queue.lease(database, "ana", NOW, deployment="a").id == number(1)
    assert queue.lease(database, "ana", NOW, deployment=["a", "b"]).id == number(2)
    assert queue.lease(database, "ana", NOW, deployment=[]) is None


def test_counts_and_lists_tell_how_items_stand(database):
    queue.enqueue(database, [item(place, deadline_ms=NOW - 1 if place == 0 else None) for place in range(5)])
    queue.expire(database, NOW)
    queue.lease(database, "ana", NOW)
    queue.decide(database, number(3), "ana", {"label": 0}, NOW, took_ms=2500)
    held = overview.counts(database, NOW + 7)
    assert (held.pending, held.leased, held.decided, held.expired, held.waiting, held.oldest_ms) == (2, 1, 1, 1, 3, NOW)
    assert overview.counts(database, NOW, ["others"]).waiting == 0 == overview.counts(database, NOW, []).waiting
    assert [status.id for status, _ in overview.listed(database, NOW + 7, state="pending")] == [number(2), number(1)]
    assert [more["leased_by"] for _, more in overview.listed(database, NOW + 7, state="leased")] == ["ana"]
    assert [made.review for made in overview.history(database, "ana")] == [number(3)] and overview.times_ms(database) == [2500]
    assert overview.decided_since(database, "ana", NOW) == 1 == 1 + overview.decided_since(database, "ana", NOW + 1)


def test_a_picture_is_kept_byte_for_byte(database):
    queue.enqueue(database, [item(1, payload={"photo": PICTURE})])
    assert queue.lease(database, "ana", NOW).payload == {"photo": PICTURE}
