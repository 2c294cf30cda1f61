"""Reviews over HTTP: handed out, decided, taken back, looked at; who may, and what is refused."""

from __future__ import annotations

import io
import wave
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
from made_desk import drafts, fill
from made_reviews import NOW, PIXELS, TONE, item, number, of_every_kind

from portside.cloud.records.reading import labels_of
from portside.cloud.review import context, queue
from portside.cloud.review.item import Candidate
from portside.cloud.security import keys as of

SEAT = {"seat": "s"}
ANA = {"reviewer": "ana", **SEAT}


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Time stands still where the items were made."""
    moment = [NOW]
    monkeypatch.setattr(context, "now", lambda: moment[0])
    return moment


def lease(doors, who=ANA, **more):
    reply = doors.post("/v1/reviews/lease", {**who, **more})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_a_reviewer_is_handed_items_answers_and_takes_back(doors, queue_file, tmp_path):
    records = fill(tmp_path, drafts(3))
    queue.enqueue(queue_file, [replace(item(place), record=record) for place, record in enumerate(records)])
    asked = doors("cells", text="[review]\nquestion = 'Is it cracked?'\n")
    told = lease(asked, want=2)
    assert [one["id"] for one in told["items"]] == [number(2), number(1)] and told["counts"]["leased"] == 2 and told["reviewer"] == "ana"
    one = told["items"][0]
    assert one["question"] == "Is it cracked?" and one["answer"] == {"kind": "category", "count": 2}
    assert one["candidates"][0] == {"value": 1, "shown": "bad", "probability": 0.6} and one["reason"] == "the model was not sure"
    assert one["fields"] == [{"name": "size", "place": 0, "kind": "number", "unit": None, "value": 2}]
    made = asked.post(f"/v1/reviews/{number(2)}/decide", {**ANA, "values": {"label": 0}, "token": number(1, 9), "took_ms": 400}).json()
    assert made["reviewer"] == "ana" and made["took_ms"] == 400
    assert labels_of(queue_file, records)[records[2], 0].values == {"label": 0}
    status = asked.get(f"/v1/reviews/{number(2)}").json()
    assert (status["state"], status["answer"], status["by"]) == ("decided", {"label": "good"}, "ana")  # as every door: by name
    back = asked.post(f"/v1/reviews/{number(2)}/undo", {**ANA, "token": number(1, 9)}).json()
    assert back["decision"]["undone_ms"] and back["item"]["id"] == number(2)
    assert asked.get(f"/v1/reviews/{number(2)}").json()["state"] == "leased"
    assert asked.get("/v1/reviews/mine?reviewer=ana").json() == {"reviewer": "", "decisions": []}
    assert asked.get(f"/v1/reviews/{number(2)}/choices").json()["choices"] == [{"value": 0, "shown": "good"}, {"value": 1, "shown": "bad"}]


def test_a_window_that_is_loaded_again_goes_on_with_what_it_held(doors, queue_file):
    queue.enqueue(queue_file, [item(place) for place in range(6)])
    asked = doors()
    first = [one["id"] for one in lease(asked, want=3)["items"]]
    assert [one["id"] for one in lease(asked, want=3)["items"]] == first
    assert [one["id"] for one in lease(asked, want=1, have=first)["items"]] == [number(2)]
    assert not set(first) & {one["id"] for one in lease(asked, {"reviewer": "ana", "seat": "other"}, want=4)["items"]}


def test_files_are_the_bytes_that_came_and_arrays_become_pictures_and_sounds(doors, queue_file):
    queue.enqueue(queue_file, [*of_every_kind(), item(9, payload={"raw": PIXELS, "blob": b"<svg onload=alert(1)>", "speech": TONE})])
    asked = doors()
    photo = asked.get(f"/v1/reviews/{number(5)}/files/0")
    assert photo.content == of_every_kind()[0].payload["photo"] and photo.headers["content-type"] == "image/png"
    again = asked.get(f"/v1/reviews/{number(5)}/files/0", if_none_match=photo.headers["etag"])
    assert again.status_code == 304
    drawn = asked.get(f"/v1/reviews/{number(9)}/files/0")
    assert np.array_equal(np.asarray(PIL.Image.open(io.BytesIO(drawn.content))), PIXELS)
    unknown = asked.get(f"/v1/reviews/{number(9)}/files/1")
    assert unknown.headers["content-type"] == "application/octet-stream" and unknown.headers["x-content-type-options"] == "nosniff"
    with wave.open(io.BytesIO(asked.get(f"/v1/reviews/{number(9)}/files/2").content)) as file:
        played = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert file.getframerate() == 8000 and np.allclose(played / 32767, TONE.samples, atol=1e-4)
    assert asked.get(f"/v1/reviews/{number(9)}/files/7").status_code == 404 == asked.get(f"/v1/reviews/{number(4)}/files").status_code


def test_rows_drawn_at_random_do_not_tell_what_the_model_thinks(doors, queue_file):
    queue.enqueue(queue_file, [item(1, reason="check"), item(2)])
    told = {one["id"]: one for one in lease(doors(), want=2)["items"]}
    blind = told[number(1)]
    assert blind["blind"] and blind["reason"] == "" and [one["probability"] for one in blind["candidates"]] == [None, None]
    assert [one["value"] for one in blind["candidates"]] == [0, 1] and "model" not in blind and not told[number(2)]["blind"]
    queue.enqueue(queue_file, [item(3, reason="check", output="price", candidates=(Candidate(12.0, "12"),))])
    (typed,) = lease(doors(), want=3, have=list(told))["items"]
    assert typed["candidates"] == [] and typed["answer"]["kind"] == "number", "one candidate alone is what the model thinks"


@pytest.mark.parametrize("blind, hidden", [("never", [False, False]), ("always", [True, True])])
def test_the_deployment_says_who_is_blind(doors, queue_file, blind, hidden):
    queue.enqueue(queue_file, [item(1, reason="check"), item(2)])
    assert [one["blind"] for one in lease(doors(text=f"[review]\nblind = '{blind}'\n"), want=2)["items"]] == hidden


def test_what_is_somebody_elses_is_a_409_that_names_them(doors, queue_file):
    queue.enqueue(queue_file, [item(1)])
    asked = doors()
    lease(asked)
    taken = asked.post(f"/v1/reviews/{number(1)}/decide", {"reviewer": "ben", "values": {"label": 1}})
    assert taken.status_code == 409 and taken.json()["by"] == "ana"
    assert asked.post(f"/v1/reviews/{number(1)}/skip", {"reviewer": "ben"}).status_code == 409
    assert asked.post(f"/v1/reviews/{number(7)}/skip", ANA).status_code == 404 == asked.get(f"/v1/reviews/{number(7)}").status_code
    assert asked.post("/v1/reviews/renew", {**ANA, "ids": [number(1), number(7)]}).json() == {"held": [number(1)]}
    assert asked.post("/v1/reviews/release", {**ANA, "ids": [number(1)]}).json() == {"released": [number(1)]}
    assert asked.post(f"/v1/reviews/{number(1)}/skip", ANA).json() == {"skipped": number(1)}


@pytest.mark.parametrize("body, field", [
    ({}, "reviewer"), ({"reviewer": "a\nb"}, "reviewer"), ({**ANA, "want": 99}, "want"), ({**ANA, "want": True}, "want"),
    ({**ANA, "have": "x"}, "have"), ({**ANA, "sudo": 1}, "sudo"), ({**ANA, "deployment": "theirs"}, "deployment"),
], ids=["nobody", "line", "many", "bool", "text", "unknown", "others"])  # fmt: skip
def test_what_cannot_be_meant_is_refused(doors, queue_file, body, field):
    refused = doors().post("/v1/reviews/lease", body)
    assert refused.status_code == 422 and refused.json()["field"] == field


@pytest.mark.parametrize("body", [
    {"values": 1}, {"values": {}}, {"values": {"label": 1}, "token": "x"}, {"values": {"label": 1}, "took_ms": -1},
], ids=str)  # fmt: skip
def test_a_decision_that_cannot_be_read_changes_nothing(doors, queue_file, body):
    queue.enqueue(queue_file, [item(1)])
    assert doors().post(f"/v1/reviews/{number(1)}/decide", {**ANA, **body}).status_code == 422
    assert queue.status(queue_file, number(1)).state == "pending"


def test_with_keys_the_reviewer_is_whose_key_it_is_and_sees_their_deployments(doors, queue_file, tmp_path):
    queue.enqueue(queue_file, [item(1, deployment="cells"), item(2, deployment="mails")])
    ana, reading, some = (of.new(name, [scope], names, now=1.0) for name, scope, names in
                          (("ana", "review", ["*"]), ("eve", "monitor", ["*"]), ("ben", "review", ["cells"])))  # fmt: skip
    asked = doors("cells", "mails", keys=[ana, reading, some])
    assert asked.get("/review").status_code == 200  # the page holds no data
    assert asked.post("/v1/reviews/lease", SEAT).status_code == 401
    assert asked.post("/v1/reviews/lease", SEAT, key=reading[1]).status_code == 403
    assert asked.post("/v1/reviews/lease", {"reviewer": "ben"}, key=ana[1]).json()["field"] == "reviewer"
    theirs = asked.post("/v1/reviews/lease", {**SEAT, "want": 2}, key=some[1]).json()
    assert [one["id"] for one in theirs["items"]] == [number(1)] and theirs["reviewer"] == "ben"
    for path in ("", "/files/0", "/choices"):
        assert asked.get(f"/v1/reviews/{number(2)}{path}", key=some[1]).status_code == 404
    assert asked.post(f"/v1/reviews/{number(2)}/decide", {"values": {"label": 1}}, key=some[1]).status_code == 404
    assert asked.get("/v1/reviews?deployment=mails", key=some[1]).status_code == 403
    assert asked.get("/v1/reviews", key=some[1]).json()["counts"]["leased"] == 1
    assert asked.post(f"/v1/reviews/{number(2)}/decide", {"values": {"label": 1}}, key=ana[1]).json()["reviewer"] == "ana"


def test_who_asks_after_a_deadline_is_told_what_the_deployment_says(doors, queue_file, clock):
    queue.enqueue(queue_file, [item(1, deadline_ms=NOW + 10)])
    asked = doors(text="[review]\ndeadline_s = 1.0\non_expiry = { label = 0 }\n")
    assert asked.get(f"/v1/reviews/{number(1)}").json()["state"] == "pending"
    clock[0] = NOW + 10
    told = asked.get(f"/v1/reviews/{number(1)}").json()
    assert (told["state"], told["answer"], told["by"]) == ("expired", {"label": 0}, "default")


def test_the_list_tells_how_items_stand(doors, queue_file):
    queue.enqueue(queue_file, [item(place) for place in range(3)])
    asked = doors()
    lease(asked)
    told = asked.get("/v1/reviews?state=pending&limit=1").json()
    assert told["counts"]["pending"] == 2 and [one["id"] for one in told["items"]] == [number(1)]
    assert asked.get("/v1/reviews?state=sleeping").status_code == 422


def test_the_page_and_its_files_are_served_under_a_policy(doors, queue_file):
    asked = doors()
    page = asked.get("/review")
    assert "script-src 'self'" in page.headers["content-security-policy"] and "review.js" in page.text
    sources = [part.split('"')[1] for part in page.text.split("src=")[1:]]
    assert asked.get("/" + sources[0]).headers["content-type"].startswith("text/javascript")
