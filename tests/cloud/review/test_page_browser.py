"""The page in Chromium: two reviewers, keys alone, undo, a server that is killed and comes back, a screen reader's view, speed."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from made_reviews import NOW, PICTURE, item, number
from review_pages import DeskServer, chromium, fill, opened

from portside.cloud.records.database import Database
from portside.cloud.records.reading import every_label, labels_of
from portside.cloud.records.tables import LABELS
from portside.cloud.review import overview, queue
from portside.cloud.review.tables import TABLES
from portside.cloud.security import keys as of
from portside.cloud.security.key_file import write

pytestmark = [pytest.mark.browser, pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")]
sync_api = pytest.importorskip("playwright.sync_api")


NAMELESS = """[...document.querySelectorAll('button, input, select, audio')].filter(one => one.offsetParent && !one.labels?.length
  && !(one.getAttribute('aria-label') ?? one.textContent).trim()).map(one => one.outerHTML)"""


@pytest.fixture(scope="module")
def browser():
    with chromium(sync_api) as one:
        yield one


@pytest.fixture(autouse=True)
def closed_afterwards(browser):
    """Pages of one test take no items of the next."""
    yield
    for context in browser.contexts:
        context.close()


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    fill(folder, [])
    made = DeskServer(folder)
    yield made
    made.kill()


@pytest.fixture
def server(started):
    """A desk that runs, whose queue is empty."""
    if started.process.poll() is not None:
        started.start()
    return started


@pytest.fixture
def database(server):
    with Database.open(server.folder / "records.sqlite") as one:
        with one.write() as connection:
            for table in (*TABLES, LABELS):
                connection.execute(table.delete())
        yield one


KINDS = {"picture": ".frame img[src^='blob:']", "table": "#stage :text('inverter')", "text": "#stage :text('Dear customer')",
         "sound": ".wave rect", "number": "#answers :text('12')"}  # fmt: skip
"""What is shown of the items that `fill` makes, in order."""


def question(page):
    return page.inner_text("#question")


def shows(page, text):
    page.wait_for_selector(f"#stage :text('{text}')", timeout=10_000)


def settled(page):
    """Everything is acknowledged."""
    page.wait_for_selector("#lately .mark[aria-label='saved']")
    page.wait_for_selector("#lately .mark[aria-label='being sent']", state="detached", timeout=30_000)


def spoken(page, pattern):
    page.wait_for_selector("#spoken", state="attached")
    for _ in range(100):
        if re.search(pattern, page.text_content("#spoken")):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{page.text_content('#spoken')!r} was said, not {pattern}")


def test_two_reviewers_never_get_the_same_item(browser, server, database):
    queue.enqueue(database, [item(place, payload={"turn": f"item {place}"}) for place in range(12)])
    ana, ben = opened(browser, server, "ana"), opened(browser, server, "ben")
    seen = {"ana": [], "ben": []}
    while len(seen["ana"]) + len(seen["ben"]) < 12:
        for name, page in (("ana", ana), ("ben", ben)):
            page.wait_for_selector("#answers .candidate, .empty")
            if page.query_selector("#answers .candidate") is None:
                continue  # what is left is held by the other, whose page has it ready
            seen[name].append(page.inner_text(".staged"))
            page.keyboard.press("1")
            page.wait_for_function("before => document.querySelector('.staged')?.innerText !== before", arg=seen[name][-1])
    for page in (ana, ben):
        page.wait_for_selector(".empty")
        settled(page)
    assert len(set(seen["ana"]) | set(seen["ben"])) == 12 == len(seen["ana"]) + len(seen["ben"])
    by = {status.id: status.by for status, _ in overview.listed(database, NOW, state="decided")}
    assert Counter(by.values()) == {name: len(items) for name, items in seen.items()} and all(seen.values())
    assert ana.complaints == ben.complaints == []


def test_five_items_of_every_kind_by_keys_alone(browser, server, database):
    fill(server.folder)
    page = opened(browser, server)
    assert question(page) == "Is this cell damaged?"
    page.wait_for_selector(".frame img[src^='blob:']")
    before = page.inner_text(".level")
    for key in ("+", "+", "ArrowRight"):
        page.keyboard.press(key)
    assert page.inner_text(".level") != before and page.query_selector(".frame.near")
    page.keyboard.press("f")
    assert page.inner_text(".level") == before
    page.keyboard.press("n")
    page.keyboard.type("1 crack, lower left")  # a digit in a note is no answer
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    shows(page, "inverter")
    assert page.locator(".fields tr").count() == 5 and "missing" in page.inner_text(".fields")
    page.keyboard.press("1")
    shows(page, "Dear customer")
    assert "hidden" in page.inner_text("#about") and "%" not in page.inner_text("#answers")
    page.keyboard.press("2")
    page.wait_for_selector(".wave rect")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('audio').currentTime > 0")
    page.keyboard.press("1")
    shows(page, "4")
    page.keyboard.press("o")
    page.keyboard.type("dear")
    page.keyboard.press("Enter")
    assert "no number" in page.inner_text(".other .bad")
    page.fill("#typed", "12.5")
    page.keyboard.press("Enter")
    page.wait_for_selector(".empty")
    settled(page)
    told = {number(place): queue.status(database, number(place)).answer for place in range(1, 6)}
    assert list(told.values()) == [{"price": 12.5}, {"label": 1}, {"label": 1}, {"label": 1}, {"label": 0}]
    label = labels_of(database, [number(5, 2)])[number(5, 2), 0]
    assert label.note == "1 crack, lower left" and label.author == "ana" and page.complaints == []
    assert all(0 < made.took_ms < 60_000 for made in overview.history(database, "ana"))


def test_rows_of_numbers_are_drawn(browser, server, database):
    rows = [[(row + column) / 54 for column in range(28)] for row in range(28)]
    queue.enqueue(database, [item(1, payload={"photo": rows})])
    page = opened(browser, server)
    page.wait_for_selector("#stage canvas[role=img][aria-label='photo as a picture']")
    size, corners = page.evaluate("""() => { const one = document.querySelector("#stage canvas"), ask = one.getContext("2d")
      return [[one.width, one.height], [[0, 0], [27, 27]].map(([x, y]) => [...ask.getImageData(x, y, 1, 1).data])] }""")
    assert size == [28, 28] and corners == [[0, 0, 0, 255], [255, 255, 255, 255]]
    assert page.inner_text("#stage summary") == "28 × 28 numbers" and page.complaints == []


def test_undo_gives_the_item_back_also_after_a_reload(browser, server, database):
    queue.enqueue(database, [item(place, payload={"turn": f"item {place}"}) for place in range(3)])
    page = opened(browser, server)
    page.keyboard.press("1")
    shows(page, "item 1")
    page.keyboard.press("u")
    shows(page, "item 2")
    spoken(page, "Taken back: bad")
    page.keyboard.press("2")
    shows(page, "item 1")
    settled(page)
    assert [label.values["label"] for label in every_label(database, [number(2, 2)])] == [1, None, 0]
    page.reload()
    shows(page, "item 1")
    page.wait_for_selector("#undo:not([disabled])")
    page.keyboard.press("Control+z")
    shows(page, "item 2")
    assert queue.status(database, number(2)).state == "leased"
    page.keyboard.press("1")
    shows(page, "item 1")
    settled(page)
    assert queue.status(database, number(2)).answer == {"label": 1} and page.complaints == []


def test_a_server_that_is_killed_in_the_middle_loses_nothing(browser, server, database):
    queue.enqueue(database, [item(place, payload={"turn": f"item {place}"}) for place in range(6)])
    page = opened(browser, server)
    page.keyboard.press("1")
    settled(page)
    shows(page, "item 4")
    server.kill()
    page.keyboard.press("2")
    shows(page, "item 3")  # what was ready goes on
    page.wait_for_selector("#connection:has-text('does not answer')")
    page.keyboard.press("1")
    page.wait_for_selector("#connection:has-text('2 answers are kept here')")
    page.wait_for_selector("#lately .mark[aria-label='being sent']")
    server.start()
    page.wait_for_selector("#connection:empty", state="attached", timeout=20_000)
    spoken(page, "there again|Next|Is this")
    settled(page)
    shows(page, "item 2")
    held = {place: queue.status(database, number(place)) for place in range(6)}
    assert [held[place].answer for place in (5, 4, 3)] == [{"label": 1}, {"label": 0}, {"label": 1}]
    assert all(len(every_label(database, [number(place, 2)])) == 1 for place in (5, 4, 3))
    assert page.evaluate("Object.keys(localStorage).filter(key => key.includes('outbox')).length") == 0


def test_answers_survive_a_page_that_is_closed_while_the_server_is_away(browser, server, database):
    queue.enqueue(database, [item(place, payload={"turn": f"item {place}"}) for place in range(3)])
    page = opened(browser, server)
    server.kill()
    page.keyboard.press("1")
    page.wait_for_selector("#connection:has-text('1 answer is kept here')")
    page.on("dialog", lambda dialog: dialog.accept())
    server.start()
    page.reload()
    shows(page, "item 1")
    for _ in range(100):
        if queue.status(database, number(2)).state == "decided":
            break
        page.wait_for_timeout(100)
    assert queue.status(database, number(2)).answer == {"label": 1}


def test_somebody_else_was_first(browser, server, database):
    queue.enqueue(database, [item(place, payload={"turn": f"item {place}"}) for place in range(2)])
    page = opened(browser, server)
    shows(page, "item 1")
    with database.write() as connection:
        connection.execute(queue.REVIEWS.update().values(leased_by="ben", leased_until_ms=2**60))
    queue.decide(database, number(1), "ben", {"label": 0}, NOW)
    page.keyboard.press("1")
    page.wait_for_selector("#trouble:has-text('ben has decided')")
    assert queue.status(database, number(1)).answer == {"label": 0}


def test_what_a_screen_reader_is_told(browser, server, database):
    fill(server.folder)
    page = opened(browser, server)
    page.keyboard.press("1")
    spoken(page, r"^crack\. Next: cell poly, age_years 12\.5, .*serviced missing")
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.press("s")
    spoken(page, r"^Skipped\. Next: mail: Dear customer")
    nameless = page.evaluate(NAMELESS)
    assert nameless == []
    page.keyboard.press("?")
    page.click("#keys-off")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.wait_for_timeout(200)
    assert "Dear customer" in page.inner_text("#stage")  # single keys are off, for those whose software types them
    page.click("#answers .candidate >> nth=0")
    spoken(page, "^good. Next: sound speech")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser, server, database, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    fill(server.folder)
    page = opened(browser, server, color_scheme=scheme, bypass_csp=True)
    found = []
    for kind in KINDS:
        page.wait_for_selector(KINDS[kind])
        page.wait_for_timeout(150)
        found += serious(axe, page)
        if kind != "number":
            page.keyboard.press("1")
    page.keyboard.press("?")
    found += serious(axe, page)
    page.keyboard.press("Escape")
    page.keyboard.press("o")
    found += serious(axe, page)
    page.fill("#typed", "1")
    page.keyboard.press("Enter")
    page.wait_for_selector(".empty")
    server.kill()
    page.wait_for_selector("#connection:has-text('does not answer')", timeout=30_000)
    assert found + serious(axe, page) == []


def serious(axe, page):
    held = axe.run(page).response["violations"]
    return [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in held if one["impact"] in ("serious", "critical", "moderate")]


def test_a_key_is_asked_for_and_its_name_reviews(browser, tmp_path):
    key, text = of.new("ana", ["review"], now=1.0)
    write(tmp_path / "keys.json", [key])
    fill(tmp_path)
    with closing(DeskServer(tmp_path)) as server:
        page = browser.new_context().new_page()
        page.goto(server.url)
        page.fill("#key", "psk_wrong")
        page.press("#key", "Enter")
        page.wait_for_selector(".locked .bad:has-text('not known')")
        page.fill("#key", text)
        page.press("#key", "Enter")
        page.wait_for_selector(".frame img[src^='blob:']")  # files need the key too
        assert page.inner_text("#who") == "ana"
        page.keyboard.press("1")
        settled(page)
        with Database.open(tmp_path / "records.sqlite") as one:
            assert queue.status(one, number(5)).by == "ana"


WIDTHS = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1440, 900)}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_everything_is_on_the_screen_at_every_width(browser, server, database, width, scheme, tmp_path):
    """Nothing is wider than the screen, and the first answer is on it. PORTSIDE_SCREENSHOTS names a folder that keeps what was seen."""
    fill(server.folder)
    wide, high = WIDTHS[width]
    screen = {"viewport": {"width": wide, "height": high}, "device_scale_factor": 1.5 if width == "phone" else 1}
    page = opened(browser, server, color_scheme=scheme, **screen)
    kept = Path(os.environ.get("PORTSIDE_SCREENSHOTS", tmp_path))
    for kind in KINDS:
        page.wait_for_selector(KINDS[kind])
        page.wait_for_timeout(400)
        page.screenshot(path=kept / f"review-{kind}-{scheme}-{width}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= wide, kind
        answer = page.locator("#answers .candidate").first
        box = answer.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= wide and box["y"] + box["height"] <= high, (kind, box)
        stage = page.locator("#stage").bounding_box()
        assert stage["height"] > 200, kind
        if kind == "picture":
            tools = page.locator(".zoom").bounding_box()
            assert tools["y"] + tools["height"] <= stage["y"] + stage["height"], (tools, stage)
        answer.click()
    page.wait_for_selector(".empty")
    page.wait_for_timeout(300)
    page.screenshot(path=kept / f"review-done-{scheme}-{width}.png")


def test_the_next_item_is_there_at_once(browser, server, database, effort, capsys):
    """From the key to the next picture on the screen. Printed, never asserted: it is the machine's too."""
    count = 30 * effort
    queue.enqueue(database, [item(place, payload={"photo": PICTURE, "turn": f"item {place}"}) for place in range(count)])
    page = opened(browser, server)
    for done in range(count - 1):
        shows(page, f"item {count - 1 - done}")
        page.wait_for_timeout(120)  # as fast as somebody who hardly looks
        page.keyboard.press("1")
    shows(page, "item 0")
    took = page.evaluate("performance.getEntriesByName('portside-next').map(entry => entry.duration)")
    assert len(took) > count / 2
    late = sorted(took)[int(0.95 * (len(took) - 1))]
    figures = {"items": len(took), "median_ms": round(statistics.median(took), 1), "p95_ms": round(late, 1)}
    with capsys.disabled():
        print(f"\nreview: key to next item shown {json.dumps(figures)}")
