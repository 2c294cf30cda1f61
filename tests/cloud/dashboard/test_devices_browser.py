"""The devices page in Chromium: who needs somebody comes first, from a device to its error, at three widths, in the dark."""

import shutil
import time

import browsing
import field
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")]
SERIOUS = {"serious", "critical"}


def test_from_the_fleet_to_a_device_to_its_error(day, tmp_path):
    pytest.importorskip("playwright.sync_api")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    apart = browsing.Apart(day.deployment, tmp_path / "log")
    try:
        with browsing.chromium() as browser:
            page = browsing.opened(browser, bypass_csp=True)
            names = field.devices(day.deployment, time.time_ns() // 1_000_000)  # they were heard seconds ago, however long the rest took
            page.goto(f"{apart.url}#/rain-tomorrow")
            page.wait_for_selector(".cards")
            page.click("nav >> text=Devices")
            page.wait_for_selector("#list table")
            rows = page.locator("#list tbody tr")
            assert rows.count() == len(names) and "elsewhere-1" not in page.locator("#list").text_content()
            assert [rows.nth(place).locator("a").text_content() for place in range(3)] == ["roof-06", "roof-03", "roof-09"]
            assert "3 of 64 firm rows" in rows.nth(1).text_content() and "seconds ago" in rows.nth(1).text_content()
            assert page.locator("#drift .badge").first.text_content() == "drift" and page.locator("#releases tbody tr").count() == 2
            looked_at(page, axe)
            page.click("#list >> text=roof-03")
            page.wait_for_selector("#log table")
            assert "wanted" in page.locator("#log").text_content() and "rolled-back" in page.locator("#log").text_content()
            looked_at(page, axe)
            page.click("#log >> text=0:crashed")
            page.wait_for_selector("#receipt")
            assert page.complaints == []
    finally:
        apart.close()


def looked_at(page, axe):
    """It fits, and reads well, wherever it is looked at."""
    for width in (390, 820, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(50)
        wide, shown = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= shown, (width, wide)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = axe.Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in SERIOUS] == [], scheme
