"""Label Studio: tasks that it takes, annotations that come back as decisions, once however often they are read."""

from __future__ import annotations

import io
import json
import wave
import xml.etree.ElementTree as ET
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from made_desk import drafts, fill
from made_reviews import NOW, PICTURE, PIXELS, TWO, item, number, of_every_kind, png

from portside.cloud.deployment.review import Review
from portside.cloud.records.reading import labels_of
from portside.cloud.review import queue
from portside.cloud.review.exchange import classes_in, send, take
from portside.cloud.review.label_studio import answers_of
from portside.sdk.core.errors import FormatError, InputError

DONE = {"updated_at": "2026-11-30T10:00:00.250000Z", "created_at": "2026-11-30T09:59:00Z", "lead_time": 4.5,
        "completed_by": {"id": 3, "email": "ana@x"}}  # fmt: skip
DONE_MS = 1_796_032_800_250


def annotated(task, choice, control="label", **more):
    """The task as Label Studio exports it after somebody chose."""
    result = [{"from_name": control, "to_name": "photo", "type": "choices", "value": {"choices": [choice]}}]
    return {**task, "id": 7, "annotations": [{"id": 70, "was_cancelled": False, "result": result, **DONE, **more}]}


def tasks(database, tmp_path, **more):
    send(database, tmp_path / "out", NOW, **more)
    return json.loads((tmp_path / "out" / "tasks.json").read_text()), ET.parse(tmp_path / "out" / "label_config.xml").getroot()  # noqa: S314


def test_tasks_hold_what_there_is_to_see_and_what_the_model_thinks(queue_file, tmp_path):
    queue.enqueue(queue_file, [one for one in of_every_kind() if one.output == "label"])
    found, config = tasks(queue_file, tmp_path)
    names = {one.attrib["name"]: one.tag for one in config.iter() if "name" in one.attrib}
    assert names == {"photo": "Image", "mail": "Text", "speech": "Audio", "fields": "Table", "label": "Choices"}
    assert [one.attrib["value"] for one in config.iter("Choice")] == ["crack", "fine", "dark", "other", "bad", "good"]
    first = found[0]
    assert b64decode(first["data"]["photo"].removeprefix("data:image/png;base64,")) == of_every_kind()[0].payload["photo"]
    assert first["data"]["fields"] == {"cell": "poly"}
    assert first["predictions"][0]["score"] == 0.4 and first["predictions"][0]["result"][0]["value"] == {"choices": ["crack"]}
    for one in found:  # every value that the interface asks for is a field of some task, and every control has an object
        assert set(one["data"]) <= {"photo", "mail", "speech", "fields", "portside_review"}
    assert next(one for one in config.iter("Choices")).attrib["toName"] in names


def test_rows_drawn_at_random_do_not_tell_what_the_model_thinks(queue_file, tmp_path):
    """A check keeps the error rate honest: who decides it in Label Studio is led as little as on the page."""
    queue.enqueue(queue_file, [item(1, reason="check", selection=0.05), item(2)])
    found, config = tasks(queue_file, tmp_path)
    assert [one["data"]["portside_review"] for one in found if "predictions" in one] == [number(2)]
    assert config.find("Header").attrib["value"] == "What is label?"
    says = {"cells": Review(blind="always", question="Is this cell damaged?")}
    found, config = tasks(queue_file, tmp_path, settings=says)
    assert not any("predictions" in one for one in found) and config.find("Header").attrib["value"] == "Is this cell damaged?"
    found, _ = tasks(queue_file, tmp_path, settings={"cells": Review(blind="never")})
    assert all("predictions" in one for one in found)


def test_files_may_lie_beside(queue_file, tmp_path):
    queue.enqueue(queue_file, of_every_kind()[:1])
    found, _ = tasks(queue_file, tmp_path, prefix="/data/local-files/?d=")
    name = found[0]["data"]["photo"].removeprefix("/data/local-files/?d=")
    assert (tmp_path / "out" / "files" / name).read_bytes() == of_every_kind()[0].payload["photo"]


def test_annotations_become_decisions_of_their_authors_once(queue_file, tmp_path):
    records = fill(tmp_path, drafts(3))
    queue.enqueue(queue_file, [replace(item(place), record=record) for place, record in enumerate(records)])
    found, config = tasks(queue_file, tmp_path)
    assert [one.attrib["value"] for one in config.iter("Choice")] == ["good", "bad"] == list(classes_in(queue_file))
    export = [annotated(found[0], "good"), annotated(found[1], "bad", was_cancelled=True), {**found[2], "annotations": []}]
    took = take(queue_file, answers_of(export))
    assert (took.decided, took.strangers) == (1, 0)
    label = labels_of(queue_file, records)[records[2], 0]
    assert (label.values, label.author, label.source, label.at_ms) == ({"label": 0}, "label-studio:ana@x", "import", DONE_MS)
    assert take(queue_file, answers_of(export)).known == 1 and len(labels_of(queue_file, records)) == 1
    assert queue.status(queue_file, number(2)).answer == {"label": 0}


@pytest.mark.parametrize(("kind", "author"), [("export", "label-studio:1"), ("snapshot", "label-studio:ana@example.org")])
def test_what_label_studio_itself_wrote_is_read(queue_file, kind, author):
    """exported.json is of Label Studio 1.23.2: items 3, 2 and 1 were answered on its page, answered and changed, and skipped."""
    queue.enqueue(queue_file, [item(place) for place in (1, 2, 3)])
    written = json.loads((Path(__file__).parent / "exported.json").read_text())
    took = take(queue_file, answers_of(written[kind]))
    assert (took.decided, took.strangers) == (2, 0)
    assert [(queue.status(queue_file, number(place)).answer, queue.status(queue_file, number(place)).by) for place in (3, 2, 1)] == [
        ({"label": 0}, author), ({"label": 0}, author), (None, None)]  # fmt: skip
    for again in written.values():  # however it was exported it is the same annotation
        assert take(queue_file, answers_of(again)).known == 2


def test_a_sound_can_be_played_where_a_query_is_put_behind_its_address(queue_file, tmp_path):
    """As Label Studio's player does: what is base64 would be no sound any more."""
    queue.enqueue(queue_file, [one for one in of_every_kind() if "speech" in one.payload])
    found, _ = tasks(queue_file, tmp_path)
    with urlopen(found[0]["data"]["speech"] + "?lsref=1") as answer:
        content = answer.read()
    assert answer.headers.get_content_type() == "audio/wav"
    with wave.open(io.BytesIO(content)) as sound:
        assert sound.getframerate() == 8000 and sound.getnframes() == 8000


def test_an_item_that_was_decided_meanwhile_gets_another_label(queue_file, tmp_path):
    queue.enqueue(queue_file, [item(1)])
    found, _ = tasks(queue_file, tmp_path)
    queue.decide(queue_file, number(1), "ben", {"label": 1}, NOW)
    export = [annotated(found[0], "good")]
    assert take(queue_file, answers_of(export)).labelled == 1 and take(queue_file, answers_of(export)).known == 1
    assert queue.status(queue_file, number(1)).by == "ben"  # what the caller was told stands
    newest = labels_of(queue_file, [number(1, 2)])[number(1, 2), 0]
    assert newest.author == ("ben" if NOW > DONE_MS else "label-studio:ana@x")


def test_numbers_and_texts_are_answers_too(queue_file, tmp_path):
    queue.enqueue(queue_file, [item(1, output="price", candidates=()), item(2, output="price", candidates=())])
    found, config = tasks(queue_file, tmp_path)
    assert config.find("Number") is not None
    export = [
        {**found[0], "annotations": [{"result": [{"from_name": "price", "type": "number", "value": {"number": 12.5}}], **DONE}]},
        {**found[1], "annotations": [{"result": [{"from_name": "price", "type": "textarea", "value": {"text": ["7"]}}], **DONE}]},
    ]
    assert take(queue_file, answers_of(export)).decided == 2
    assert queue.status(queue_file, number(2)).answer == {"price": 12.5}


def test_tasks_of_others_are_counted_and_left(queue_file):
    foreign = annotated({"data": {"portside_review": number(9)}}, "good"), annotated({"data": {"text": "x"}}, "good")
    assert take(queue_file, answers_of(list(foreign))).strangers == 1


@pytest.mark.parametrize("export", [{}, [1], [{"data": {}}], [annotated({"data": {"portside_review": "x"}}, "good", updated_at="now")]],
                         ids=["object", "number", "min", "time"])  # fmt: skip
def test_what_is_no_export_is_said(export):
    with pytest.raises(FormatError):
        list(answers_of(export))


def test_one_interface_asks_one_thing_and_there_is_something_to_ask(queue_file, tmp_path):
    with pytest.raises(InputError, match="nothing to export"):
        send(queue_file, tmp_path / "out", NOW)
    queue.enqueue(queue_file, [item(1), item(2, output="price")])
    with pytest.raises(InputError, match="one output"):
        send(queue_file, tmp_path / "out", NOW)


def test_names_that_are_no_xml_stay_whole(queue_file, tmp_path):
    queue.enqueue(queue_file, [item(1, payload={'a "b" <c>': "x" * 99}, candidates=(replace(TWO[0], shown='<&"é'), TWO[1]))])
    found, config = tasks(queue_file, tmp_path)
    assert [one.attrib["value"] for one in config.iter("Choice")] == ['<&"é', "good"]
    text = config.find("Text")
    assert found[0]["data"][text.attrib["value"].removeprefix("$")] == "x" * 99


def test_fields_and_outputs_of_one_name_are_told_apart(queue_file, tmp_path):
    held = {"photo.1": PICTURE, "photo_1": png(PIXELS[::-1]), "label": "what the last inspector wrote, " * 4}
    queue.enqueue(queue_file, [item(1, payload=held)])
    found, config = tasks(queue_file, tmp_path)
    names = [one.attrib["name"] for one in config.iter() if "name" in one.attrib]
    assert sorted(names) == ["label", "label_", "photo_1", "photo_1_"]
    assert config.find("Choices").attrib["name"] == "label" and config.find("Choices").attrib["toName"] in names
    for name, tag in (("photo.1", "photo_1"), ("photo_1", "photo_1_")):
        assert b64decode(found[0]["data"][tag].partition(",")[2]) == held[name]
    assert found[0]["data"]["label_"] == held["label"]
