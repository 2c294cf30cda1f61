"""Records over HTTP: narrowed down, page by page, whole; each key sees its own deployments; nothing that was sent is ever markup."""

import made_desk
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portside.cloud.desk import finding
from portside.cloud.desk.finding import STATES, Wanted, find, fits
from portside.cloud.records.database import Database
from portside.cloud.records.labelling import label
from portside.cloud.records.reading import after, labels_of
from portside.cloud.security import keys as of
from portside.sdk.core.labels import Label
from portside.sdk.core.records import uuid7


def labelled(ids, wrong_every=4):
    """Labels of every second record; some say that the answer was wrong."""
    return [
        Label(
            uuid7(made_desk.BEGAN + place, bytes([place % 256] * 10)),
            number,
            0,
            {"label": int((place % 3 == 0) != (place % wrong_every == 0))},
            "ana",
            made_desk.BEGAN + place,
        )
        for place, number in enumerate(ids)
        if place % 2 == 0
    ]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def held(request, tmp_path_factory):
    """(database, ids) of 120 records, half of them labelled."""
    folder = tmp_path_factory.mktemp("records")
    where = folder / "records.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql").database()
    ids = made_desk.fill(folder, made_desk.drafts(120), where)
    with Database.open(where) as database:
        label(database, labelled(ids))
        yield database, ids


WANTED = st.builds(
    Wanted,
    names=st.just(("cells",)),
    entity=st.sampled_from(["", "e1", "nobody"]),
    model=st.sampled_from(["", "main", "backup"]),
    reason=st.sampled_from(["", "deadline"]),
    state=st.sampled_from(STATES),
    value=st.sampled_from(["", "colour=blue", "label=bad", "colour=1", "size=7.0"]),
    since_ms=st.sampled_from([None, made_desk.BEGAN + 30 * 60_000]),
    until_ms=st.sampled_from([None, made_desk.BEGAN + 90 * 60_000]),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WANTED, st.integers(4, 50))
def test_pages_give_every_record_that_fits_once_the_newest_first(held, wanted, limit):
    database, ids = held
    found, before = [], None
    for _ in range(200):
        page = find(database, wanted, before, limit, lambda _: made_desk.SIGNATURE)
        assert len(page.records) <= limit
        found += [record.id for record, _ in page.records]
        before = page.next
        if before is None:
            break
    known = labels_of(database, ids)
    right = [
        record.id
        for _, record in after(database, 0)
        if fits(wanted, record, {0: known[record.id, 0]} if (record.id, 0) in known else {}, made_desk.SIGNATURE)
        and (not wanted.entity or record.entity == wanted.entity)
        and (wanted.since_ms is None or record.server_ms >= wanted.since_ms)
        and (wanted.until_ms is None or record.server_ms < wanted.until_ms)
    ]
    assert found == right[::-1]


def test_a_list_shows_names_labels_and_what_was_wrong(tmp_path, doors):
    ids = made_desk.fill(tmp_path, made_desk.drafts(20))
    asked = doors()
    label(asked.desk.database, labelled(ids))
    answer = asked.get("/v1/records?limit=20").json()
    newest = answer["records"][0]
    assert answer["next"] is None and [one["id"] for one in answer["records"]] == ids[::-1]
    assert newest["outputs"] == {"label": ["good"], "price": [1.5]} and newest["wrong"] is None
    assert {one["id"] for one in asked.get("/v1/records?state=wrong").json()["records"]} == {
        number for place, number in enumerate(ids) if place % 4 == 0
    }
    assert asked.get("/v1/records?value=label%3Dbad&limit=200").json()["records"][0]["outputs"]["label"] == ["bad"]
    assert "secret" not in asked.get("/v1/records?limit=20").text, "redacted fields were never written"


def test_one_record_with_all_that_belongs_to_it(tmp_path, doors):
    ids = made_desk.fill(tmp_path, made_desk.drafts(3, rows=3))
    asked = doors()
    label(
        asked.desk.database,
        [
            Label(uuid7(5, bytes(10)), ids[0], 1, {"label": "good"}, "ana", 5),
            Label(uuid7(6, bytes(10)), ids[0], 1, {"label": "bad"}, "ben", 6),
        ],
    )
    whole = asked.get(f"/v1/records/{ids[0]}").json()
    assert whole["rows"] == 3 and whole["inputs"]["colour"] == ["red"] * 3 and whole["inputs"]["name"] == {"redacted": True}
    assert [one["author"] for one in whole["labels"]] == ["ana", "ben"] and whole["right"]["1"]["values"] == {"label": "bad"}
    assert whole["wrong"] is False and whole["steps"] == [] and whole["receipt"]["model"] in ("main", "backup")
    assert asked.get("/v1/records/nothing").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "state=odd",
        "value=colour",
        "before=-1",
        "unknown=1",
        "limit=1&limit=2",
        "since=" + "9" * 30,
        "entity=" + "e" * 300,
        "entity=%ff",
        "x" * 5000,
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, doors, query):
    made_desk.fill(tmp_path, made_desk.drafts(1))
    answer = doors().get(f"/v1/records?{query}")
    assert answer.status_code == 422 and answer.json()["error"] == "InputError", answer.text


def test_a_key_sees_its_own_deployments(tmp_path, doors):
    mine, theirs = (
        made_desk.fill(tmp_path, made_desk.drafts(2, name=name, digest=f"sha256:{name}", seed=seed))
        for seed, name in enumerate(("cells", "spam"))
    )
    key, text = of.new("ana", ["monitor"], ["cells"], now=1.0)
    asked = doors("cells", "spam", keys=[(key, text)])
    assert {one["id"] for one in asked.get("/v1/records", text).json()["records"]} == set(mine)
    assert asked.get("/v1/records?deployment=spam", text).status_code == 403
    stranger, missing = asked.get(f"/v1/records/{theirs[0]}", text), asked.get(f"/v1/records/{mine[0][:-1]}0", text)
    assert stranger.status_code == 404 and missing.status_code in (200, 404)
    assert asked.get(f"/v1/records/{mine[0]}", text).status_code == 200 and asked.get("/v1/records").status_code == 401


def test_a_key_for_a_graph_sees_its_steps_and_records_without_a_name_are_for_keys_of_everything(tmp_path, doors):
    (step,) = made_desk.fill(tmp_path, made_desk.drafts(1, name="cells/first", digest="sha256:s", seed=3))
    (nameless,) = made_desk.fill(tmp_path, made_desk.drafts(1, name="", digest="sha256:n", seed=4))
    mine, every = of.new("ana", ["monitor"], ["cells"], now=1.0), of.new("ben", ["monitor"], now=1.0)
    asked = doors(keys=[mine, every])
    assert asked.get(f"/v1/records/{step}", mine[1]).status_code == 200 and asked.get(f"/v1/records/{nameless}", mine[1]).status_code == 404
    assert asked.get("/v1/records", mine[1]).json()["records"] == []
    assert [one["id"] for one in asked.get("/v1/records", every[1]).json()["records"]] == [nameless]


def test_an_answer_that_the_caller_holds_is_not_sent_again(tmp_path, doors):
    made_desk.fill(tmp_path, made_desk.drafts(3))
    asked = doors()
    first = asked.get("/v1/records")
    again = asked.get("/v1/records", if_none_match=first.headers["etag"])
    assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == first.headers["etag"]
    made_desk.fill(tmp_path, made_desk.drafts(1, seed=9))
    assert asked.get("/v1/records", if_none_match=first.headers["etag"]).status_code == 200


MARKUP = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


def test_what_was_sent_leaves_as_data(tmp_path, doors):
    made_desk.fill(tmp_path, made_desk.drafts(1, entity=MARKUP))
    answer = doors().get("/v1/records")
    assert answer.headers["content-type"] == "application/json" and answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["records"][0]["entity"] == MARKUP


def test_a_database_that_is_gone_is_said(tmp_path, doors):
    asked = doors()
    (tmp_path / "records.sqlite").write_bytes(b"this is no database" * 100)
    answer = asked.get("/v1/records")
    assert answer.status_code == 503 and answer.headers["retry-after"] == "2" and str(tmp_path) not in answer.text


@pytest.mark.parametrize("asked", [{"state": "late"}, {"state": "fallback"}, {"state": "flagged"}, {"model": "backup"}, {"state": "wrong"}])
def test_only_records_that_may_fit_are_parsed(held, monkeypatch, asked):
    """Beside answers each parsed record is taken from them."""
    database, ids = held
    parsed, read = [], finding.read
    monkeypatch.setattr(finding, "read", lambda values: parsed.append(values) or read(values))
    page = find(database, Wanted(("cells",), **asked), None, 200, lambda _: made_desk.SIGNATURE)
    assert 0 < len(page.records) <= len(parsed) < 0.6 * len(ids) and page.scanned == len(ids)
