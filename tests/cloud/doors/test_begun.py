"""A coroutine that begins without a task goes on as one that had it from the start: futures, errors, cancellation, contexts."""

import asyncio

import pytest

from portside.cloud.doors.begun import begin


def went(steps):
    """What a coroutine tells on its way, and whether a task was needed."""

    async def test():
        told = []
        task = begin(steps(told), asyncio.get_running_loop())
        before = list(told)
        if task is not None:
            await asyncio.wait([task])
        return told, before, task

    return asyncio.run(test())


def test_what_waits_for_nothing_needs_no_task():
    async def steps(told):
        told.append("all")

    assert went(steps) == (["all"], ["all"], None)


def test_what_waits_goes_on_with_what_came():
    async def steps(told):
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        told.append("a turn later")
        future = loop.create_future()
        loop.call_later(0.001, future.set_result, 7)
        told.append(await future)
        told.append(await loop.run_in_executor(None, lambda: 8))
        async with asyncio.timeout(5):
            told.append(await asyncio.gather(asyncio.sleep(0, 9), asyncio.sleep(0, 10)))
        assert asyncio.current_task() is not None

    told, before, task = went(steps)
    assert told == ["a turn later", 7, 8, [9, 10]] and before == [] and task.exception() is None


@pytest.mark.parametrize("early", [True, False])
def test_errors_come_out_where_they_happen(early):
    async def steps(told):
        if not early:
            await asyncio.sleep(0)
        raise ValueError("mine")

    if early:
        with pytest.raises(ValueError, match="mine"):
            went(steps)
    else:
        assert isinstance(went(steps)[2].exception(), ValueError)


def test_an_error_of_what_is_waited_for_can_be_caught():
    async def steps(told):
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, KeyError("theirs"))
        try:
            await future
        except KeyError:
            told.append("caught")
        await asyncio.sleep(0)
        told.append("and on")

    assert went(steps)[0] == ["caught", "and on"]


def test_it_is_cancelled_where_it_waits_also_where_it_began():
    async def test():
        told = []

        async def steps():
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                told.append("left")

        task = begin(steps(), asyncio.get_running_loop())
        assert task is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return told

    assert asyncio.run(test()) == ["left"]
