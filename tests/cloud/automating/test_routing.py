"""Routes of an answer's rows, and what its record says of them."""

import math

from portside.cloud.automating.plan import Plan, Slice
from portside.cloud.automating.routing import MIXED, routes
from portside.cloud.automating.score import parse
from portside.cloud.automation import Dial
from portside.sdk.core.records import Record
from portside.sdk.core.selection import selection_of

PLAN = Plan(Dial("partial", 0.9, 0.05), parse("sure"), "label")
RECORD = Record("r", 1, 1, receipt={"model": "main"})


def routed(values, plan=PLAN, champion=True, draws=(0.5,)):
    given = iter([*draws, *[0.5] * len(values)])
    return routes(plan, {}, {"sure": values, "label": [1] * len(values)}, len(values), champion, lambda: next(given))


def test_rows_are_routed_one_by_one():
    found = routed([0.95, 0.5, math.nan, 0.99], draws=(0.5, 0.5, 0.5, 0.01))
    assert [route.reason for route in found.rows] == ["confident", "low-confidence", "low-confidence", "check"]
    assert (found.reviewed, found.waiting, found.withheld) == ((1, 2, 3), (1, 2), (1, 2))


def test_a_record_of_one_row_says_it_in_its_own_fields():
    record = routed([0.5]).marked(RECORD)
    assert (record.selection, record.selection_reason, record.decided_by, record.exposed) == (1.0, "low-confidence", "both", False)
    assert record.receipt == {"model": "main"} and record.id == "r"
    sure = routed([0.95]).marked(RECORD)
    assert (sure.selection, sure.selection_reason, sure.decided_by, sure.exposed) == (0.05, "confident", "model", True)


def test_a_record_of_rows_that_differ_says_it_row_by_row():
    record = routed([0.95, 0.5]).marked(RECORD)
    assert (record.selection, record.selection_reason, record.decided_by, record.exposed) == (0.05, MIXED, MIXED, True)
    assert [selection_of(record, row).probability for row in (0, 1)] == [0.05, 1.0] and record.receipt["model"] == "main"


def test_what_answered_in_the_models_place_is_still_said():
    cached = Record("r", 1, 1, decided_by="cache")
    assert routed([0.95]).marked(cached).decided_by == "cache"


def test_slices_route_by_their_own_dials():
    dial = Dial("partial", 0.9, 0.05, slices={"label=1": Dial("human")})
    plan = Plan(dial, parse("sure"), "label", (Slice("label=1", "label", 1, True),))
    assert [route.reason for route in routed([0.95], plan).rows] == ["level"]


def test_without_outputs_or_a_score_there_is_nothing_to_compare():
    assert routes(Plan(Dial("human"), None, "label"), {}, {}, 2, True, lambda: 0.5).waiting == (0, 1)
    assert routed([0.99], champion=False).rows[0].reason == "not-champion"
