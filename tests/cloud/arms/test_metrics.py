"""The metrics page of a rollout is what a Prometheus parser reads, in every phase."""

import pytest
from armed import SAME
from prometheus_client.parser import text_string_to_metric_families


def samples(one):
    families = {family.name: family for family in text_string_to_metric_families(one.engine.metrics.text())}
    return {name: {tuple(sample.labels.items()): sample.value for sample in family.samples} for name, family in families.items()}


PHASES = [("shadow", 0.0), ("canary", 0.25), ("switched", 1.0), ("promoted", 1.0), ("rolled back", 0.0)]


@pytest.mark.parametrize(("phase", "share"), PHASES)
def test_the_page_says_where_this_worker_is(tried, phase, share):
    one = tried()
    one.take(phase, 0.25 if phase == "canary" else 0.0)
    found = samples(one)
    assert found["portside_rollout_phase"] == {(("phase", phase),): 1.0}
    assert [found[f"portside_rollout_{name}"][()] for name in ("share", "serial", "fault")] == [share, 1.0, 0.0]
    assert ((("entry", "challenger"),) in found["portside_model_ready"]) is (phase in ("canary", "switched", "promoted"))
    assert ("portside_shadow_questions" in found) is (phase == "shadow")


def test_both_arms_are_counted_apart_and_together(tried, new_fault):
    one = tried()
    one.take("canary", 0.5)
    draws = iter([0.1, 0.9, 0.1, 0.9, 0.9])
    one.engine._draw = lambda: next(draws)
    one.asks([(SAME,)] * 2)
    new_fault("throw")
    one.asks([(SAME,)] * 3)
    found = samples(one)
    assert found["portside_arm_requests"] == {
        (("arm", "champion"), ("reason", "primary")): 3.0, (("arm", "challenger"), ("reason", "primary")): 1.0,
        (("arm", "challenger"), ("reason", "failed")): 1.0}  # fmt: skip
    assert found["portside_requests"] == {(("model", "main"), ("reason", "primary")): 4.0, (("model", "main"), ("reason", "failed")): 1.0}
    assert found["portside_failovers"] == {(("entry", "challenger"), ("reason", "failed")): 1.0}
    seconds = found["portside_arm_request_seconds"]
    assert seconds[(("arm", "champion"), ("le", "+Inf"))] == 3.0 and seconds[(("arm", "challenger"), ("le", "+Inf"))] == 2.0
