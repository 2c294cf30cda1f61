"""A whole load against a server that does as it is told: steps, verdict, page."""

import re
from html.parser import HTMLParser

import pytest
from answering_server import Answering

from portside.cloud.load.knee import Aim
from portside.cloud.load.page import page
from portside.cloud.load.running import Plan, load, sequence, served
from portside.cloud.load.target import target
from portside.sdk.core.errors import InputError


def loaded(act=lambda number, body: 200, rates=(200.0, 400.0), deadline_ms=2000.0, **settings):
    told = []
    with Answering(act) as server:
        report = load(target(server.url), Plan(rates, 1.0, **settings), Aim(0.9, deadline_ms), told.append)
    return report, told


def test_steps_run_in_order_and_are_told():
    report, told = loaded()
    assert [step.rate for step in report.steps] == [200.0, 400.0] and len(told) == 4
    assert all(step.answered == step.sent > 100 for step in report.steps)
    data = report.to_dict()
    assert data["steps"][0]["verdict"] in ("held", "generator late") and data["steps"][0]["moments"][0]["answered"] > 0
    assert data["machine"]["shared"] is True


def test_refusals_are_a_miss_and_stand_apart():
    report, _ = loaded(lambda number, body: 429 if number % 2 else 200)
    assert report.found.verdict == "missed" and report.found.knee is None
    head, rows = report.rows()
    assert "refused (429)" in rows[0][head.index("errors")] and "failovers" not in head


def test_a_search_ends_with_its_time():
    report, _ = loaded(rates=(), minutes=0.03, first=100.0)
    assert 1 <= len(report.steps) <= 3 and report.steps[0].rate == 100.0


def test_the_page_shows_what_there_is():
    report, _ = loaded(lambda number, body: 503 if number % 3 == 1 else 200)
    html = page(report)
    assert html.count("<svg class=w380") == html.count("<svg class=w780") == 3 and "status 503" in html
    assert "<script" not in html and not re.search(r"(src|href)\s*=", html)
    HTMLParser().feed(html)
    empty = page(load_nothing())
    assert "<svg class=w" not in empty and "not enough data" in empty.lower()


def load_nothing():
    report, _ = loaded(minutes=0.0)
    return report


def test_a_deployment_with_tls_is_loaded_by_its_address(tmp_path):
    (tmp_path / "d.toml").write_text('name = "d"\n[champion]\npackage = "p"\n[server.tls]\ncert = "c.pem"\nkey = "k.pem"\n')
    with pytest.raises(InputError, match="TLS"), served(tmp_path / "d.toml"):
        pass


def test_rates_ascend():
    assert sequence([400, 100, 100]) == (100, 400)
