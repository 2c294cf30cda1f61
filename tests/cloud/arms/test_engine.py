"""Both arms behind one door: who is given which, what records say of it, and that a broken challenger fails nobody."""

import pytest
from armed import OTHER, SAME, TEXT
from dialled_up import SURE

from portside.cloud.answering.answers import NoAnswerError
from portside.cloud.answering.engine import Engine
from portside.cloud.arms.engine import RolloutEngine
from portside.cloud.deployment.file import read
from portside.cloud.deployment.resolving import resolve
from portside.cloud.records.reading import after, between
from portside.cloud.versions import build, opened
from portside.sdk.core.errors import InputError

PEOPLE = [f"person-{number}" for number in range(40)]


def decided(answers):
    return [answer.outputs["label"].tolist()[0] for answer in answers]


def test_without_the_section_nothing_is_built(tried):
    one = tried()
    text = one.file.read_text()
    one.file.write_text(text[: text.index("[rollout]")])
    plain = build(resolve(read(one.file)))
    assert type(plain) is Engine and type(one.engine) is RolloutEngine
    plain.close()


@pytest.mark.parametrize("phase", ["gates", "waiting", "rolled back", "ended"])
def test_in_these_phases_everybody_gets_the_champion_and_the_challenger_is_not_in_memory(tried, phase):
    one = tried()
    one.take(phase, 0.5)
    assert decided([one.ask()]) == ["bad"] and one.engine.stand.entry is None and one.engine.stand.shadows is None
    (record,) = one.kept
    assert (record.arm, record.propensity, record.features.get("rollout")) == ("champion", 1.0, None)


def test_a_canary_gives_an_entity_its_arm_and_keeps_it_while_the_share_grows(tried):
    one, before = tried(), set()
    for share in (0.1, 0.4, 0.9):
        one.take("canary", share)
        answers = one.asks([(OTHER,)] * len(PEOPLE), PEOPLE)
        given = {who for who, label in zip(PEOPLE, decided(answers), strict=True) if label == "good"}
        assert before < given and given == {who for who in PEOPLE if one.engine.traffic.position(who) < share}
        before = given
    said = {(record.arm, record.propensity, record.features["rollout"]["assigned"]) for record in one.kept}
    assert said == {("champion", 1 - share, "champion") for share in (0.1, 0.4, 0.9)} | {
        ("challenger", share, "challenger") for share in (0.1, 0.4, 0.9)}  # fmt: skip
    assert {record.features["rollout"]["id"] for record in one.kept} == {"r1"}


def test_a_request_about_nobody_is_drawn(tried):
    one = tried()
    draws = iter([0.29, 0.31, 0.0, 0.99])
    one.engine._draw = lambda: next(draws)
    one.take("canary", 0.3)
    assert decided(one.asks([(OTHER,)] * 4)) == ["good", "bad", "good", "bad"]


@pytest.mark.parametrize("phase", ["switched", "promoted"])
def test_after_the_switch_everybody_gets_the_challenger(tried, phase):
    one = tried()
    one.take(phase)
    answer = one.ask()
    assert decided([answer]) == ["good"] and answer.receipt.entry == -1 and answer.receipt.version == one.digest
    (record,) = one.kept
    assert (record.arm, record.propensity, record.package) == ("challenger", 1.0, one.digest)
    assert record.features["rollout"] == {"id": "r1", "assigned": "challenger"}


@pytest.mark.parametrize(("fault", "why", "deadline"), [("throw", "failed", 5000), ("nan", "non-finite", 5000), ("slow", "deadline", 200)])
def test_where_the_challenger_fails_the_champion_answers_and_the_record_says_who_was_given(tried, new_fault, fault, why, deadline):
    one = tried(deadline=deadline)
    one.take("switched")
    new_fault(fault)
    answer = one.ask()
    assert decided([answer]) == ["bad"] and answer.receipt.entry == 0 and answer.receipt.reason == why
    assert answer.receipt.attempts == (f"challenger:{why}",)
    (record,) = one.kept
    assert record.arm == "champion" and record.features["rollout"]["assigned"] == "challenger" and record.propensity == 1.0
    assert f'portside_failovers_total{{entry="challenger",reason="{why}"}} 1' in one.engine.metrics.text()


def test_its_breaker_opens_and_the_champion_s_does_not_know(tried, new_fault):
    one = tried()
    one.take("switched")
    new_fault("throw")
    reasons = [answer.receipt.reason for answer in one.asks([(SAME,)] * 5)]
    assert reasons == ["failed"] * 3 + ["breaker-open"] * 2
    text = one.engine.metrics.text()
    assert 'portside_breaker_openings_total{entry="challenger"} 1' in text and 'portside_breaker_open{entry="0"} 0' in text
    assert 'portside_arm_requests_total{arm="challenger",reason="breaker-open"} 2' in text
    assert 'portside_requests_total{model="main",reason="failed"} 3' in text  # the whole counts both arms


def test_without_a_deadline_a_challenger_that_hangs_is_given_up_all_the_same(tried, new_fault):
    one = tried(rollout="limits = { latency_ms = 20 }", text=TEXT.replace("deadline_ms = {deadline}\n", ""))
    one.take("switched")
    new_fault("slow")  # 300 ms; given up after four times 20
    answer = one.ask()
    assert decided([answer]) == ["bad"] and answer.receipt.attempts == ("challenger:deadline",)


def test_a_request_that_nobody_could_answer_is_an_error_of_its_arm(tried, new_fault, fault):
    text = TEXT.replace('[[failover.chain]]\ndefault = {{ label = "bad", score = 0.25 }}\n', "")
    one = tried(text=text)
    one.take("switched")
    new_fault("throw")
    fault("throw")
    with pytest.raises(NoAnswerError) as caught:
        one.ask()
    assert caught.value.receipt.attempts == ("challenger:failed", "0:failed")
    (record,) = one.kept
    assert record.arm == "none" and record.features["rollout"] == {"id": "r1", "assigned": "challenger"} and not record.exposed


def test_what_the_champion_s_signature_refuses_both_arms_refuse(tried):
    one = tried()
    for phase in ("canary", "switched"):
        one.take(phase, 0.5)
        with pytest.raises(InputError):
            one.ask([1.0, 0.0])
    assert one.kept == [] and one.engine.inflight == 0


def test_what_only_the_challenger_refuses_the_champion_answers(tried):
    one = tried(challenger="strict")  # takes x in [-0.5, 0.5] alone
    one.take("switched")
    answers = one.asks([(OTHER,), (SAME,)])
    assert [answer.receipt.entry for answer in answers] == [-1, 0] and answers[1].receipt.attempts == ("challenger:failed",)
    assert [record.arm for record in one.kept] == ["challenger", "champion"]


def test_caches_and_the_consistency_window_are_kept_apart_by_arm(tried):
    more = "\n[consistency]\nwindow_s = 600\n"
    cache = "\n[[failover.chain]]\ncache = {{ ttl_s = 60, first = true }}\n"
    text = TEXT.replace("\n[[failover.chain]]\n", cache + "\n[[failover.chain]]\n")
    one = tried(more=more, text=text)
    assert decided(one.asks([(OTHER,)] * 2, ["ana", "ana"])) == ["bad", "bad"]
    one.take("switched")
    answers = one.asks([(OTHER,)] * 3, ["ana", "ana", None])
    assert decided(answers) == ["good"] * 3 and [answer.receipt.reason for answer in answers] == ["primary", "consistent", "cached"]
    one.take("rolled back")
    back = one.asks([(OTHER,)] * 2, ["ana", None])
    assert decided(back) == ["bad", "bad"] and [answer.receipt.reason for answer in back] == ["consistent", "cached"]
    arms = [(record.arm, record.features.get("rollout", {}).get("assigned")) for record in one.kept]
    assert arms[2:4] == [("challenger", "challenger")] * 2 and arms[5] == ("champion", None)


def test_the_first_step_may_go_to_one_slice_alone_and_records_say_the_slices_of_their_rows(tried):
    one = tried('first = "line=test"\nslices = ["line"]', champion="lined", challenger="lined-new")
    one.take("canary", 0.75, segment="line=test")
    one.engine._draw = lambda: 0.5
    answers = one.asks([(OTHER,)], line=[0]) + one.asks([(OTHER,)], line=[1]) + one.asks([(OTHER, OTHER)], line=[0, 1])
    assert decided(answers) == ["good", "bad", "bad"]
    said = [(record.propensity, record.features["rollout"]["assigned"], record.features["rollout"]["slices"]) for record in one.kept]
    assert said == [(0.75, "challenger", {"line": ["test"]}), (1.0, "champion", {"line": ["live"]}),
                    (1.0, "champion", {"line": ["test", "live"]})]  # fmt: skip


def test_the_dial_knows_that_the_threshold_is_the_champion_s(tried, new_fault):
    one = tried(more='\n[automation]\nscore = "either(score)"\nlevel = "partial"\nthreshold = 0.9\ncheck_share = 0.0001\n')
    champion = one.ask(SURE)
    one.take("switched")
    challenger = one.ask(SURE)
    assert champion.pending is None and challenger.pending is not None and challenger.outputs["label"].tolist() == [None]
    first, second = one.kept
    assert (first.selection_reason, first.arm) == ("confident", "champion")
    assert (second.selection_reason, second.arm, second.decided_by) == ("not-champion", "challenger", "both")
    assert second.features["rollout"]["assigned"] == "challenger" and second.outputs["label"] == [1]
    assert 'portside_decisions_total{by="both",reason="not-champion"} 1' in one.engine.metrics.text()
    new_fault("throw")  # and where the champion answers in the challenger's place, its threshold holds
    assert one.ask(SURE).pending is None and one.kept[-1].selection_reason == "confident"


def test_what_was_promoted_and_is_the_champion_now_answers_as_that_with_its_own_thresholds(tried):
    """The file may go on naming a challenger, such as the tag of candidates, which is the same package until the next one is trained."""
    one = tried(champion="new", more='\n[automation]\nscore = "either(score)"\nlevel = "partial"\nthreshold = 0.9\ncheck_share = 0.0001\n')
    one.take("promoted")
    assert one.ask(SURE).pending is None and one.engine.stand.arm is None and one.engine.traffic.phase == "promoted"
    (record,) = one.kept
    assert (record.arm, record.package, record.selection_reason, record.decided_by) == ("champion", one.digest, "confident", "model")


def test_a_reload_goes_on_with_counters_and_records_and_the_phase(tried):
    one = tried()
    one.take("switched")
    one.ask()
    next_one = opened(resolve(read(one.file)), one.engine)
    try:
        assert next_one.records is one.engine.records and next_one.metrics is one.engine.metrics
    finally:
        next_one.close(records=False)
    assert decided([one.ask()]) == ["good"]  # the one that serves has lost nothing


def test_what_a_promoted_challenger_told_whom_holds_when_it_has_become_the_champion(tried):
    one = tried(more="\n[consistency]\nwindow_s = 600\n")
    one.take("promoted")
    one.asks([(OTHER,)], ["ana"])
    text = one.file.read_text().replace('package = "main"', 'package = "new"')
    one.file.write_text(text[: text.index("[rollout]")])
    plain = opened(resolve(read(one.file)), one.engine)
    try:
        assert plain.consistency is one.engine.stand.arm.consistency and len(plain.consistency) == 1
        assert one.engine.window("sha256:other") is one.engine.champion.consistency
    finally:
        plain.close(records=False)


def test_at_level_human_no_model_is_asked_and_nobody_is_given_an_arm(tried):
    one = tried(more='\n[automation]\nlevel = "human"\n')
    one.take("promoted")
    assert one.ask().pending is not None
    (record,) = one.kept
    assert record.decided_by == "person" and "rollout" not in record.features


def test_a_challenger_that_cannot_be_opened_is_down_and_counted(tried, monkeypatch):
    one = tried()
    monkeypatch.setattr("portside.cloud.arms.standing.open_model", _refuse)
    one.take("canary", 1.0)
    answer = one.ask()
    assert decided([answer]) == ["bad"] and answer.receipt.attempts == ("challenger:down",)
    assert "cannot be opened" in one.engine.stand.fault and "portside_rollout_fault 1" in one.engine.metrics.text()
    assert one.kept[0].features["rollout"]["assigned"] == "challenger"
    monkeypatch.undo()
    one.take("canary", 0.99999)  # another look at it
    assert one.engine.stand.fault == "" and decided([one.ask()]) == ["good"]


def test_a_challenger_that_this_deployment_does_not_name_is_given_to_nobody(tried):
    one = tried()
    one.digest = "sha256:" + "0" * 64
    for phase in ("shadow", "canary", "promoted"):
        one.take(phase, 1.0)
        assert decided([one.ask()]) == ["bad"]


def test_a_promoted_challenger_s_records_are_traffic_and_shadows_are_not(tried):
    one = tried()
    one.take("promoted")
    one.ask()
    one.engine.records.flush()
    database = one.engine.records.database
    assert [record.arm for _, record in after(database, 0, deployment="tester")] == ["challenger"]
    assert [record.arm for record in between(database, 0, 1 << 60)] == ["challenger"]


def _refuse(model):
    from portside.sdk.core.errors import EngineError

    raise EngineError("The artifact cannot be opened")
