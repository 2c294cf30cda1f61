"""The pool of interpreters: who waits is woken, who closes closes for all."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from portside.runtimes.tflite.pool import Pool
from portside.sdk.core.errors import EngineError


def until(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come")


def test_what_is_free_is_lent_again_and_no_more_are_opened_than_the_limit_says():
    numbers = count()
    pool = Pool(lambda: next(numbers), 2)
    assert next(numbers) == 1  # the first was opened at once
    one = pool.take()
    pool.give(one)
    assert pool.take() == one == 0
    assert pool.take() == 2
    with ThreadPoolExecutor(1) as threads:
        third = threads.submit(pool.take)
        until(lambda: pool.attention)
        assert not third.done()
        pool.give(2)
        assert third.result(10) == 2
    until(lambda: not pool.attention)


def test_everybody_who_waits_is_served_in_the_end():
    pool = Pool(object, 1)
    served = []

    def call(number):
        for _ in range(200):
            one = pool.take()
            served.append(number)
            pool.give(one)

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(call, number) for number in range(8)]:
            done.result(60)
    assert sorted(served) == sorted([*range(8)] * 200)
    assert len(pool.free) == 1
    assert not pool.attention


def test_closing_wakes_those_who_wait_and_drops_what_comes_back():
    pool = Pool(object, 1)
    lent = pool.take()
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(pool.take) for _ in range(3)]
        until(lambda: pool._waiting == 3)
        pool.close()
        for one in waiting:
            assert one.exception(10).reason == "closed"
    pool.give(lent)
    assert not pool.free
    with pytest.raises(EngineError) as caught:
        pool.take()
    assert caught.value.reason == "closed"


def test_what_a_call_left_in_a_closed_pool_is_not_lent():
    pool = Pool(object, 2)
    lent = pool.take()
    pool.close()
    pool.free.append(lent)  # a call that gave back, and has not looked yet
    with pytest.raises(EngineError) as caught:
        pool.take()
    assert caught.value.reason == "closed"


def test_one_that_cannot_be_opened_leaves_its_place_to_the_next():
    opened = iter([object(), None, object()])

    def open_one():
        made = next(opened)
        if made is None:
            raise MemoryError
        return made

    pool = Pool(open_one, 2)
    pool.take()
    with pytest.raises(MemoryError):
        pool.take()
    assert pool.take() is not None
