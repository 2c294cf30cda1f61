"""Who is given which arm: shares are kept, entities keep their arm, everybody is in one arm with the probability that stands there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.arms.assigning import CHALLENGER, CHAMPION, Arm, assigned
from portside.cloud.deployment.traffic import Traffic

SHARES = st.floats(0.0, 1.0)


def canary(share, segment=None, salt="r1"):
    return Traffic(1, "r1", "canary", ("sha256:ab",), share, segment, salt)


def never():
    raise AssertionError("nothing was to be drawn")


@given(SHARES, SHARES, st.text(max_size=20))
def test_an_entity_that_is_given_the_challenger_is_given_it_at_every_larger_share(one, other, entity):
    less, more = sorted((one, other))
    small, large = assigned(canary(less), entity, True, never), assigned(canary(more), entity, True, never)
    assert small.assigned == CHAMPION or large.assigned == CHALLENGER


@given(SHARES, st.floats(0.0, 1.0, exclude_max=True))
def test_the_propensity_is_the_probability_of_the_arm_that_was_drawn(share, draw):
    arm = assigned(canary(share), None, True, lambda: draw)
    assert arm == (Arm("r1", CHALLENGER, share) if draw < share else Arm("r1", CHAMPION, 1.0 - share))


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
def test_the_share_of_entities_is_the_share(share):
    given_it = sum(assigned(canary(share), f"entity-{number}", True, never).assigned == CHALLENGER for number in range(20_000))
    assert abs(given_it / 20_000 - share) < 5 * (share * (1 - share) / 20_000) ** 0.5


def test_another_salt_draws_other_entities():
    first, second = ({who for who in range(2000) if assigned(canary(0.5, salt=salt), str(who), True, never).assigned == CHALLENGER}
                     for salt in ("r1", "r2"))  # fmt: skip
    assert 800 < len(first & second) + len(set(range(2000)) - first - second) < 1200  # as two coins agree


def test_outside_the_segment_is_the_champion_s_for_sure():
    assert assigned(canary(1.0, "line=test"), "ana", False, never) == Arm("r1", CHAMPION, 1.0)


ALL = Arm("r1", CHALLENGER, 1.0)


@pytest.mark.parametrize(("phase", "arm"), [("switched", ALL), ("promoted", ALL), ("shadow", None), ("gates", None), ("waiting", None),
                                            ("rolled back", None), ("ended", None)])  # fmt: skip
def test_the_other_phases_draw_nothing(phase, arm):
    assert assigned(Traffic(1, "r1", phase, ("sha256:ab",), 0.3), None, True, never) == arm
