"""The contract of a whole graph: made from the packages in float, held by the graph, and not held by a graph that is another one."""

import graphs
import numpy as np
import pytest

from portside.cloud.deployment.file import read
from portside.cloud.graph.golden import check_golden, golden_file, require
from portside.cloud.graph.making import make_golden
from portside.cloud.graph.opening import open_graph
from portside.cloud.graph.resolving import resolve
from portside.cloud.host import Host
from portside.sdk.cli.main import main
from portside.sdk.core.errors import ContractError, FormatError

X = np.random.default_rng(3).normal(size=(48, 3)).astype(np.float32)
RANKED = """name = "search"
[records]
enabled = {records}
[[step]]
name = "find"
package = "first"
trust = true
{first}
[[step]]
name = "rank"
package = "rank"
trust = true
inputs = {{ prior = "find.score" }}
top_k = {{ by = "find.score", k = 8 }}
{second}
[graph]
top_k = {{ by = "rank.score", k = 3 }}
{graph}
[answer]
row = "request.row"
score = "rank.score"
"""


@pytest.fixture
def opened():
    made = []

    def build(file, **rest):
        made.append(open_graph(resolve(read(file)), **rest))
        return made[-1]

    yield build
    for engine in made:
        engine.close()


@pytest.mark.parametrize("text", [graphs.FUNNEL, RANKED], ids=["funnel", "ranked"])
def test_a_graph_answers_as_its_packages_do_one_after_another(tmp_path, opened, text):
    file = graphs.funnel(tmp_path, text=text, graph="deadline_ms = 1")  # no deadline spoils a proof
    resolved = resolve(read(file))
    path = make_golden(resolved, {"x": X}, rows=40)
    assert path == golden_file(resolved) == tmp_path / "graph.golden"
    report = check_golden(resolved, opened(file, proven=False))
    assert report and report.rows == (40 if text is graphs.FUNNEL else 3) and not report.made_with
    first = path.read_bytes()
    assert make_golden(resolved, {"x": X}, rows=40).read_bytes() == first


def test_rows_near_a_threshold_are_fragile_and_judge_nobody(tmp_path, opened):
    file = graphs.funnel(tmp_path)
    resolved = resolve(read(file))
    edge = np.float32(np.log(0.8 / 0.2))  # the score is 0.8, where the second step begins
    x = np.float32([[edge, 0, 0], [2, 0, 0], [0.5, 0, 0]])
    make_golden(resolved, {"x": x})
    report = check_golden(resolved, opened(file, proven=False))
    assert report and report.checks["score"].fragile_rows == 1 and report.checks["label"].rows == 3


def test_a_graph_that_answers_otherwise_is_not_served(tmp_path, capsys):
    file = graphs.funnel(tmp_path)
    make_golden(resolve(read(file)), {"x": X})
    file.write_text(file.read_text().replace("0.8", "0.5"))
    resolved = resolve(read(file))
    engine = open_graph(resolved)
    with pytest.raises(ContractError, match=r"does not answer as graph\.golden says"):
        engine.warm(30)
    with pytest.raises(ContractError):
        require(resolved, engine)
    engine.close()
    host = Host(resolved)
    host.start()
    assert not host.wait(60) and "graph.golden" in host.fault
    host.close()
    assert main(["graph", "verify", str(file)]) == 1
    assert "failed" in capsys.readouterr().out


def test_another_package_behind_a_step_is_said(tmp_path, opened):
    file = graphs.funnel(tmp_path)
    make_golden(resolve(read(file)), {"x": X})
    file.write_text(file.read_text().replace('package = "second"', 'package = "first"'))
    resolved = resolve(read(file))
    report = check_golden(resolved, opened(file, proven=False))
    assert not report and report.made_with == ("second",)


def test_a_damaged_file_or_one_of_another_graph_is_refused(tmp_path, opened):
    file = graphs.funnel(tmp_path)
    resolved = resolve(read(file))
    path = make_golden(resolved, {"x": X})
    engine = opened(file, proven=False)
    content = path.read_bytes()
    path.write_bytes(content[:200])
    with pytest.raises(FormatError, match="cannot be read"):
        check_golden(resolved, engine)
    path.write_bytes(content)
    file.write_text(file.read_text().replace("label = ", "name = "))
    with pytest.raises(FormatError, match="other outputs"):
        check_golden(resolve(read(file)), engine)


def test_the_command_makes_and_verifies(tmp_path, capsys):
    file = graphs.funnel(tmp_path)
    np.savez(tmp_path / "rows.npz", x=X)
    assert main(["graph", "show", str(file)]) == 0
    assert main(["graph", "verify", str(file)]) != 0
    assert main(["graph", "golden", str(file), "--data", str(tmp_path / "rows.npz"), "--rows", "32"]) == 0
    assert main(["graph", "verify", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "graph.golden" in shown and "passed" in shown
