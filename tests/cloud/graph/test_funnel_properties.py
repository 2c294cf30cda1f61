"""Whatever the rows, a graph answers each as its steps would one by one."""

import asyncio
import time

import graphs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portside.cloud.answering.answers import Question
from portside.cloud.deployment.file import read
from portside.cloud.graph.opening import open_graph
from portside.cloud.graph.resolving import resolve

ROWS = st.lists(st.lists(st.floats(-3, 3, width=32), min_size=3, max_size=3), min_size=1, max_size=9)
SPLIT = "split = { rows = 2 }\nfallback = [{ default = { label = 'bad', score = 0.5 } }]\nconcurrency = 2\n"


@pytest.fixture(scope="module", params=["", SPLIT], ids=["whole", "split"])
def funnel(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("funnel")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PORTSIDE_HOME", str(folder / "home"))
        engine = open_graph(resolve(read(graphs.funnel(folder, second=request.param))))
    engine.warm(30)
    yield engine
    engine.close()


def ask(engine, x):
    return asyncio.run(engine.answer(Question({"x": np.float32(x)}, time.monotonic())))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_a_request_of_many_rows_is_answered_as_its_rows_alone(funnel, rows):
    whole = ask(funnel, rows)
    alone = [ask(funnel, [row]) for row in rows]
    for name in ("label", "score"):
        assert whole.outputs[name].tolist() == [one.outputs[name].tolist()[0] for one in alone]
    first = 1 / (1 + np.exp(-np.float32(rows).sum(axis=1)))
    unsure = int(((first > 0.2) & (first < 0.8)).sum())
    step = next(step for step in whole.receipt.steps if step.name == "second")
    assert step.of == unsure and step.rows == unsure and whole.receipt.reason == "primary"
