"""A graph is held against its packages before anything is loaded: every fault names the line."""

import graphs
import pytest

from portside.cloud.deployment.file import read
from portside.cloud.graph.resolving import resolve
from portside.sdk.core.errors import FormatError

BASE = """name = "graph"
[[step]]
name = "first"
package = "first"
trust = true
{first}
[[step]]
name = "rank"
package = "rank"
trust = true
{rank}
[graph]
{graph}
[answer]
{answer}
"""
INPUTS = 'inputs = { prior = "first.score" }'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("graph")
    for name, made in (("first", graphs.FIRST), ("rank", graphs.RANKER)):
        graphs.package(path, name, *made)
    return path


@pytest.fixture
def resolving(folder, monkeypatch):
    monkeypatch.setenv("PORTSIDE_HOME", str(folder / "home"))

    def resolve_text(first="", rank=INPUTS, graph="", answer='score = "rank.score ?? first.score"'):
        file = folder / "graph.toml"
        file.write_text(BASE.format(first=first, rank=rank, graph=graph, answer=answer))
        return resolve(read(file))

    return resolve_text


def test_the_face_of_a_graph_is_made_of_its_links(resolving):
    found = resolving(answer='score = "rank.score ?? first.score"\nlabel = "first.label"\nrow = "request.row"\n'
                             'first = "rank.pair[0] ?? 0.5"')  # fmt: skip
    assert list(found.fields) == ["x"] and found.fields["x"].required
    spec = {spec.name: spec for spec in found.signature.outputs}
    assert spec["score"].shape == ("rows",) and spec["score"].kind == "score" and spec["label"].categories == ("good", "bad")
    assert spec["row"].dtype == "i64" and spec["first"].shape == ("rows",) and spec["first"].dtype == "f32"
    assert [wire.name for wire in found.champion.codec.wire_fields(found.signature)] == ["x"]
    assert [entry.name for entry in found.entries] == ["first", "rank"] and found.digest.startswith("sha256:")
    assert [step.name for step in found.plan.steps] == ["first", "rank"]
    assert resolving().digest != found.digest and resolving().digest == resolving().digest


def test_times_of_steps_are_bounded_by_the_graph(resolving):
    found = resolving(first="deadline_ms = 10", graph="deadline_ms = 100")
    limits = {step.plan.name: step.resolved.deployment.policy().deadline_ms for step in found.steps}
    assert limits == {"first": 10, "rank": 95} and found.plan.reserve_ms == 5
    assert all(step.resolved.deployment.policy().grace_ms == 0 for step in found.steps)


@pytest.mark.parametrize(("given", "says"), [
    ({"rank": 'inputs = { prior = "firts.score" }'}, r"line 11: there is no step 'firts'.*Did you mean 'first'"),
    ({"rank": 'inputs = { prior = "first.scor" }'}, r"line 11: the step 'first' has no output 'scor'.*Did you mean 'score'"),
    ({"rank": 'inputs = { priority = "first.score" }'}, r"line 11: the package of 'rank' has no field 'priority'.*expected x, prior"),
    ({"rank": 'inputs = { prior = "first.label" }'}, r"line 11: rank.prior cannot take first.label.*of \['good', 'bad'\]"),
    ({"rank": 'inputs = { x = "first.score", prior = "first.score" }'}, r"rank.x cannot take first.score.*expected f32 \('batch', 3\)"),
    ({"rank": 'inputs = { prior = "request.x" }'}, "'x' of the request is taken as two different things"),
    ({"rank": INPUTS + '\nwhen = "first.label < 1"'}, r"line 12: first.label is never compared with this; got 1"),
    ({"rank": INPUTS + '\nwhen = "first.label == \'ugly\'"'}, r"line 12: .*got 'ugly'"),
    ({"rank": INPUTS + '\nwhen = "request.x > 1"'}, "line 12: a condition is about outputs of steps"),
    ({"rank": INPUTS, "first": 'when = "rank.pair > 1"'}, "line 6: a condition needs one value per row"),
    ({"rank": INPUTS, "first": 'when = "rank.pair[2] > 1"'}, "line 6: .*beyond the last element"),
    ({"rank": INPUTS, "first": 'when = "rank.score > 1"'}, "these steps wait for each other"),
    ({"rank": INPUTS + '\nwhen = "first.score > 0.5 and first.score < 0.2"'}, "line 12: this is never true, so 'rank' is never reached"),
    ({"rank": INPUTS + '\ntop_k = { by = "first.label", k = 3 }'}, "line 12: top_k needs one number per row"),
    ({"answer": 'score = "first.score"'}, "line 8: nothing uses the step 'rank'"),
    ({"rank": INPUTS + '\nwhen = "first.score > 0.5"', "answer": 'score = "rank.score"'},
     "line 16: not every row of the answer has 'score'"),
    ({"rank": INPUTS + '\ntop_k = { by = "first.score", k = 3 }', "answer": 'score = "rank.score"'}, "not every row of the answer"),
    ({"rank": INPUTS + "\nsplit = { rows = 8 }", "answer": 'score = "rank.score"'}, "not every row of the answer"),
    ({"rank": INPUTS + '\nwhen = "first.score > 0.5"', "answer": 'score = "first.score ?? rank.score"'},
     "'rank' is never read.*Put 'rank' first"),
    ({"answer": 'score = "rank.score ?? first.label"'}, "first.label is not like rank.score"),
    ({"answer": 'score = "rank.score ?? \'none\'"'}, "this constant is no value of rank.score"),
    ({"answer": 'score = "rank.pair ?? 0.5"'}, "this constant is no value of rank.pair"),
    ({"answer": 'score = "rank.score"\ny = "request.y"'}, "no step takes 'y' from the request"),
    ({"first": 'package = "nowhere"'}, "not TOML"),
    ({"rank": INPUTS + '\nfallback = [{ default = { score = 1.0 } }]'},
     r"\[\[step\]\] 'rank', fallback number 1: the default lacks output 'pair'"),
    ({"rank": INPUTS + '\nfallback = [{ package = "first", trust = true }]'}, r"\[\[step\]\] 'rank', fallback number 1: the backup lacks"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_line(resolving, given, says):
    with pytest.raises(FormatError, match=says):
        resolving(**given)


def test_a_cut_answer_needs_only_rows_that_are_left(resolving):
    cut = INPUTS + '\ntop_k = { by = "first.score", k = 3 }'
    found = resolving(rank=cut, graph='top_k = { by = "rank.score", k = 2 }', answer='score = "rank.score"\nprior = "first.score"')
    assert found.plan.cut.k == 2
    with pytest.raises(FormatError, match="not every row of the answer has 'score'"):
        resolving(rank=cut, graph='top_k = { by = "rank.score ?? first.score", k = 2 }', answer='score = "rank.score"')
