"""A shadow's records are no traffic: whoever counts, watches, fits, exports or lists answers leaves them out, unless it asks for them."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / "monitoring")]

from watched import MINUTE, NAME, SIGNATURE, START, Watch, about, labelled, number, stream, write  # noqa: E402

from portside.cloud.automating.gathering import gather  # noqa: E402
from portside.cloud.automating.plan import plan_of  # noqa: E402
from portside.cloud.deployment.automation import Automation  # noqa: E402
from portside.cloud.deployment.review import Review  # noqa: E402
from portside.cloud.desk.finding import Wanted, find  # noqa: E402
from portside.cloud.monitoring.labelled import judged  # noqa: E402
from portside.cloud.monitoring.pipeline import unread  # noqa: E402
from portside.cloud.monitoring.reading import window_between  # noqa: E402
from portside.cloud.monitoring.sources import records_of  # noqa: E402
from portside.cloud.monitoring.tables import prepare  # noqa: E402
from portside.cloud.records.database import Database  # noqa: E402
from portside.cloud.records.forgetting import forget_entity  # noqa: E402
from portside.cloud.records.parquet import read_records  # noqa: E402
from portside.cloud.records.reading import after, between, parts, records  # noqa: E402
from portside.sdk.cli.main import main  # noqa: E402
from portside.sdk.core.records import Record  # noqa: E402

ROWS = 20


def shadow_of(record: Record, place: int) -> Record:
    receipt = {**record.receipt, "model": "next", "entry": -1}
    outputs = {"label": [1 - record.outputs["label"][0]], "score": [0.8]}
    features = {"rollout": {"id": "r1", "assigned": "shadow", "agrees": [False]}}
    return replace(record, id=number(1000 + place), arm="shadow", exposed=False, parent=record.id, package="sha256:q", inputs={},
                   outputs=outputs, receipt=receipt, features=features)  # fmt: skip


@pytest.fixture
def kept(place):
    """A database with answers, each of which has a shadow behind it."""
    database = Database.open(place)
    prepare(database)
    answers = [replace(one, entity=f"person-{number % 4}") for number, one in enumerate(stream(ROWS))]
    write(database, [one for place, answer in enumerate(answers) for one in (answer, shadow_of(answer, place))])
    yield database
    database.close()


def test_readers_leave_them_out_unless_they_are_asked_for(kept):
    assert len(after(kept, 0, deployment=NAME)) == len(list(between(kept, 0, 1 << 60, NAME))) == ROWS
    assert len(after(kept, 0, deployment=NAME, shadows=True)) == len(list(between(kept, 0, 1 << 60, shadows=True))) == 2 * ROWS
    assert [one.arm for one in parts(kept, number(3))] == ["shadow"]


def test_a_monitor_does_not_count_them_and_is_not_behind_because_of_them(kept, tmp_path):
    watch = Watch(kept, about(tmp_path))
    watch.at(START + 10 * MINUTE)
    window = window_between(kept, NAME, START, START + MINUTE)
    assert (window.requests, window.rows, dict(window.arms)) == (ROWS, ROWS, {"champion": ROWS}) and unread(kept, NAME) == 0
    labelled(kept, range(1000, 1010), 1)  # somebody labels a shadow's record
    labelled(kept, range(5), 1)
    assert judged(kept, about(tmp_path), START, START + MINUTE).quality["label"].rows == 5


def test_thresholds_are_fitted_and_lists_are_made_without_them(kept):
    plan = plan_of(Automation(level="full", score="score"), Review(), SIGNATURE, "sha256:p", Path(), False)
    found = gather(kept, NAME, "sha256:p", plan)
    assert sum(map(len, found.traffic.values())) == ROWS and not found.left_out
    assert len(find(kept, Wanted((NAME,)), None, 100, lambda record: SIGNATURE).records) == ROWS


def test_files_and_the_command_line_have_them_when_asked(tmp_path, capsys):
    place = tmp_path / "records.sqlite"
    with Database.open(place) as database:
        answers = [replace(one, entity="ana") for one in stream(4)]
        write(database, [one for number, answer in enumerate(answers) for one in (answer, shadow_of(answer, number))])
    assert len(list(records_of(str(place)))) == 4 and len(list(records(place))) == 8

    def told(*words):
        assert main(["records", str(place), *words, "--json"]) in (0, 1)
        return json.loads(capsys.readouterr().out)

    assert [len(told(*words)) for words in ((), ("--shadows",))] == [4, 8]
    for words, count in (((), 4), (("--shadows",), 8)):
        told("--parquet", str(tmp_path / "out.parquet"), *words)
        assert len(list(read_records(tmp_path / "out.parquet"))) == count
    assert told("delete", "--entity", "ana")["records"] == 8


def test_who_is_forgotten_is_forgotten_with_shadows(kept):
    gone = forget_entity(kept, "person-1")
    assert gone.rows["records"] == 2 * ROWS // 4 and len(after(kept, 0, shadows=True)) == 2 * ROWS - 2 * ROWS // 4
