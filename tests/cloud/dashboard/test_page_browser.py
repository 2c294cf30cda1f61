"""The dashboard in Chromium: alert to record, live, through a killed server, at three widths, for keyboards and screen readers."""

import re
import shutil
import time

import browsing
import pytest
import weather as made
from playwright.sync_api import expect

from portside.cloud.deployment.file import read
from portside.cloud.records.database import Database
from portside.cloud.records.reading import find
from portside.cloud.records.store import Draft, RecordStore
from portside.cloud.security import keys as of
from portside.cloud.security.key_file import write
from portside.sdk.core.records import Record, new_id

pytestmark = [pytest.mark.browser, pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")]
SERIOUS = {"serious", "critical"}
VIEWS = (
    "",
    "/fields",
    "/feature/in.temperature",
    "/feature/in.sky",
    "/slice/sky%3Dfog",
    "/records",
    "/record/{record}",
    "/alerts",
    "/alert/{alert}",
)


@pytest.fixture(scope="module")
def browser():
    pytest.importorskip("playwright.sync_api")
    with browsing.chromium() as held:
        yield held


@pytest.fixture(scope="module")
def apart(day, tmp_path_factory):
    held = browsing.Apart(day.deployment, tmp_path_factory.mktemp("log") / "log")
    yield held
    held.close()


def test_from_an_alert_to_its_evidence_to_a_record(browser, apart, day):
    page = browsing.opened(browser)
    page.goto(apart.url)
    page.wait_for_selector("#alerts-title")
    page.locator("#alerts a", has_text="All ").click()
    page.locator(".alerts a", has_text="drift").first.click()
    page.wait_for_selector("#runbook")
    assert page.locator("#runbook p").text_content().strip() and page.locator("#evidence svg[role=img]").count() == 1
    page.locator("#examples tbody a").first.click()
    page.wait_for_selector("#receipt")
    number = page.locator("h1 code").text_content()
    assert number in day.ids and "sky" in page.locator("#inputs").text_content() and page.complaints == []
    page.go_back()
    page.wait_for_selector("#runbook")
    page.context.close()


def more(day, label, wait_ms=0):
    """Another record, written now."""
    deployment, now = read(day.deployment), time.time_ns() // 1_000_000 + wait_ms
    with Database.open(deployment.records.place(deployment.folder)) as database:
        like = find(database, day.ids[-1])
    store = RecordStore(deployment.records.place(deployment.folder))
    record = Record(
        **{**vars(like), "id": new_id(), "server_ms": now, "event_ms": now, "entity": label, "inputs": {}, "outputs": {}, "flags": ()}
    )
    store.put(Draft(record, {}, {}, made.SIGNATURE))
    assert store.flush()
    store.close()
    return record.id


def test_news_comes_without_a_reload(browser, apart, day):
    page = browsing.opened(browser)
    page.goto(f"{apart.url}#/rain-tomorrow/records")
    page.wait_for_selector("#list table")
    page.evaluate("window.mark = 1")
    more(day, "just-now")
    page.wait_for_selector("#list td:has-text('just-now')", timeout=15_000)
    assert page.evaluate("window.mark") == 1 and page.complaints == []
    page.context.close()


def test_a_killed_server_is_said_and_what_was_known_stays(browser, day, tmp_path):
    apart = browsing.Apart(day.deployment, tmp_path / "log")
    page = browsing.opened(browser)
    page.goto(apart.url)
    page.wait_for_selector(".cards")
    before = page.locator(".cards").text_content()
    apart.kill()
    page.wait_for_selector("#silence:has-text('No news since')", timeout=20_000)
    assert page.locator("#silence time").get_attribute("title").endswith("UTC") and page.locator(".cards").text_content() == before
    assert page.title().startswith("No news")
    apart.start()
    page.wait_for_selector("#silence:not(:has-text('No news'))", state="attached", timeout=20_000)
    page.wait_for_selector("#live:has-text('Live')")
    assert not page.title().startswith("No news") and page.complaints == []
    apart.close()
    page.context.close()


@pytest.fixture(scope="module")
def addresses(apart, browser, day):
    """Every view by its address."""
    page = browsing.opened(browser)
    page.goto(f"{apart.url}#/rain-tomorrow/alerts")
    page.wait_for_selector(".alerts a")
    alert = page.locator(".alerts a", has_text="drift").first.get_attribute("href").split("/alert/")[1]
    page.context.close()
    return {view: f"{apart.url}#/rain-tomorrow{view.format(record=day.wrong[-1], alert=alert)}" for view in VIEWS}


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_serious(browser, addresses, view):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = browsing.opened(browser, bypass_csp=True)
    page.goto(addresses[view])
    page.wait_for_selector("main section")
    folded = page.locator("main details[data-keep^=confusion] > summary, main section:first-of-type summary")  # tables are alike
    for summary in folded.all()[:2]:
        summary.click()
    told = []
    for scheme, options in (("light", None), ("dark", {"runOnly": ["color-contrast"]})):  # only colours are another
        page.emulate_media(color_scheme=scheme)
        found = axe.Axe().run(page, options=options).response["violations"]
        told += [(scheme, one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in SERIOUS]
    page.context.close()
    assert told == []


UNNAMED = "[...document.querySelectorAll('main svg[role=img]')].filter(one => !(one.getAttribute('aria-label') || '').trim()).length"


def test_every_view_fits_every_width(browser, addresses):
    page = browsing.opened(browser)
    for view, address in addresses.items():
        page.goto(address)
        page.wait_for_selector("main section")
        for width in (390, 820, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(50)
            wide, shown = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide <= shown, (view, width, wide)
        assert page.evaluate(UNNAMED) == 0, view
    assert page.complaints == []
    page.context.close()


def test_a_plot_is_read_out_by_keys_and_has_a_table(browser, addresses):
    page = browsing.opened(browser)
    page.goto(addresses[""])
    plot = page.locator("#up svg[role=img]").first
    plot.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    said = page.locator("#up .readout").first.text_content()
    assert re.search(r"\d\d:\d\d: in time \d+, late \d+", said), said
    page.locator("#up summary").first.click()
    rows = page.locator("#up details[open] tbody tr")
    expect(rows).to_have_count(96)  # a table is filled when the browser says that it is open
    page.wait_for_timeout(4000)
    expect(rows, "what was opened stays open when news comes").to_have_count(96)
    page.context.close()


def test_times_are_the_viewers_with_utc_under_the_pointer(browser, addresses):
    page = browsing.opened(browser, timezone_id="Asia/Kolkata")
    page.goto(addresses["/record/{record}"])
    shown = page.locator("header time").first
    shown.wait_for()
    utc = shown.get_attribute("title")
    hour, minute = (int(part) for part in re.search(r" (\d\d):(\d\d):", utc).groups())
    there = (hour * 60 + minute + 330) % 1440
    assert f"{there // 60:02}:{there % 60:02}" in shown.text_content() and utc.endswith("UTC")
    page.context.close()


MARKUP = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>'


def test_markup_in_what_was_sent_is_text(browser, apart, day):
    number = more(day, MARKUP)
    page = browsing.opened(browser)
    for view in (
        "records",
        f"record/{number}",
        f"feature/{MARKUP}".replace("/script", "%2Fscript"),
        "slice/" + MARKUP.replace("/", "%2F").replace("=", "%3D"),
    ):
        page.goto(f"{apart.url}#/rain-tomorrow/{view}")
        page.wait_for_selector("main section, main .empty")
        page.wait_for_timeout(300)
        assert page.evaluate("window.hurt") is None and page.locator("main img").count() == 0, view
    page.goto(f"{apart.url}#/rain-tomorrow/record/{number}")
    page.wait_for_selector("a:has-text('onerror')")
    assert page.complaints == []
    page.context.close()


def test_a_server_with_keys_asks_for_one_and_keeps_it_in_the_tab(browser, day, tmp_path):
    file = day.deployment.with_name("with_keys.toml")
    file.write_text(day.deployment.read_text() + '\n[server.keys]\nfile = "keys.json"\n')
    monitor, predict = of.new("eye", ["monitor"], now=1.0), of.new("caller", ["predict"], now=1.0)
    write(file.parent / "keys.json", [monitor[0], predict[0]])
    apart = browsing.Apart(file, tmp_path / "log")
    page = browsing.opened(browser)
    page.goto(apart.url)
    for said, why in ((predict[1], "scope"), ("psk_wrong", "not known"), (monitor[1], "")):
        page.wait_for_selector("#key")
        page.fill("#key", said)
        page.keyboard.press("Enter")
        if why:
            page.wait_for_selector(f".locked [role=status]:has-text('{why}')")
    page.wait_for_selector(".cards")
    page.reload()
    page.wait_for_selector(".cards")
    assert page.context.cookies() == [] and monitor[1] not in page.url and page.evaluate("localStorage.length") == 0
    page.click("text=Forget the key")
    page.wait_for_selector("#key")
    assert page.complaints == []
    apart.close()
    page.context.close()


def test_a_deployment_that_was_never_asked_teaches(browser, tmp_path):
    file = tmp_path / "new.toml"
    file.write_text('name = "new"\n[champion]\npackage = "x"\n')
    apart = browsing.Apart(file, tmp_path / "log")
    page = browsing.opened(browser)
    page.goto(apart.url)
    page.wait_for_selector("text=Nothing was asked yet")
    page.goto(f"{apart.url}#/new/alerts")
    page.wait_for_selector("text=Nobody watches this deployment")
    page.goto(f"{apart.url}#/new/records")
    page.wait_for_selector("text=There are no records yet")
    assert page.complaints == []
    apart.close()
    page.context.close()
