"""Rollouts as rows: one that this version did not write is refused, whoever spoilt it."""

from __future__ import annotations

import json

import pytest
from rolled import CHALLENGER, NAME, QUICK, Rig, rolled
from sqlalchemy import select, text, update

from portside.cloud.rollout_policy import Policy
from portside.cloud.rollouts.storing import every, newest
from portside.cloud.rollouts.tables import ROLLOUTS
from portside.sdk.core.errors import FormatError

POLICY = Policy((CHALLENGER,), **QUICK)


@pytest.mark.parametrize(("column", "changed"), [
    ("state", {"phase": "everyone"}), ("state", {"phase": "canary", "step": 99}), ("state", {"step": "1"}), ("state", {"later": 1}),
    ("state", {"challengers": "sha256:c1"}), ("policy", {"later": 1}), ("policy", {"steps": "abc"}), ("policy", {"max_days": None}),
    ("policy", {"challengers": []}), ("about", {"champion": None}), ("about", {"challengers": [{}]}), ("latest", {"action": "hold"}),
    ("state", None), ("policy", None), ("about", None), ("latest", None),
])  # fmt: skip
def test_a_row_that_cannot_be_one_is_refused_by_all_who_read_it(quick, tmp_path, column, changed):
    rolled(quick, POLICY)
    with quick.write() as connection:
        (held,) = connection.execute(select(ROLLOUTS.c[column])).one()
        spoilt = "{spoilt" if changed is None else json.dumps({**json.loads(held), **changed})
        connection.execute(update(ROLLOUTS).values({column: spoilt}))
    with pytest.raises(FormatError, match="newer version"):
        every(quick, NAME)
    with pytest.raises(FormatError) as caught, quick.read() as connection:
        newest(connection, NAME)
    assert "\n" not in str(caught.value) and NAME in caught.value.got
    with pytest.raises(FormatError):
        Rig(quick, tmp_path).look()


def test_a_number_that_is_none_is_refused(quick):
    rolled(quick, POLICY)
    with quick.write() as connection:
        connection.execute(text("UPDATE rollouts SET clock_ms = 'x'"))
    with pytest.raises(FormatError, match="clock_ms is no number"):
        every(quick, NAME)
