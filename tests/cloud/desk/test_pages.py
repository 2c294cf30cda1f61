"""Pages of the desk as bundles: shells without data, files from a table, a policy; queries with limits; who may ask without keys."""

from pathlib import Path

import made_desk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.desk.asking import Query
from portside.cloud.desk.bundle import Bundle
from portside.cloud.desk.local import is_number
from portside.sdk.core.errors import InputError

ROOT = Path(__file__).parents[3]


def test_a_shell_holds_no_data_and_names_its_files(tmp_path, doors):
    made_desk.fill(tmp_path, made_desk.drafts(3))
    asked = doors()
    page = asked.get("/dashboard")
    assert page.status_code == 200 and "cells" not in page.text and "{static}" not in page.text and "<script>" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "require-trusted-types-for 'script'" in policy
    assert page.headers["x-frame-options"] == "DENY" and page.headers["referrer-policy"] == "no-referrer"
    named = [part.split('"')[0] for part in page.text.replace("src=", "href=").split('href="')[1:] if "static/" in part.split('"')[0]]
    assert len(named) == 4 and all(asked.get(f"/{name}").status_code == 200 for name in named)


def test_files_come_from_a_table_and_no_path_leads_out(tmp_path, doors):
    asked = doors()
    static = Bundle("dashboard", [ROOT / "cloud/desk/web", ROOT / "cloud/dashboard/web"]).static
    script = asked.get(f"{static}app.js")
    assert (
        script.headers["content-type"].startswith("text/javascript")
        and asked.get(f"{static}app.js", if_none_match=script.headers["etag"]).status_code == 304
    )
    for path in (
        "../routes.py",
        "..%2f..%2frecords.sqlite",
        "%2e%2e/app.js",
        "index.html",
        "",
        "app.js/",
        "APP.JS",
        "app.js%00.css",
        "....//app.js",
    ):
        assert asked.get(static + path).status_code == 404, path
    assert asked.get("/dashboard/static/old/app.js").status_code == 404


def test_the_files_ask_nobody_else_and_run_nothing_inline():
    for file in [*(ROOT / "cloud/desk/web").iterdir(), *(ROOT / "cloud/dashboard/web").iterdir()]:
        text = file.read_text(encoding="utf-8")
        outside = [
            line for line in text.splitlines() if "://" in line and "http://127.0.0.1" not in line and "www.w3.org/2000/svg" not in line
        ]
        assert not outside and "innerHTML" not in text and "onclick" not in text and "document.cookie" not in text, file.name


def test_a_bundle_has_another_address_when_a_file_changes(tmp_path):
    (tmp_path / "index.html").write_text('<script src="{static}/a.js">')
    (tmp_path / "a.js").write_text("1")
    before = Bundle("x", [tmp_path]).static
    (tmp_path / "a.js").write_text("2")
    assert Bundle("x", [tmp_path]).static != before


@pytest.mark.parametrize(
    ("host", "here"),
    [
        (b"localhost", True),
        (b"localhost:3000", True),
        (b"127.0.0.1:3000", True),
        (b"[::1]:3000", True),
        (b"[::1]", True),
        (b"::1", True),
        (b"a.localhost:1", True),
        (b"evil.example", False),
        (b"evil.example:3000", False),
        (b"localhost.evil.example", False),
        (b"127.0.0.1.evil.example", False),
        (b"", False),
        (b"\xff", False),
    ],
)
def test_which_hosts_are_this_machine(host, here):
    assert is_number(host) == here


def test_without_keys_a_page_from_elsewhere_reads_and_writes_nothing(tmp_path, doors):
    (number,) = made_desk.fill(tmp_path, made_desk.drafts(1))
    asked = doors()
    for path in ("/v1/records", f"/v1/records/{number}", "/dashboard/data/status", "/dashboard", "/v1/labels"):
        assert asked.get(path).status_code == 200 and asked.get(path, host="evil.example").status_code == 403, path
    simple = asked.ask("POST", "/v1/labels", headers={"content_type": "text/plain"}, content=b'{"record": "x"}')
    assert simple.status_code == 415, "a browser sends this to another site without asking it"


@given(st.binary(max_size=200))
def test_a_query_is_read_or_refused(raw):
    try:
        query = Query(raw, ("a", "b"))
        assert 0 <= query.number("a", 5, 0, 9) <= 9 and query.choice("b", ("x", "y")) in ("x", "y") and len(query.text("a", 30)) <= 30
    except InputError as error:
        assert error.field
