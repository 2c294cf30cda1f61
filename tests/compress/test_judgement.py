"""What a package keeps of the passes in front of a ladder."""

from __future__ import annotations

import pytest

import portside as ps
from portside.compress.judgement import _structure

STUDENT = "sklearn.tree:DecisionTreeClassifier"


@pytest.mark.parametrize(("teacher", "said"), [
    ("https://host/route?key=secret", ["https://host/route"]), (["name", "http://host:3000"], ["name", "http://host:3000/predict"]),
    (None, None),
])  # fmt: skip
def test_what_may_be_a_key_in_an_address_does_not_travel(teacher, said) -> None:
    plan = ps.Distil(STUDENT, teacher=teacher)
    (step,) = _structure([plan]).steps
    assert step.get("teacher") == said
    assert {**step, "teacher": None} == {**plan.to_dict(), "teacher": None}
