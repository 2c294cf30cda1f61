"""The policy of a rollout: from the section, through JSON, and how the chance of a false rollback is divided."""

from __future__ import annotations

import json

import pytest

from portside.cloud.deployment.rollout import Limits, Rollout
from portside.cloud.rollout_policy import EVERYONE, MOST_SLICES, Policy
from portside.sdk.core.errors import FormatError

NEW = "sha256:ab"


def test_a_section_becomes_a_policy():
    section = Rollout(challenger="rain:4", steps=[0.1, 0.5], slices=["line"], first="line=test", approve=["promote"], gain=0.01,
                      limits=Limits(disagreement=0.1, slice_factor=3.0))  # fmt: skip
    policy = Policy.of(section, (NEW,), deadline_ms=50.0)
    assert policy.limits == {"errors": 0.01, "late": 0.01, "disagreement": 0.1, "accuracy": 0.02}
    assert (policy.steps, policy.slices, policy.first) == ((0.1, 0.5), ("line",), "line=test")
    assert (policy.approve, policy.gain) == (("promote",), 0.01)
    assert policy.limit("errors", EVERYONE) == 0.01 and policy.limit("errors", "line=test") == pytest.approx(0.03)


def test_what_is_not_judged_has_no_limit():
    assert set(Policy.of(Rollout(challenger="rain:4", accuracy="off"), (NEW,)).limits) == {"errors"}
    assert set(Policy.of(Rollout(challenger="rain:4", limits=Limits(latency_ms=20.0)), (NEW,)).limits) == {"errors", "late", "accuracy"}


@pytest.mark.parametrize(("more", "what"), [
    ({"challengers": ()}, "challengers"), ({"challengers": ("a", "b")}, "challengers"), ({"steps": ()}, "steps"),
    ({"steps": (0.5, 1.0)}, "steps"), ({"limits": {"late": 0.01}}, "Errors are always judged"),
    ({"limits": {"errors": 0.01, "mood": 0.1}}, "no such measure"),
])  # fmt: skip
def test_what_cannot_be_is_refused(more, what):
    with pytest.raises(FormatError, match=what):
        Policy(**{"challengers": (NEW,), **more})


def test_a_digest_is_missing():
    with pytest.raises(FormatError, match="digest"):
        Policy.of(Rollout(challenger="rain:4"), ())


def test_it_goes_through_json_and_back():
    policy = Policy((NEW,), slices=("line",), first="line=test", approve=("canary",))
    assert Policy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy
    with pytest.raises(FormatError, match="not a policy"):
        Policy.from_dict({"challengers": [NEW], "colour": "blue"})


@pytest.mark.parametrize(("more", "stages", "proving"), [
    ({}, ("shadow", "canary", "switched"), "canary"),
    ({"shadow_first": False}, ("canary", "switched"), "canary"),
    ({"mode": "blue-green"}, ("shadow", "switched"), "shadow"),
    ({"mode": "blue-green", "shadow_first": False}, ("switched",), None),
    ({"mode": "shadow"}, ("shadow",), "shadow"),
])  # fmt: skip
def test_stages_and_the_one_that_proves(more, stages, proving):
    policy = Policy((NEW,), **more)
    assert (policy.stages, policy.proving) == (stages, proving)


@pytest.mark.parametrize("more", [{}, {"slices": ("line",)}, {"mode": "blue-green"}, {"limits": {"errors": 0.01}, "first": "line=test"}])
def test_all_tests_together_blame_wrongly_with_a_chance_of_alpha_at_most(more):
    policy = Policy((NEW,), alpha=0.04, **more)
    slices = MOST_SLICES if policy.slices or policy.first else 0
    each = len(policy.stages) * len(policy.limits)
    assert each * (policy.blame(EVERYONE) + slices * policy.blame("line=test")) == pytest.approx(0.04)


def test_a_gain_is_proven_where_a_promotion_stands_on_it():
    policy = Policy((NEW,), gain=0.01)
    assert policy.aim("accuracy", "canary", EVERYONE) == -0.01
    assert policy.aim("accuracy", "canary", "line=test") == 0.04
    assert policy.aim("accuracy", "shadow", EVERYONE) == 0.02
    assert Policy((NEW,), mode="blue-green", gain=0.01).aim("accuracy", "shadow", EVERYONE) == -0.01


@pytest.mark.parametrize(("accuracy", "gain", "stage", "rows", "asked"), [
    ("when there", 0.0, "canary", 199, False), ("when there", 0.0, "canary", 200, True), ("required", 0.0, "canary", 0, True),
    ("required", 0.0, "shadow", 0, False), ("when there", 0.01, "canary", 0, True), ("required", 0.0, "switched", 900, False),
])  # fmt: skip
def test_when_accuracy_is_asked_for(accuracy, gain, stage, rows, asked):
    assert Policy((NEW,), accuracy=accuracy, gain=gain).asked("accuracy", stage, rows) is asked
