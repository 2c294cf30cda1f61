"""Batches: each entry once, refused alone, gaps and losses known; windows of devices merge into the minutes that monitors read."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sent import NOW, batch, known, record, sent

from portside.cloud.fleet.batch import parsed
from portside.cloud.fleet.desired import Desired
from portside.cloud.fleet.devices import Device, admitted, block, devices, enrol, want
from portside.cloud.fleet.entries import PAST_MS, made, placed
from portside.cloud.fleet.ingest import tallies
from portside.cloud.monitoring.levels import floor
from portside.cloud.monitoring.storing import TRAFFIC, at
from portside.cloud.records.reading import labels_of, records
from portside.edge.summing import Summaries, SummarySettings
from portside.sdk.core.errors import FormatError, InputError, TrustError
from portside.sdk.core.records import Record, new_id
from portside.sdk.core.signature import Signature, TensorSpec
from portside.sdk.core.window import Window

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch",)),), (TensorSpec("label", "i64", ("batch",), categories=("mono", "poly")),))


def test_what_is_sent_again_is_there_once(database, place):
    device, entries = known(database), [record(number) for number in (1, 2, 5)]
    first, again = sent(database, device, *entries), sent(database, device, *entries, record(4))
    assert first.held == (1, 2, 5) and again.held == (1, 2, 4, 5) and not first.refused and not again.conflicts
    kept = sorted((one.device, one.sequence, one.id) for one in records(place))
    assert [sequence for _, sequence, _ in kept] == [1, 2, 4, 5] and {one for one, _, _ in kept} == {"cam-7"}
    (found,) = devices(database)
    assert (found.highest, found.entries, found.missing, found.seen_ms, found.versions) == (5, 4, 1, NOW, {"agent": "1"})


def test_a_number_that_stands_for_another_entry_is_a_conflict(database, place):
    device = known(database)
    held = record(3)
    sent(database, device, held, record(9))
    taken = sent(database, device, record(3), record(4))
    assert (taken.held, taken.conflicts, taken.highest) == ((4,), (3,), 9)
    assert held["id"] in {one.id for one in records(place)}
    assert sent(database, device, {**held, "sequence": 12}).held == (12,), (
        "the same entry under a new number is held, and not written again"
    )
    assert len(list(records(place))) == 3


def test_an_entry_that_cannot_be_taken_is_refused_alone(database, place):
    device, other = known(database, deployments=("cells",)), known(database, "cam-8")
    taken_id = record(1)
    sent(database, other, taken_id)
    bad = {
        2: record(2, name="wafers"), 3: record(3, entity="a\0b"), 4: record(4, propensity="NaN"), 5: record(5, kind="gossip"),
        6: record(6, inputs=[1]), 7: record(7, id=taken_id["id"]), 8: record(8, version=2),
        9: {**record(9), "kind": "label", "body": {"record": "r", "values": {}, "at_ms": 1}},
        10: {**record(10), "kind": "summary", "body": {"name": "cells", "window": {"requests": -1}}},
    }  # fmt: skip
    taken = sent(database, device, record(1), *bad.values(), record(11))
    assert taken.held == (1, 11) and set(taken.refused) == set(bad)
    assert taken.to_dict(parsed(batch(device="cam-7"), "cam-7"))["refused"][0].keys() >= {"sequence", "error", "what"}
    assert len(list(records(place))) == 3


def test_what_the_database_alone_refuses_does_not_hold_up_the_rest(database, monkeypatch):
    from portside.cloud.fleet import ingest as module

    device, real = known(database), module.insert

    def insert(connection, rows):
        if any(b"poison" in str(row).encode() for row in rows):
            raise ValueError("the database cannot hold this")
        real(connection, rows)

    monkeypatch.setattr(module, "insert", insert)
    taken = sent(database, device, *(record(number, entity="poison" if number == 3 else "fine") for number in range(1, 7)))
    assert taken.held == (1, 2, 4, 5, 6) and set(taken.refused) == {3}


def test_labels_and_events_arrive(database):
    device, entry = known(database), record(1)
    said = {"sequence": 2, "id": new_id(), "kind": "label", "body": {"record": entry["id"], "values": {"label": 1}, "at_ms": NOW}}
    event = {"sequence": 3, "id": new_id(), "kind": "event", "body": {"name": "rolled-back", "release": "sha256:1"}}
    assert sent(database, device, entry, said, event).held == (1, 2, 3)
    (held,) = labels_of(database, [entry["id"]]).values()
    assert held.values == {"label": 1} and held.author == "cam-7"
    assert sent(database, device, said, event).held == (2, 3)
    with database.read() as connection:
        from portside.cloud.fleet.tables import EVENTS

        assert len(connection.execute(EVENTS.select()).all()) == 1


def test_a_device_says_nothing_of_the_records_of_others(database):
    device, other, theirs = known(database), known(database, "cam-8"), record(1)
    sent(database, other, theirs)
    said = {"kind": "label", "body": {"record": theirs["id"], "values": {"label": 1}, "at_ms": NOW}}
    taken = sent(database, device, record(1), {"sequence": 2, "id": new_id(), **said}, record(3))
    assert taken.held == (1, 3) and "own records" in taken.refused[2].what
    assert not labels_of(database, [theirs["id"]])
    assert sent(database, other, {"sequence": 2, "id": new_id(), **said}).held == (2,)


def test_losses_are_totals_that_only_grow(database):
    device = known(database)
    for count in (5, 12, 7):
        sent(database, device, dropped=[{"kind": "record", "reason": "evicted", "count": count}])
    sent(database, device, outbox="o2", dropped=[{"kind": "record", "reason": "evicted", "count": 2}])
    assert devices(database)[0].lost == {"record:evicted": 14}


@pytest.mark.parametrize("body, error", [
    (b"{", FormatError), (b"[]", FormatError), (b'{"version": 2}', FormatError),
    (batch(device="cam-8"), InputError), (batch(record(0)), InputError), (batch(record(1 << 60)), InputError),
    (batch(record(1), record(1)), InputError), (batch({**record(1), "id": "x"}), InputError), (batch(*[record(1)] * 2001), InputError),
    (batch({**record(1), "body": 3}), InputError), (batch(versions={"a": 1}), InputError), (batch(dropped=[{"kind": "A b"}]), InputError),
])  # fmt: skip
def test_a_batch_that_cannot_be_read_is_refused(body, error):
    with pytest.raises(error):
        parsed(body, "cam-7")


@given(st.recursive(st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
                        ["name", "window", "profile", "fields", "requests", "rows", "x", "sketch", "levels", "slices", "record", "values",
                         "server_ms", "inputs", "flags", "at_ms", "data", "count", "missing", "turns"]), inner, max_size=6), max_leaves=20),
       st.sampled_from(["record", "summary", "label", "event", "x"]))  # fmt: skip
def test_no_body_is_more_than_refused(body, kind):
    from portside.cloud.fleet.batch import Sent

    with contextlib.suppress(InputError):
        made(Sent(1, new_id(), kind, body if isinstance(body, dict) else {"name": body}), Device("cam-7"), NOW)


def test_times_that_cannot_be_right_are_not_believed(database, place):
    device = known(database)
    sent(database, device, record(1, server_ms=5, event_ms=5), record(2, server_ms=NOW + 10**10), record(3, server_ms=NOW - 100))
    assert sorted((one.sequence, one.server_ms) for one in records(place)) == [(1, NOW), (2, NOW), (3, NOW - 100)]
    assert {one.event_ms for one in records(place) if one.sequence == 1} == {5}
    assert placed(NOW - PAST_MS - 1, NOW) == NOW


def test_keys_and_blocks(lite):
    key, new = enrol(lite, "a", {}, NOW) if known(lite) else "", ""
    assert admitted(lite, "a", key).id == "a"
    new = enrol(lite, "a", {"site": "south"}, NOW)
    for device, said in (("a", key), ("a", new[:-1]), ("b", new), ("a", "")):
        with pytest.raises(TrustError):
            admitted(lite, device, said)
    assert block(lite, "a", "stolen") and not block(lite, "z", "stolen")
    with pytest.raises(TrustError, match="blocked"):
        admitted(lite, "a", new)
    with pytest.raises(InputError):
        enrol(lite, "../a", {}, NOW)
    want(lite, Desired("site=north", "sha256:2", 1), "ana")
    assert {one.id: one.desired for one in devices(lite)} == {"a": None, "cam-7": "sha256:2"}


def answers(values):
    """Records of these inputs."""
    return [Record(new_id(), NOW, NOW, name="cells", inputs={"x": [value]}, outputs={"label": [int(value > 0)]},
                   receipt={"model": "m", "reason": "primary", "time_ms": 1.0, "within_deadline": True}) for value in values]  # fmt: skip


def summary(values, sequence=1):
    """What a device sends of them."""
    held = Summaries("cells", SIGNATURE, SummarySettings(least_rows=1))
    for one in answers(values):
        held.add(one, 0.0)
    return {"sequence": sequence, "id": new_id(), "kind": "summary", "body": held.due(0.0, closing=True)}


def test_windows_of_devices_are_the_window_of_all(database):
    """A monitor reads the minute; sent again it is not counted again."""
    generator, parts = np.random.default_rng(3), []
    for number in range(4):
        values = generator.normal(number / 2, 1, 300).round(3).tolist()
        device = known(database, f"cam-{number}")
        entry = summary(values)
        assert sent(database, device, entry).refused == {}
        assert sent(database, device, entry).held == (1,)
        parts += values
    with database.read() as connection:
        (held,) = at(connection, "cells", "minute", TRAFFIC, [floor("minute", NOW)]).values()
    whole = Window.of(answers(parts), signature=SIGNATURE)
    assert (held.requests, held.rows, held.classes, held.answers) == (1200, 1200, dict(whole.classes), dict(whole.answers))
    assert held.profile.fields["in.x"].mean == pytest.approx(whole.profile.fields["in.x"].mean)


@settings(max_examples=25)
@given(st.lists(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=400), min_size=1, max_size=8), st.integers(0, 5))
def test_merged_drift_is_pooled_drift_within_its_bound(parts, seed):
    """Shares, and the distance from a reference, of windows merged in any grouping are those of all values, within what sketches say."""
    from portside.cloud.fleet.batch import Sent

    device = Device("cam-7")
    entries = [made(Sent(**summary(values, number + 1)), device, NOW) for number, values in enumerate(parts)]
    np.random.default_rng(seed).shuffle(entries)
    middle = len(entries) // 2
    groups = [tallies(entries[:middle]), tallies(entries[middle:])]
    merged = Window.merge_all([window for group in groups for tally in group.values() for window in tally.windows.values()])
    values = np.concatenate([np.asarray(part, np.float32) for part in parts]).astype(np.float64)
    held = merged.profile.fields["in.x"].sketch
    assert held.weight == len(values) == merged.rows
    places = np.unique(values)
    exact = np.searchsorted(np.sort(values), places, side="right") / len(values)
    assert np.abs(held.shares(places) - exact).max() <= held.error + 1e-12
    reference = np.sort(np.random.default_rng(7).normal(0, 30, 500))
    grid = np.unique(np.concatenate([places, reference]))
    theirs = np.searchsorted(reference, grid, side="right") / len(reference)
    pooled = np.abs(np.searchsorted(np.sort(values), grid, side="right") / len(values) - theirs).max()
    assert abs(np.abs(held.shares(grid) - theirs).max() - pooled) <= held.error + 1e-12
