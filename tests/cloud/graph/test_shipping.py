"""A graph ships with every package of its steps, and with its golden answers."""

import graphs
import numpy as np

from portside.cloud.deployment.file import read
from portside.cloud.graph.golden import golden_file
from portside.cloud.graph.making import make_golden
from portside.cloud.graph.opening import open_graph
from portside.cloud.graph.resolving import resolve
from portside.cloud.ship.contents import collect


def test_a_graph_that_was_collected_answers_and_holds_its_golden_answers(tmp_path):
    file = graphs.funnel(tmp_path, second='fallback = [{ package = "first", trust = true }]')
    make_golden(resolve(read(file)), {"x": np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)})
    (tmp_path / "away").mkdir()
    shipped = collect(read(file), tmp_path / "away")
    resolved = resolve(read(shipped.file))
    assert golden_file(resolved).is_file() and len(list((shipped.folder / "packages").iterdir())) == 2
    assert all(step.settings.digest and step.settings.artifact for step in resolved.steps)
    engine = open_graph(resolved)
    engine.warm(60)
    engine.close()
