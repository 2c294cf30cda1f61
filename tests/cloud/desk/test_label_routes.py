"""Late labels over HTTP: durable before they are acknowledged, once however often sent, by whose key it is."""

import json

import made_desk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.cloud.desk.label_routes import _read
from portside.cloud.records.database import Database
from portside.cloud.records.reading import every_label
from portside.cloud.security import keys as of
from portside.sdk.core.errors import PortsideError
from portside.sdk.core.labels import Label
from portside.sdk.core.records import uuid7


@pytest.fixture
def ids(tmp_path):
    return made_desk.fill(tmp_path, made_desk.drafts(4, rows=2))


def stored(tmp_path, ids):
    with Database.open(tmp_path / "records.sqlite") as database:
        return every_label(database, ids)


def test_a_label_is_on_the_disk_when_it_is_acknowledged(tmp_path, ids, doors):
    answer = doors().post("/v1/labels", {"record": ids[0], "row": 1, "values": {"label": "bad"}, "author": "ana", "note": "seen"})
    assert answer.status_code == 200 and answer.json()["new"] == 1
    (kept,) = stored(tmp_path, ids)
    assert (kept.id, kept.row, kept.values, kept.author, kept.source) == (answer.json()["ids"][0], 1, {"label": 1}, "ana", "api")


def test_sent_twice_it_is_there_once(tmp_path, ids, doors):
    said = {"id": uuid7(made_desk.BEGAN, bytes(10)), "record": ids[0], "values": {"label": 1}, "author": "ana"}
    asked = doors()
    assert [asked.post("/v1/labels", said).json()["new"] for _ in range(3)] == [1, 0, 0]
    assert [one.at_ms for one in stored(tmp_path, ids)] == [made_desk.BEGAN]
    other = asked.post("/v1/labels", {**said, "values": {"label": 0}})
    assert other.status_code == 422 and "another label" in other.json()["what"]


def test_all_of_a_request_or_nothing(tmp_path, ids, doors):
    many = [{"record": number, "values": {"label": "bad"}, "author": "ana"} for number in ids]
    asked = doors()
    refused = asked.post("/v1/labels", {"labels": [*many, {"record": ids[0], "values": {"label": "odd"}, "author": "ana"}]})
    assert refused.status_code == 422 and stored(tmp_path, ids) == []
    assert asked.post("/v1/labels", {"labels": many}).json()["new"] == 4 and len(stored(tmp_path, ids)) == 4


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"values": {}}, "values"),
        ({"values": {"nothing": 1}}, "nothing"),
        ({"values": {"label": 7}}, "label"),
        ({"row": 2}, "row"),
        ({"row": -1}, "row"),
        ({"row": True}, "row"),
        ({"author": ""}, "author"),
        ({"author": 7}, "author"),
        ({"source": "check"}, "source"),
        ({"note": "x" * 2001}, "note"),
        ({"at_ms": 1 << 52}, "at_ms"),
        ({"id": "mine"}, "at_ms"),
        ({"unknown": 1}, "unknown"),
        ({"record": ""}, "record"),
        ({"values": [1]}, "values"),
    ],
)
def test_what_is_no_label_is_refused_by_name(ids, doors, change, field):
    answer = doors().post("/v1/labels", {"record": ids[0], "values": {"label": 1}, "author": "ana", **change})
    assert answer.status_code == 422 and answer.json()["field"] == field, answer.text


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"labels": []}', "application/json", 422),
        (b'{"labels": [1]}', "application/json", 422),
        (b'{"labels": [{}], "x": 1}', "application/json", 422),
    ],
)
def test_bodies_that_are_none(ids, doors, content, kind, status):
    answer = doors().ask("POST", "/v1/labels", headers={"content_type": kind}, content=content)
    assert answer.status_code == status, answer.text


def test_with_keys_the_author_is_whose_key_it_is(tmp_path, ids, doors):
    label, monitor = (of.new(name, [scope], now=1.0) for name, scope in (("gauge", "label"), ("eye", "monitor")))
    asked = doors(keys=[label, monitor])
    said = {"record": ids[0], "values": {"label": 1}}
    assert asked.post("/v1/labels", said, monitor[1]).status_code == 403 and asked.get("/v1/labels?record=x", label[1]).status_code == 403
    assert asked.post("/v1/labels", {**said, "author": "ana"}, label[1]).status_code == 422
    assert asked.post("/v1/labels", said, label[1]).status_code == 200 and stored(tmp_path, ids)[0].author == "gauge"
    assert asked.get(f"/v1/labels?record={ids[0]}", monitor[1]).json()["labels"][0]["author"] == "gauge"


def test_a_key_labels_records_of_its_own_deployments_alone(tmp_path, ids, doors):
    theirs = made_desk.fill(tmp_path, made_desk.drafts(1, name="spam", digest="sha256:s", seed=5))
    key = of.new("gauge", ["label", "monitor"], ["cells"], now=1.0)
    asked = doors("cells", "spam", keys=[key])
    for number in (theirs[0], uuid7(1, bytes(10))):
        answer = asked.post(
            "/v1/labels", {"labels": [{"record": ids[0], "values": {"label": 1}}, {"record": number, "values": {"label": 1}}]}, key[1]
        )
        assert answer.status_code == 404
    assert stored(tmp_path, [*ids, *theirs]) == [] and asked.get("/v1/labels?after=0", key[1]).status_code == 403


def test_labels_in_the_order_they_came(ids, doors):
    asked = doors()
    for place, number in enumerate(ids):
        asked.post("/v1/labels", {"record": number, "values": {"price": place}, "author": "ana"})
    first = asked.get("/v1/labels?limit=3").json()
    rest = asked.get(f"/v1/labels?limit=3&after={first['next']}").json()
    assert [one["record"] for one in (*first["labels"], *rest["labels"])] == ids and asked.get(
        f"/v1/labels?after={rest['next']}"
    ).json() == {"labels": [], "next": None}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "record", "row", "values", "author", "at_ms", "source", "note"]) | st.text(max_size=5), inner, max_size=6
        )
    ),
)


@settings(max_examples=100, deadline=None)
@given(JSON, st.sampled_from(["", "ana"]))
def test_whatever_is_sent_is_a_label_or_refused(data, who):
    try:
        made = _read(json.loads(json.dumps(data)), who, made_desk.BEGAN)
    except PortsideError:
        return
    assert isinstance(made, Label) and made.author and made.record and made.values and (not who or made.author == who)
