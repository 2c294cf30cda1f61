"""The rollout page in Chromium: from the tab to the sequence that broke its limit, by keyboard too, at three widths, in the dark."""

import shutil
import time

import browsing
import pytest
import tried
from test_devices_browser import looked_at

pytestmark = [pytest.mark.browser, pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")]


def test_from_the_tab_to_the_sequence_that_broke_its_limit(tmp_path):
    pytest.importorskip("playwright.sync_api")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    file = tmp_path / "cells.toml"
    file.write_text('name = "cells"\n[champion]\npackage = "x"\n[records]\npath = "records.sqlite"\n')
    now_ms = time.time_ns() // 1_000_000
    apart = None
    try:
        with browsing.chromium() as browser:
            tried.tried(file, now_ms - 3_600_000, broken="fog", rollout="r1")
            apart = browsing.Apart(file, tmp_path / "log")
            page = browsing.opened(browser, bypass_csp=True)
            page.goto(apart.url)
            page.click("nav >> text=Rollout")
            page.wait_for_selector("#measures svg")
            assert page.locator(".track li.end").text_content().startswith("rolled back")
            assert page.locator('[aria-current="step"]').count() == 1
            assert "errors in sky=fog: at least" in page.locator("#now").text_content() and page.locator("#now pre").count() == 0
            broken = page.locator("figure", has_text="sky=fog: errors")
            label = broken.locator("svg[role=img]").get_attribute("aria-label")
            assert "limit 4%: beyond" in label and broken.locator(".limit.bad").count() == 1
            broken.locator("svg[role=img]").focus()
            page.keyboard.press("End")
            first = broken.locator(".readout").text_content()
            page.keyboard.press("ArrowLeft")
            assert "of" in first and broken.locator(".readout").text_content() not in ("", first)
            broken.locator("summary").click()
            broken.locator("tbody tr").nth(10).wait_for()
            assert broken.locator("path.line").count() == 2, "one for the shadow, one for the canary"
            page.click("summary >> text=Sequences of the other slices")
            page.wait_for_function("document.querySelectorAll('#measures figure svg[role=img]').length > 8")
            looked_at(page, axe)

            tried.tried(file, now_ms, looks=30, rollout="r2")
            page.wait_for_selector("text=A person is asked", timeout=15_000)
            assert page.locator("#now pre").text_content().startswith("portside rollout approve")
            assert page.locator("#arms tbody tr").count() == 8
            looked_at(page, axe)
            page.click("#others a")
            page.wait_for_selector(".track li.end")
            assert page.url.endswith("/rollout/r1")
            page.click(".crumbs a")
            page.wait_for_selector("text=A person is asked")
            assert page.complaints == []
    finally:
        if apart is not None:
            apart.close()


def test_where_nothing_is_rolled_out_the_page_says_how_to_begin(tmp_path):
    pytest.importorskip("playwright.sync_api")
    file = tmp_path / "cells.toml"
    file.write_text('name = "cells"\n[champion]\npackage = "x"\n[records]\npath = "records.sqlite"\n')
    apart = browsing.Apart(file, tmp_path / "log")
    try:
        with browsing.chromium() as browser:
            page = browsing.opened(browser)
            page.goto(f"{apart.url}#/cells/rollout")
            page.wait_for_selector("text=Nothing is rolled out.")
            assert "portside rollout start" in page.locator("pre").text_content() and page.complaints == []
    finally:
        apart.close()
