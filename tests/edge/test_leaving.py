"""Fields that stay on the device: in nothing that is sent, in no form. Summaries of the rest merge to what all of it says."""

import base64
import json
import struct
from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from taking_server import TakingServer

from portside.edge.leaving import countable, hidden, leaving, scrubbed
from portside.edge.outbox import Entry, Outbox
from portside.edge.outbox_writer import OutboxWriter
from portside.edge.summing import Summaries, SummarySettings, of_body
from portside.edge.upload_http import Uploader, UploadSettings
from portside.sdk.core.records import Record, new_id
from portside.sdk.core.signature import Signature, TensorSpec
from portside.sdk.core.window import Window

SIGNATURE = Signature(
    (
        TensorSpec("x", "f32", ("batch",)),
        TensorSpec("weight", "f32", ("batch",), stays_on_device=True),
        TensorSpec("patient", "string", ("batch",), redact=True),
        TensorSpec("photo", "u8", ("batch", 8, 8), stays_on_device=True),
        TensorSpec("note", "string", ("batch",)),
    ),
    (TensorSpec("label", "i64", ("batch",), categories=("mono", "poly")), TensorSpec("face", "f32", ("batch", 4), stays_on_device=True)),
)
Flag = namedtuple("Flag", "field row why value")
WEIGHT, PATIENT, FACE = 87.26251, "Erika Mustermann-4711", 0.7182818
PHOTO = np.arange(7, 71, dtype=np.uint8).reshape(1, 8, 8)


def answer(number, signature=SIGNATURE):
    """A record as the agent makes it, with every way in which a marked value could slip out."""
    inputs = {"x": np.array([number], np.float32), "weight": np.array([WEIGHT + number], np.float32), "photo": PHOTO,
              "patient": np.array([PATIENT], object), "note": np.array([f"note {number}"], object)}  # fmt: skip
    outputs = {"label": np.array([number % 2]), "face": np.full((1, 4), FACE, np.float32)}
    features = {"traits": {"photo.brightness": [0.123456789], "x.y": [1.0]}, "features": {"mixed": [[WEIGHT, FACE]]}}
    flags = (Flag("weight", 0, "range", WEIGHT), {"field": "x", "row": 0, "why": "range", "value": 3.5})
    receipt = {"model": "m", "reason": "primary", "time_ms": 2.0, "within_deadline": True}
    return leaving(Record(new_id(), 1000, 1000, name="cells", features=features, flags=flags, receipt=receipt), inputs, outputs, signature)


def spellings():
    """The marked values in the forms in which they could be sent."""
    numbers = [WEIGHT + number for number in range(40)] + [FACE]
    for value in numbers:
        narrow = float(np.float32(value))
        yield from (text.encode() for text in {f"{value!r}", f"{narrow!r}", f"{narrow:.5f}", f"{narrow:.6g}", json.dumps(round(narrow, 4))})
        yield from (struct.pack(code, value) for code in ("<f", ">f", "<d", ">d"))
    for raw in (PHOTO.tobytes(), PATIENT.encode()):
        yield raw
        yield from (base64.b64encode(raw[start:])[4:40] for start in range(3))
        yield raw.hex().encode()
    yield from (
        b"Mustermann",
        b"mann-4711",
        b"0.123456789",
        ", ".join(map(str, range(7, 20))).encode(),
        ",".join(map(str, range(7, 20))).encode(),
    )


def test_no_marked_value_is_in_what_a_server_is_sent(tmp_path):
    """Everything goes: records, errors, reviews, summaries, a refused entry again by halves. The control shows that the search finds."""
    server = TakingServer()
    with Outbox(tmp_path / "outbox.sqlite", 1 << 20) as outbox:
        writer, sums = (
            OutboxWriter(outbox),
            Summaries("cells", SIGNATURE, SummarySettings(slices=("out.label", "in.patient", "in.weight<90"))),
        )
        for number in range(40):
            record = answer(number)
            sums.add(record, 0.0)
            for kind in ("record", "error", "review", "check"):
                writer.put(kind, Entry(kind, record.to_dict()))
        writer.put("summary", Entry("summary", sums.due(0.0, closing=True)))
        assert writer.flush()
        sender = Uploader(outbox, "cam-7", UploadSettings(server.url, "k"))
        assert sender.turn() and sender.sent == 161
        sender.close()
        writer.close()
    server.close()
    sent = bytes(server.raw)
    assert [one for one in spellings() if one in sent] == []
    assert b'"weight":{"redacted":true}' in sent and b'"in.x"' in sent and b"note 7" in sent
    unmarked = (tuple(TensorSpec(one.name, one.dtype, one.shape) for one in specs) for specs in (SIGNATURE.inputs, SIGNATURE.outputs))
    control = json.dumps(answer(1, Signature(*unmarked)).to_dict(), default=str)
    assert len([one for one in spellings() if one in control.encode()]) >= 5


def test_what_stays_is_blanked_whatever_it_came_from():
    assert hidden(SIGNATURE) == {"weight", "patient", "photo", "face"}
    record = answer(3)
    assert record.features == {"traits": {"x.y": [1.0]}} and record.flags[0]["value"] is None and record.flags[1]["value"] == 3.5
    raw = Record("r", 1, 1, inputs={"x": [1.0], "weight": [80.0]}, outputs={"face": [[1.0]]}, features={"features": {"a": [1]}})
    assert scrubbed(raw, SIGNATURE).inputs == {"x": [1.0], "weight": {"redacted": True}}
    plain = Signature((TensorSpec("x", "f32", ("batch",)),), ())
    assert scrubbed(raw, plain) is raw


def test_a_summary_holds_no_texts_and_nothing_unknown():
    held = countable(answer(3), SIGNATURE)
    assert set(held.inputs) == {"x", "weight", "photo"} and set(held.outputs) == {"label", "face"}
    odd = countable(Record("r", 1, 1, inputs={"x": [1.0], "other": ["Erika"]}), SIGNATURE)
    assert set(odd.inputs) == {"x"}
    window = Window.of([held], signature=SIGNATURE)
    assert set(window.profile.fields) == {"in.x", "out.label", "trait.x.y"}


@settings(max_examples=12)
@given(st.lists(st.integers(1, 70), min_size=1, max_size=4), st.integers(1, 60))
def test_windows_say_together_what_all_records_say(parts, least):
    sums, bodies, records = Summaries("cells", SIGNATURE, SummarySettings(10.0, least)), [], []
    for place, count in enumerate(parts):
        for _ in range(count):
            records.append(answer(len(records)))
            sums.add(records[-1], place * 10.0)
        bodies.append(sums.due(place * 10.0 + 9))
        bodies.append(sums.due(place * 10.0 + 10))
    bodies.append(sums.due(1e9, closing=True))
    windows = [of_body(json.loads(json.dumps(body))) for body in bodies if body is not None]
    assert all(window.rows >= least for window in windows)
    told, whole = Window.merge_all(windows), Window.of(records[: sum(window.rows for window in windows)], signature=SIGNATURE)
    assert len(records) - told.rows < least
    assert (told.rows, told.classes, told.answers, told.flags) == (whole.rows, whole.classes, whole.answers, whole.flags)
    if told.rows:
        assert told.profile.fields["in.x"].mean == pytest.approx(whole.profile.fields["in.x"].mean)
