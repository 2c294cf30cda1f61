"""The deployment file: what it means, and that everything it cannot mean is refused with the line."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from portside.cloud.deployment.file import Deployment, read
from portside.sdk.core.errors import FormatError
from portside.sdk.core.failover import Entry
from portside.sdk.core.file_errors import line_of

BASE = 'name = "cell"\n\n[champion]\npackage = "cell:3"\n'
CHAIN = """
[failover]
deadline_ms = 50
[[failover.chain]]
package = "small:2"
isolation = "process"
[[failover.chain]]
cache = { ttl_s = 3600, stale = true }
[[failover.chain]]
endpoint = { url = "https://example.org/predict", timeout_ms = 200 }
[[failover.chain]]
default = { label = 1, confidence = 0.0 }
"""


@pytest.fixture
def reading(tmp_path):
    def read_text(text):
        file = tmp_path / "deployment.toml"
        file.write_text(text)
        return read(file)

    return read_text


def test_the_documented_chain_becomes_a_policy(reading):
    policy = reading(BASE + CHAIN).policy()
    assert policy.chain == (Entry("model"), Entry("model"), Entry("cache"), Entry("endpoint", 200.0), Entry("default"))
    assert (policy.deadline_ms, policy.reserve_ms, policy.grace_ms) == (50, 5, 50)


def test_defaults_and_place(reading, tmp_path):
    deployment = reading(BASE)
    assert deployment.champion.isolation == "thread" and deployment.champion.target == "onnx-cpu" and not deployment.champion.trust
    assert deployment.policy().deadline_ms is None
    assert deployment.folder == tmp_path


def test_the_digest_is_of_the_intent(reading, tmp_path):
    first = reading(BASE).digest
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "d.toml").write_text("# a comment\n" + BASE)
    assert read(other / "d.toml").digest == first
    assert reading(BASE + "threads = 2\n").digest != first


@pytest.mark.parametrize(
    ("extra", "line", "says"),
    [
        ('isolaton = "thread"\n', 5, "Did you mean 'isolation'"),
        ('isolation = "fork"\n', 5, "'inline', 'thread' or 'process'"),
        ('threads = "2"\n', 5, "valid integer"),
        ("threads = 0\n", 5, "greater than or equal to 1"),
        ('\n[rollout]\nmode = "canary"\n', 6, "'challenger' is missing"),
        ('[automation]\nlevel = "partial"\n', 5, "needs a target_error"),
        ('[automation]\nlevel = "half"\n', 6, "'human', 'shadow'"),
        ("[monitor]\nevery_s = 0\n", 6, "greater than"),
        ('[[step]]\nname = "a"\npackage = "p"\na = 1\n', 8, "unknown setting 'a'"),
        ("[wat]\n", 5, "unknown setting 'wat'"),
        ("[failover]\nreserve_ms = 1\n", 5, "need a deadline_ms"),
        ("[failover]\ndeadline_ms = 10\nreserve_ms = 10\n", 5, "must be below"),
        ("[failover]\ndeadline_ms = 0\n", 6, "greater than 0"),
        ("[failover]\n[[failover.chain]]\nthreads = 1\n", 6, "exactly one of"),
        ("[failover]\n[[failover.chain]]\ncache = { ttl_s = 1 }\nthreads = 1\n", 6, "no meaning beside 'cache'"),
        ("[failover]\n[[failover.chain]]\ncache = { ttl_s = 1 }\npackage = 'b'\n", 6, "exactly one of"),
        ("[failover]\n[[failover.chain]]\npackage = 'b'\n[[failover.chain]]\ncache = { ttl_s = 1, stael = true }\n", 9, "'stale'"),
        ("[failover]\n[[failover.chain]]\ndefault = { a = 1 }\n[[failover.chain]]\npackage = 'b'\n", 5, "must be the last"),
        ("[failover]\n[[failover.chain]]\nendpoint = { url = 'ftp://x', timeout_ms = 3 }\n", 7, "should match pattern"),
        ("[failover]\nbreaker = { failures = 2, opne_ms = 3 }\n", 6, "'open_ms'"),
        ("[failover]\ndeadline_ms = inf\n", 6, "finite"),
        ("[rollout]\nchallenger = 'b'\nlimits = { latency_ms = inf }\n", 7, "finite"),
        ("[rollout]\nchallenger = 'b'\nmax_days = 1e300\n", 7, "36500"),
        ("[rollout]\nchallenger = { package = 'b', trsut = true }\n", 6, "Did you mean 'trust'"),
        ("[rollout]\nmode = 'shadow'\nchallenger = [{ package = 'b' }, { isolation = 'thread' }]\n", 5, "'package' is missing"),
        ("[gates]\nrecent_days = 1e9\n", 6, "36500"),
        ("[gates]\nslower = inf\n", 6, "finite"),
        ("[retrain]\ncommand = 'true'\ncooldown_hours = 1e308\n", 7, "876000"),
        ("[retrain]\ncommand = 'true'\nrows = { days = inf }\n", 7, "finite|36500"),
        ("[retrain]\ncommand = ['true', \"\\u0000\"]\n", 5, "NUL"),
        ("[retrain]\ncommand = 'true'\nname = '../../x'\n", 7, "not a name that a store takes"),
        ("[retrain]\ncommand = 'true'\non_upstream = ['../x']\n", 7, "not a name that a store takes"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_names_the_line(reading, extra, line, says):
    with pytest.raises(FormatError, match=says) as caught:
        reading(BASE + extra)
    assert f"deployment.toml line {line}:" in str(caught.value)


@pytest.mark.parametrize("text", ["", "name = ", "name = 'a'\n", "name = 'a b'\n[champion]\npackage = 'x'\n", "\x00",
                                  "a = " + "9" * 5000, "a = " + "[" * 10_000])  # fmt: skip
def test_files_that_are_no_deployment(reading, text):
    with pytest.raises(FormatError, match=r"deployment\.toml"):
        reading(text)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        read(tmp_path / "none.toml")


def sections_of(annotation, found):
    """Every section that a deployment may hold, the deployment itself included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in found:
        found.append(annotation)
        for field in annotation.model_fields.values():
            sections_of(field.annotation, found)
    for inner in get_args(annotation):
        sections_of(inner, found)
    return found


def test_every_setting_of_every_section_is_documented():
    docs = Path(__file__).parents[3] / "docs"
    code = re.findall(r"`[^`\n]+`", "".join((docs / name).read_text(encoding="utf-8") for name in ("deployment-file.md", "monitoring.md")))
    said = {word for part in code for word in re.findall(r"\w+", part)}
    sections = sections_of(Deployment, [])
    missing = [f"{section.__name__}.{name}" for section in sections for name in section.model_fields if name not in said]
    assert len(sections) > 7 and missing == []


def test_a_breaker_by_rates(reading):
    text = "[failover]\nbreaker = { error_rate = 0.5, slow_rate = 0.8, slow_ms = 40, min_calls = 10, window_calls = 50, probes = 2 }\n"
    rules = reading(BASE + text).policy().breaker
    assert (rules.error_rate, rules.slow_rate, rules.slow_ms) == (0.5, 0.8, 40)
    assert (rules.min_calls, rules.window_calls, rules.probes) == (10, 50, 2)
    assert reading(BASE).policy().breaker.window_ms == 10_000


@pytest.mark.parametrize(
    ("breaker", "word"),
    [
        ("slow_rate = 0.5", "slow_ms"), ("error_rate = 0.5, window_ms = 5, window_calls = 50", "not both"), ("min_calls = 5", "no meaning"),
        ("error_rate = 0.5, window_calls = 5", "min_calls"), ("error_rate = 1.5", "less than or equal to 1"),
    ],
)  # fmt: skip
def test_a_breaker_that_cannot_be_meant_is_refused_with_its_line(reading, breaker, word):
    with pytest.raises(FormatError, match=f"deployment.toml line 7.*{word}"):
        reading(BASE + f"\n[failover]\nbreaker = {{ {breaker} }}\n")


def test_a_consistency_window_holds_for_one_server_process(reading):
    deployment = reading(BASE + "\n[consistency]\nwindow_s = 60.0\nstrict = true\n")
    assert (deployment.consistency.window_s, deployment.consistency.strict, deployment.consistency.by) == (60.0, True, "entity")
    deployment.check_workers(1)
    with pytest.raises(FormatError, match=r"deployment\.toml line 6.*--workers 1"):
        deployment.check_workers(2)
    reading(BASE).check_workers(2)


def test_lines_of_keys_in_repeated_sections():
    text = BASE + CHAIN
    lines = text.splitlines()
    assert lines[line_of(text, ("failover", "chain", 1, "cache")) - 1].startswith("cache")
    assert lines[line_of(text, ("champion", "package")) - 1] == 'package = "cell:3"'
    assert lines[line_of(text, ("failover", "chain", 0, "package")) - 1] == 'package = "small:2"'


STEPS = """name = "cell"
[[step]]
name = "first"
package = "a"
[[step.fallback]]
package = "b"
[[step.fallback]]
default = { x = 1 }
[[step]]
name = "second"
package = "c"
[[step.fallback]]
when = "no"
"""


def test_lines_in_lists_in_lists(reading):
    with pytest.raises(FormatError, match="line 13: unknown setting 'when'"):
        reading(STEPS + '[answer]\nx = "first.x"\n')


GRAPH = 'name = "cell"\n[[step]]\nname = "first"\npackage = "a"\n{}\n[answer]\nx = "first.x"\n{}'


@pytest.mark.parametrize(("step", "more", "says"), [
    ('when = "first.x <"', "", r"line 5: 'when' in \[step\]: .*no condition"),
    ('inputs = { x = "x" }', "", "line 5.*where a value comes from"),
    ('top_k = { by = "first.x" }', "", "'k' is missing"),
    ("split = { rows = 0 }", "", "line 5.*'rows'"),
    ("fallback = [{ default = {} }, { package = 'b' }]", "", "must be the last entry of the fallback"),
    ("", 'y = "first.y ??"', "line 8.*where a value comes from"),
    ("", "[graph]\nreserve_ms = 5\n", "reserve_ms must be below a deadline_ms"),
    ("", "[champion]\npackage = 'p'", "a graph has no .champion."),
    ("", "[[step]]\nname = 'first'\npackage = 'b'", "two steps are called 'first'"),
])  # fmt: skip
def test_a_graph_that_cannot_be_meant_names_the_line(reading, step, more, says):
    with pytest.raises(FormatError, match=says):
        reading(GRAPH.format(step, more))


def test_a_graph_is_read_and_a_champion_has_no_answer_section(reading):
    graph = reading(GRAPH.format('when = "other.x > 1"\nsplit = { rows = 4 }', ""))
    assert graph.champion is None and graph.step[0].split.rows == 4 and graph.answer == {"x": "first.x"}
    with pytest.raises(FormatError, match="'champion' is missing"):
        reading('name = "cell"\n')
    with pytest.raises(FormatError, match=r"without .*step"):
        reading(BASE + '[answer]\nx = "a.x"\n')
