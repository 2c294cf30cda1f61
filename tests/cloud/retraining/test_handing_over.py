"""From gates to a rollout: begun once, with the run's id and what its gates said; the tag stands still while another one goes on."""

import time

import pytest
from released import MINUTE, NOW, rows, served
from started import SERVE, serving
from trained import champion, retraining

from portside.cloud.deployment.file import read
from portside.cloud.records.database import Database
from portside.cloud.records.labelling import label
from portside.cloud.records.reading import between
from portside.cloud.releasing import benching
from portside.cloud.reloading import Reload
from portside.cloud.retraining import handing_over
from portside.cloud.retraining.handing_over import challenger_of, hand_over, in_the_way
from portside.cloud.retraining.retraining import Retraining
from portside.cloud.rollouts.control import rollback
from portside.cloud.rollouts.storing import every
from portside.runtimes import costs
from portside.sdk.core.errors import InputError, StoreError
from portside.sdk.core.labels import Label
from portside.sdk.core.records import new_id
from portside.sdk.store import Store

LATER = NOW + 700 * MINUTE


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Latency is measured, but not for long."""
    monkeypatch.setattr(benching, "SECONDS", 0.002)
    monkeypatch.setattr(costs, "SECONDS", 0.001)


@pytest.fixture
def reloads(monkeypatch):
    """A server that takes everything up; the files that it was told of."""
    told = []

    class Taken(Reload):
        served = True

    monkeypatch.setattr(handing_over, "reload", lambda path, wait: told.append(path) or Taken(1, "sha256:1", ()))
    return told


def ready(folder, **more):
    """A retraining whose candidate is to be tried at once."""
    served(folder, 600)
    held = retraining(folder, now_ms=LATER, **more)
    text = held.deployment.path.read_text().replace("rollout = false\n", "cooldown_hours = 0\n")
    held.deployment.path.write_text(text)
    Store().tag("main:1", "candidate")
    return held.__class__(read(held.deployment.path), clock=lambda: LATER)


@pytest.mark.slow
def test_a_candidate_that_passes_is_tried_with_what_its_gates_said(tmp_path, reloads):
    held = ready(tmp_path)
    done = held.retrain()
    assert done.run.stage == "done" and "its rollout has begun (number 1, " in done.run.why and reloads == [held.deployment.path]
    with Database.open(tmp_path / "records.sqlite") as database:
        begun = every(database, "tester")
        assert [one.id for one in begun] == [done.run.id] and begun[0].about["challengers"][0]["digest"] == done.run.candidate
        assert "is being tried (rollout 1, " in in_the_way(held.deployment, database)
    assert "its rollout has begun (number 1, " in hand_over(held.deployment, held.section, done.run, done.gates, "main:candidate")
    with Database.open(tmp_path / "records.sqlite") as database:
        assert len(every(database, "tester")) == 1  # said twice, begun once
    waits = held.due("ana")
    assert waits.verdict == "waits" and "is being tried" in waits.why and held.retrain("ana").run is None
    assert Store().resolve("main:candidate") == done.run.candidate
    rollback(held.deployment, "ana", "enough of it")
    assert held.due("ana").verdict == "due"


@pytest.mark.slow
@pytest.mark.long
def test_the_tag_stands_still_while_another_rollout_goes_on(tmp_path, reloads):
    held = ready(tmp_path)
    first = held.retrain()
    run = held.runs.begin("tester", LATER, champion=champion().digest)
    Store().push(champion(), "other")
    held.runs.save(run, stage="hand over", ref="other:1", candidate=champion().digest, verdict="passed")
    waits = held.retrain()
    assert waits.due.verdict == "waits" and "is being tried" in waits.due.why and waits.run.stage == "hand over"
    assert Store().resolve("main:candidate") == first.run.candidate
    with pytest.raises(StoreError):
        Store().resolve("other:candidate")
    rollback(held.deployment, "ana", "enough of it")
    assert held.retrain().run.stage == "done" and Store().resolve("other:candidate") == champion().digest


@pytest.mark.slow
@pytest.mark.long
def test_a_server_that_is_not_there_leaves_a_candidate_that_waits(tmp_path):
    done = ready(tmp_path).retrain()
    assert done.run.stage == "done" and done.run.verdict == "passed"
    assert "It is not tried yet: No running server says that it serves this deployment" in done.run.why
    assert Store().resolve("main:candidate") == done.run.candidate


def test_the_candidate_takes_the_settings_of_the_challenger_whose_place_it_takes(tmp_path):
    held = retraining(tmp_path)
    run = held.runs.begin("tester", NOW, champion=champion().digest)
    run = held.runs.save(run, ref="main:7", candidate="sha256:" + "7" * 64)
    settings = challenger_of(held.deployment, run)
    assert (settings.package, settings.digest, settings.isolation, settings.trust) == ("main:7", run.candidate, "process", True)
    other = challenger_of(held.deployment, held.runs.save(run, ref="elsewhere:1"))
    assert (other.package, other.isolation, other.trust) == ("elsewhere:1", "inline", True)


def test_a_file_that_names_something_else_is_told_the_line(tmp_path):
    held = retraining(tmp_path)
    run = held.runs.save(held.runs.begin("tester", NOW), ref="elsewhere:1")
    said = hand_over(held.deployment, held.section, run, None, "elsewhere:candidate")
    assert 'say [rollout] challenger = "elsewhere:candidate" in deployment.toml, then: portside rollout start' in said
    with pytest.raises(InputError):
        rollback(held.deployment, "ana")


@pytest.mark.slow
@pytest.mark.long
def test_a_running_server_takes_the_candidate_up_and_shadows_it(tmp_path):
    """The whole way with a real server: what it served is labelled, trained on, gated, and asked beside the champion."""
    retraining(tmp_path, "on_labels = 100\nmin_labels = 50")
    Store().tag("main:1", "candidate")
    text = (tmp_path / "deployment.toml").read_text().replace("rollout = false\n", "").replace("max_drop = 0.02", "max_drop = 0.15")
    (tmp_path / "deployment.toml").write_text(text)
    x, right = rows(160, 9)
    with serving(SERVE, tmp_path) as server:
        answers = [server.ask({"row": {"x": one.tolist()}}) for one in x]
        assert {status for status, _, _ in answers} == {200}
        records = [body["receipt"]["record"] for _, body, _ in answers]
        with Database.open(tmp_path / "records.sqlite") as database:
            _until(lambda: len(list(between(database, 0, 1 << 60))) == len(records))
            label(database, [Label(new_id(), record, 0, {"label": int(value)}, "ana", 1_900_000_000_000)
                             for record, value in zip(records, right, strict=True)])  # fmt: skip
        done = Retraining(read(tmp_path / "deployment.toml")).retrain("ana")
        assert done.run.verdict == "passed" and "its rollout has begun (number 1, shadow" in done.run.why, done.run.why
        with Database.open(tmp_path / "records.sqlite") as database:

            def shadowed():
                assert server.ask({"row": {"x": x[0].tolist()}})[0] == 200
                return any(record.arm == "shadow" for record in between(database, 0, 1 << 60, shadows=True))

            _until(shadowed)
            shadow = next(record for record in between(database, 0, 1 << 60, shadows=True) if record.arm == "shadow")
    assert shadow.package == done.run.candidate and not shadow.exposed


def _until(true):
    ends = time.monotonic() + 60
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)
