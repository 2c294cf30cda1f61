"""Datasets out of reviews: the same content is the same dataset, nothing leaks, everything says where it came from, Data comes back."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import PIL.Image
import pytest
from made_reviews import NOW, PICTURE, PIXELS, TONE, cell, item, number

import portside as ps
from portside.cloud.records.labelling import label
from portside.cloud.review import queue
from portside.cloud.review.dataset import Options, write
from portside.cloud.review.gathering import Wanted, labelled
from portside.sdk.core.errors import InputError, IntegrityError
from portside.sdk.core.labels import Label
from portside.sdk.dataset import dataset, versions


def fill(database, count=24):
    """Items of every kind, several per entity, some contents twice; all but the last are decided."""
    def kinds(turn):
        note = f"a  Long text, number {turn}, " * 9
        pictures = {"photo": PICTURE + bytes([turn]), "cell": "poly"}, {"photo": PIXELS + np.uint8(turn), "cell": "mono"}
        return *pictures, {"size": 1.5, "cell": None}, {"note": note, "size": 2}

    items = [item(place, payload={**kinds(place // 8)[place % 4], "turn": place // 8}, entity=f"e{place // 3}" if place % 2 else None,
                  selection=0.25 if place % 5 == 0 else 1.0, reason="check" if place % 5 == 0 else "low-confidence", created_ms=NOW + place)
             for place in range(count)]  # fmt: skip
    queue.enqueue(database, items)
    for place in range(count - 1):
        queue.decide(database, number(place), ("ana", "ben")[place % 2], {"label": place % 2}, NOW + 1000 + place)
    return items


def made(database, out, options=None, **more):
    return write(labelled(database, Wanted()), out, "cells", options or Options(), **more)


def test_the_same_rows_are_the_same_dataset_wherever_and_whenever(database, tmp_path):
    fill(database)
    first, version = made(database, tmp_path / "a", now_ms=1)
    again, same = made(database, tmp_path / "a", now_ms=2)
    other, _ = made(database, tmp_path / "somewhere" / "else", now_ms=3)
    assert first.digest == again.digest == other.digest and version == same == 1
    files = {path.relative_to(first.folder): path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    assert files == {path.relative_to(other.folder): path.read_bytes() for path in other.folder.rglob("*") if path.is_file()}
    queue.decide(database, number(23), "ana", {"label": 1}, NOW + 5000)
    _, version = made(database, tmp_path / "a", now_ms=4)
    assert version == 2 and [entry["version"] for entry in versions(tmp_path / "a")] == [1, 2]
    assert len(dataset(tmp_path / "a").rows) == 24 and len(dataset(tmp_path / "a", 1).rows) == 23


@pytest.mark.parametrize("how", ["hash", "time"])
def test_no_entity_and_no_content_stands_in_two_splits(queue_file, tmp_path, how):
    fill(queue_file, 40)
    held, _ = made(queue_file, tmp_path / "d", Options(how, {"train": 0.5, "test": 0.5}))
    places = {}
    for row in held.rows:
        shared = [row["entity"], *(value["file"] for value in row["inputs"].values() if isinstance(value, dict)), row["inputs"].get("note")]
        for one in shared:
            places.setdefault(one, set()).add(row["split"])
    places.pop(None)
    assert all(len(splits - {None}) <= 1 for splits in places.values()) and {"train", "test"} <= set().union(*places.values())
    if how == "time":
        latest = max(row["asked_ms"] for row in held.rows if row["split"] == "train")
        assert all(row["asked_ms"] > latest for row in held.rows if row["split"] == "test")


def test_it_says_where_every_row_came_from(queue_file, tmp_path):
    fill(queue_file)
    held, _ = made(queue_file, tmp_path / "d", classes=["good", "bad"])
    manifest = json.loads((held.folder / "manifest.json").read_text())
    told = manifest["provenance"]
    assert told["rows"] == 23 and told["authors"] == {"ana": 12, "ben": 11} and told["sources"] == {"check": 5, "person": 18}
    assert told["selection"] == [0.25, 1.0] and told["labelled_ms"] == [NOW + 1000, NOW + 1022] and manifest["classes"] == ["good", "bad"]
    row = held.rows[0]
    assert (row["record"], row["review"], row["author"], row["weight"], row["label"], row["model"]) == (
        number(0, 2), number(0), "ana", 4.0, {"label": 0}, {"label": 1})  # fmt: skip


def test_data_comes_back_with_labels_slices_and_weights(queue_file, tmp_path):
    shown = [{"photo": PICTURE, "raw": PIXELS, "sound": TONE, "size": float(place), "many": [1, place]} for place in range(3)]
    queue.enqueue(queue_file, [item(place, payload=held, selection=0.5) for place, held in enumerate(shown)])
    for place in range(3):
        queue.decide(queue_file, number(place), "ana", {"label": place % 2}, NOW)
    held, _ = made(queue_file, tmp_path / "d", Options(fractions={"train": 1.0}))
    data = held.data("train")
    assert isinstance(data, ps.Data) and data.labels.tolist() == [0, 1, 0] and held.weights("train").tolist() == [2.0, 2.0, 2.0]
    assert data.inputs["photo"] == [PICTURE] * 3 and np.array_equal(data.inputs["raw"], [PIXELS] * 3)
    assert data.inputs["sound"].shape == (3, 8000) and data.inputs["size"].tolist() == [0, 1, 2] and data.inputs["many"].shape == (3, 2)
    assert data.slices["author"].tolist() == ["ana"] * 3
    with pytest.raises(InputError, match="no such split"):
        held.data("holdout")


def test_what_counts_is_the_newest_label_and_what_was_taken_back_is_no_row(queue_file, tmp_path):
    fill(queue_file, 6)
    queue.undo(queue_file, number(1), "ben", NOW + 9000)
    label(queue_file, [Label("l1", number(0, 2), 0, {"label": 1}, "till", NOW + 9000, "api")])
    held, _ = made(queue_file, tmp_path / "d")
    assert {row["record"]: (row["label"]["label"], row["author"]) for row in held.rows}[number(0, 2)] == (1, "till")
    assert number(1, 2) not in {row["record"] for row in held.rows} and len(held.rows) == 4


@pytest.mark.parametrize("wanted, rows", [
    (Wanted(("cells",)), 23), (Wanted(("others",)), 0), (Wanted(authors=("ben",)), 11), (Wanted(sources=("check",)), 5),
    (Wanted(since_ms=NOW + 1010), 13), (Wanted(until_ms=NOW + 1010), 10),
], ids=["deployment", "other deployment", "author", "source", "since", "until"])  # fmt: skip
def test_only_what_is_wanted(queue_file, wanted, rows):
    fill(queue_file)
    assert len(list(labelled(queue_file, wanted))) == rows


def test_without_labels_there_is_no_dataset(queue_file, tmp_path):
    queue.enqueue(queue_file, [item(1)])
    with pytest.raises(InputError, match="No row is labelled"):
        made(queue_file, tmp_path / "d")
    assert not versions(tmp_path / "d") and not [path for path in (tmp_path / "d").iterdir() if not path.name.startswith(".")]


@pytest.mark.parametrize("name", ["manifest.json", "rows.jsonl", "files"])
def test_a_changed_dataset_is_not_read(queue_file, tmp_path, name):
    fill(queue_file)
    held, _ = made(queue_file, tmp_path / "d")
    path = held.folder / name if name != "files" else next((held.folder / "files").glob("*.png"))
    path.write_bytes(path.read_bytes().replace(b"e", b"E", 1) if name != "files" else path.read_bytes() + b"x")
    with pytest.raises(IntegrityError):
        dataset(tmp_path / "d").data()
    shutil.rmtree(held.folder / "files")


def test_a_row_reviewed_twice_is_one_row(queue_file, tmp_path):
    queue.enqueue(queue_file, [item(1), item(2)])
    with queue_file.write() as connection:
        connection.execute(queue.REVIEWS.update().values(record=number(1, 2)))
    queue.decide(queue_file, number(1), "ana", {"label": 1}, NOW)
    queue.decide(queue_file, number(2), "ben", {"label": 0}, NOW + 1)
    held, _ = made(queue_file, tmp_path / "d")
    assert [row["label"] for row in held.rows] == [{"label": 0}]


def test_pictures_that_show_the_same_go_together_where_that_is_asked(queue_file, tmp_path):
    """Each cell three times: as pixels, saved as JPEG, and smaller and darker. By the bytes they are different pictures."""
    payloads = []
    for seed in range(8):
        pixels = cell(seed, 120)
        smaller = np.asarray(PIL.Image.fromarray((pixels * 0.8).astype(np.uint8)).resize((90, 90), PIL.Image.Resampling.BICUBIC))
        saved = io.BytesIO()
        PIL.Image.fromarray(pixels).save(saved, "JPEG", quality=70)
        payloads += [pixels, saved.getvalue(), smaller]
    payloads.append(np.zeros((50, 50), np.uint8))
    payloads.append(np.ones((50, 50), np.uint8))
    queue.enqueue(queue_file, [item(place, payload={"photo": photo}) for place, photo in enumerate(payloads)])
    for place in range(len(payloads)):
        queue.decide(queue_file, number(place), "ana", {"label": 1}, NOW + place)
    exact, _ = made(queue_file, tmp_path / "a")
    assert exact.manifest["splits"]["groups"] == len(payloads) and "near" not in exact.manifest["splits"]
    near, _ = made(queue_file, tmp_path / "b", Options(near=0.995))
    assert near.manifest["splits"]["groups"] == 8 + 2 and near.manifest["splits"]["near"] == 0.995, "a flat picture is like nothing"
    places = [row["split"] for row in near.rows]
    assert all(len(set(places[start : start + 3])) == 1 for start in range(0, 24, 3))
    with pytest.raises(InputError, match="correlation"):
        Options(near=0.2)
