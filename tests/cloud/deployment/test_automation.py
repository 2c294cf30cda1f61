"""The [automation] section: what it means, and what cannot be meant."""

import pytest
from pydantic import ValidationError

from portside.cloud.deployment.automation import Automation


def test_slices_take_what_they_do_not_say_from_the_others():
    held = Automation(level="partial", target_error=0.02, while_waiting="champion", slices={"a=1": {"level": "full"}, "a=2": {}})
    assert held.dials() == [("", "partial", "champion"), ("a=1", "full", "champion"), ("a=2", "partial", "champion")]
    assert held.levels == {"partial", "full"}


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"level": "partial"}, "needs a target_error"),
        ({"level": "assist", "slices": {"a=1": {"level": "partial"}}}, "needs a target_error"),
        ({"level": "partial", "threshold": 0.9, "target_error": 0.02}, "no meaning beside a threshold"),
        ({"level": "partial", "threshold": 0.9, "thresholds": "a.json"}, "no meaning beside a threshold"),
        ({"level": "shadow", "while_waiting": "champion"}, "nobody is given"),
        ({"level": "partial", "target_error": 0.1, "while_waiting": "champion", "slices": {"a=1": {"level": "human"}}}, "slice 'a=1'"),
        ({"level": "full", "check_share": 0.0}, "greater than 0"),
        ({"level": "full", "target_error": 0.5}, "less than 0.5"),
        ({"level": "full", "slices": {"poly": {}}}, "match pattern"),
        ({"level": "dial"}, "'human', 'shadow', 'assist', 'partial' or 'full'"),
    ],
)
def test_what_cannot_be_meant(settings, what):
    with pytest.raises(ValidationError, match=what):
        Automation(**settings)
