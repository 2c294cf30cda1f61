"""One timer for many deadlines."""

import asyncio
import math
import time

from portside.cloud.answering.alarm import Alarm


def test_it_rings_for_the_earliest_and_is_set_anew():
    async def test():
        began, rung = time.monotonic(), []
        later = [began + 0.06, math.inf]

        def ring(now):
            rung.append(now - began)
            return later.pop(0)

        alarm = Alarm(ring)
        alarm.at(began)  # nobody has bound it: nothing happens
        alarm.bind(asyncio.get_running_loop())
        alarm.at(began + 30.0)
        alarm.at(began + 0.02)
        alarm.at(began + 10.0)
        ends = began + 10
        while len(rung) < 2 and time.monotonic() < ends:
            await asyncio.sleep(0.005)
        assert len(rung) == 2 and rung[0] >= 0.015 and rung[1] >= 0.055
        await asyncio.sleep(0.02)
        assert len(rung) == 2 and alarm._timer is None

    asyncio.run(test())
