"""What the dial costs a request: an engine without it beside engines with it, in one process, interleaved; and the routing alone."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "cloud"))
import dialled_up
import numpy as np

from portside.cloud.answering.answers import Question
from portside.cloud.automating.plan import Plan
from portside.cloud.automating.routing import routes
from portside.cloud.automating.score import parse
from portside.cloud.automation import Dial
from portside.runtimes.timing import interleave

PLAIN = dialled_up.TEXT.replace('[automation]\nscore = "either(score)"\n', "")
DIALS = {"no [automation]": None, "full": 'level = "full"\ncheck_share = 0.000001\n',
         "partial, confident": 'level = "partial"\nthreshold = 0.9\ncheck_share = 0.000001\n'}  # fmt: skip
WAITS = 'level = "partial"\nthreshold = 0.99999\n'


def path(short: bool = False) -> Iterator[dict[str, Any]]:
    """One row per engine, and one per size of the batch that is routed."""
    with tempfile.TemporaryDirectory(prefix="portside-dial-") as folder, ExitStack() as stack:
        os.environ["PORTSIDE_HOME"] = str(Path(folder) / "home")
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        calls = {name: _calls(Path(folder) / f"d{place}", dial, loop, stack) for place, (name, dial) in enumerate(DIALS.items())}
        spent = interleave(calls, 10 if short else 40, 0.05)
        plain = spent["no [automation]"]
        for name, samples in spent.items():
            more = [np.median(one) - np.median(other) for one, other in zip(samples.repeats, plain.repeats, strict=True)]
            yield {"kind": "request", "what": name, "us": samples.percentile_ms(50) * 1e3, "more_us": float(np.median(more)) * 1e6,
                   "more_low": min(more) * 1e6, "more_high": max(more) * 1e6}  # fmt: skip
        yield _waiting(Path(folder) / "waits", loop, stack, 20 if short else 80)
    yield from _routing(short)


def _calls(folder: Path, dial: str | None, loop: asyncio.AbstractEventLoop, stack: ExitStack) -> Callable[[], object]:
    """One request of a sure row; its engine is closed with the stack."""
    folder.mkdir()
    file = dialled_up.written(folder, dial or "", text=PLAIN if dial is None else dialled_up.TEXT)
    engine = dialled_up.engine(file)
    stack.callback(engine.close)
    wire = {"x": np.asarray([dialled_up.SURE], np.float32)}
    return lambda: loop.run_until_complete(engine.answer(Question(wire, time.monotonic())))


def _waiting(folder: Path, loop: asyncio.AbstractEventLoop, stack: ExitStack, rounds: int) -> dict[str, Any]:
    """A row that a person decides: written and synced before the answer leaves, alone and with 32 at once."""
    folder.mkdir()
    engine = dialled_up.engine(dialled_up.written(folder, WAITS))
    stack.callback(engine.close)
    wire = {"x": np.asarray([dialled_up.UNSURE], np.float32)}

    async def many(count: int) -> None:
        await asyncio.gather(*(engine.answer(Question(wire, time.monotonic())) for _ in range(count)))

    spent: dict[int, list[float]] = {1: [], 32: []}
    for _ in range(rounds):
        for count, seconds in spent.items():
            began = time.perf_counter()
            loop.run_until_complete(many(count))
            seconds.append((time.perf_counter() - began) / count)
    return {"kind": "request", "what": "partial, a person decides (durable first)", "us": float(np.median(spent[1])) * 1e6,
            "us_of_32_at_once": float(np.median(spent[32])) * 1e6}  # fmt: skip


def _routing(short: bool) -> Iterator[dict[str, Any]]:
    plan = Plan(Dial("partial", 0.9), parse("either(score)"), "label")
    for rows in (1, 64):
        outputs = {"score": np.full(rows, 0.99, np.float32), "label": np.ones(rows, np.int64)}
        call = partial(routes, plan, {}, outputs, rows, True, lambda: 0.5)
        spent = interleave({"": call}, 10 if short else 40, 0.05)[""].percentile_ms(50) * 1e3
        yield {"kind": "routing", "what": f"{rows} row{'s' * (rows > 1)}", "us": spent, "us_of_a_row": spent / rows}
