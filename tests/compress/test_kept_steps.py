"""Finished steps on the disk: given again as they were, by whoever asks for the same thing, and by nobody else."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import numpy as np
import pytest

import portside as ps
from portside.compress import kept_steps
from portside.compress.base import PassContext
from portside.compress.derive import derive
from portside.compress.kept_steps import NOWHERE, Held, KeptSteps, Scope

KEY = {"package": "sha256:1"}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(kept_steps, "EVERY_S", 0.0)


def filled(folder: Path, count: int = 5, key=KEY, kind: str = "kind", fails=()) -> tuple[list, list]:
    """(every step's number, those that were made)"""
    made, series = [], KeptSteps(folder).series(kind, key)

    def make(number):
        if number in fails:
            raise KeyboardInterrupt
        made.append(number)
        return {"number": np.array(number), "b/a": np.arange(number, dtype=np.float32)}

    return [int(series.step(lambda number=number: make(number))["number"]) for number in range(count)], made


def test_numbers_come_back_bit_for_bit_and_in_their_order(tmp_path):
    random_ = np.random.default_rng(0)
    item = {
        "z": random_.normal(size=(3, 4)), "a": random_.normal(size=5).astype(np.float16), "flags": np.array([True, False]),
        "none": np.zeros((0, 7), np.float32), "one": np.array(2**62, np.int64), "back": np.arange(12).reshape(3, 4).T,
        "odd": np.array([np.inf, -np.inf, np.nan, -0.0, 5e-324]),
    }  # fmt: skip
    KeptSteps(tmp_path).write("kind", KEY, Held([item, {}], {"rows": 0.1, "texts": ["ö"]}))
    held = KeptSteps(tmp_path).read("kind", KEY)
    assert held.said == {"rows": 0.1, "texts": ["ö"]}
    assert [list(found) for found in held.items] == [list(item), []]
    for name, value in item.items():
        assert held.items[0][name].dtype == value.dtype
        assert held.items[0][name].shape == value.shape
        assert held.items[0][name].tobytes() == value.tobytes()


def test_a_series_goes_on_behind_its_last_step(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        filled(tmp_path, fails={3})
    assert filled(tmp_path) == ([0, 1, 2, 3, 4], [3, 4])
    assert filled(tmp_path) == ([0, 1, 2, 3, 4], [])


@pytest.mark.parametrize("other", [{"key": {"package": "sha256:2"}}, {"kind": "other"}])
def test_another_key_finds_nothing(tmp_path, other):
    filled(tmp_path)
    assert filled(tmp_path, **other)[1] == [0, 1, 2, 3, 4]


def test_other_versions_and_another_cpu_find_nothing_unless_they_do_not_matter(tmp_path, monkeypatch):
    for here in (True, False):
        KeptSteps(tmp_path, here).write("kind", KEY, Held(said={"here": here}))
    for name, value in (("cpu", "another"), ("versions", {"numpy": "9"})):
        with monkeypatch.context() as patched:
            patched.setattr(kept_steps, "built_on", lambda *_, name=name, value=value: {"cpu": "this", "versions": {}, name: value})
            assert KeptSteps(tmp_path).read("kind", KEY) is None
            assert KeptSteps(tmp_path, here=False).read("kind", KEY).said == {"here": False}
    assert KeptSteps(tmp_path).read("kind", KEY).said == {"here": True}


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file_is_dropped_and_named(tmp_path, seed):
    filled(tmp_path)
    random_ = random.Random(seed)
    file = random_.choice(sorted(tmp_path.iterdir()))
    data = bytearray(file.read_bytes())
    if seed % 3:
        data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
    file.write_bytes(data if seed % 3 else data[: random_.randrange(len(data))])
    place = int(file.stem.rpartition("-")[2])
    with pytest.warns(RuntimeWarning, match=f"{file.name} is damaged and was dropped"):
        assert filled(tmp_path) == ([0, 1, 2, 3, 4], list(range(place, 5)))
    assert filled(tmp_path)[1] == []


def test_a_file_under_another_name_is_not_believed(tmp_path):
    filled(tmp_path, key={"package": "sha256:2"})
    steps = KeptSteps(tmp_path)
    steps.write("kind", KEY, Held(said={"mine": True}))
    mine = steps._file("kind", KEY, 0)
    others = [file for file in tmp_path.iterdir() if file != mine]
    mine.write_bytes(others[0].read_bytes())
    with pytest.warns(RuntimeWarning, match="another step's"):
        assert KeptSteps(tmp_path).read("kind", KEY) is None
    assert not mine.exists()


class Loud:
    """Says when it is unpickled."""

    heard: list[str] = []  # noqa: RUF012 - of the class

    def __reduce__(self):
        return (self.heard.append, ("unpickled",))


def test_nothing_is_unpickled(tmp_path):
    steps = KeptSteps(tmp_path)
    for data in (pickle.dumps(Loud()), np.array([Loud()], object).dumps()):
        steps._file("kind", KEY, 0).write_bytes(data)
        with pytest.warns(RuntimeWarning, match="damaged"):
            assert steps.read("kind", KEY) is None
    assert not Loud.heard


def test_several_steps_are_written_together_and_at_most_once_in_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_steps, "EVERY_S", 1.0)
    now = [100.0]
    monkeypatch.setattr(kept_steps.time, "monotonic", lambda: now[0])
    steps = KeptSteps(tmp_path)
    one, other = steps.series("one", KEY), steps.series("other", KEY)
    for _ in range(3):
        now[0] += 0.3
        one.step(lambda: {"x": np.zeros(1)})
    assert not list(tmp_path.iterdir())
    now[0] += 0.3
    other.step(lambda: {"x": np.zeros(1)})
    assert sorted(file.name.partition("-")[0] for file in tmp_path.iterdir()) == ["one", "other"]
    assert len(KeptSteps(tmp_path).series("one", KEY)) == 3
    one.step(lambda: {"x": np.ones(1)})
    steps.flush()
    assert len(KeptSteps(tmp_path).series("one", KEY)) == 4


def test_what_is_no_longer_of_use_goes_with_the_write_of_what_came_of_it(tmp_path, monkeypatch):
    steps = KeptSteps(tmp_path)
    scope = Scope(steps, KEY)
    inner = scope.series("inner")
    for number in range(3):
        inner.step(lambda number=number: {"x": np.array(number)})
    monkeypatch.setattr(kept_steps, "EVERY_S", 1e9)
    inner.step(lambda: {"x": np.array(3)})  # waits
    scope.drop("inner")
    assert len(list(tmp_path.glob("inner-*"))) == 3
    steps.write("outer", KEY, Held(said={"sum": 3}))
    assert len(list(tmp_path.glob("inner-*"))) == 3
    steps.flush()
    assert [file.name.partition("-")[0] for file in tmp_path.iterdir()] == ["outer"]


def test_texts_are_not_kept_and_nothing_behind_them(tmp_path):
    made = []
    for _ in range(2):
        series = KeptSteps(tmp_path).series("kind", KEY)
        made.clear()
        for value in (np.array([1.0]), np.array(["a"], object), np.array([2.0])):
            series.step(lambda value=value: [made.append(value), {"x": value}][1])
    assert len(made) == 2


def test_rows_by_themselves(tmp_path):
    x, calls = np.arange(25, dtype=np.float64), []

    def made(rows):
        calls.append(len(rows))
        return rows * 2

    for folder, expected in ((None, [10, 10, 5]), (tmp_path, [10, 10, 5]), (tmp_path, [])):
        calls.clear()
        assert np.array_equal(Scope(KeptSteps(folder), KEY).by_rows("kind", x, made, 10), x * 2)
        assert calls == expected
    assert Scope(NOWHERE, KEY).by_rows("kind", x[:0], made).shape == (0,)


def test_a_package_is_kept_by_its_digest(network, tmp_path):
    made = []

    def make(folder):
        made.append(folder)
        return derive(network, {"kind": "marked"}, folder)

    def run(number):
        return KeptSteps.of(PassContext(checkpoints=tmp_path / "kept")).package("student", KEY, False, make, tmp_path / f"{number}")

    first = run(0)
    again = run(1)
    assert (again.digest, len(made)) == (first.digest, 1)
    assert again.path.parent == tmp_path / "kept"
    file = next((again.path / "program").iterdir())
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.warns(RuntimeWarning, match=f"{again.path.name} is damaged and was dropped"):
        assert run(2).digest == first.digest
    assert len(made) == 2
    assert run(3).path == again.path
    other = ps.compress(network, ps.Quantize("float16"), ps.Data({"x": np.zeros((4, 16), np.float32)}), out=tmp_path / "other")
    for name in ("program", "manifest.json"):
        target = again.path / name
        assert target.exists()
    for held in other.path.rglob("*"):
        if held.is_file():
            (again.path / held.relative_to(other.path)).parent.mkdir(parents=True, exist_ok=True)
            (again.path / held.relative_to(other.path)).write_bytes(held.read_bytes())
    with pytest.warns(RuntimeWarning, match="damaged"):  # whole, and another one
        assert run(4).digest == first.digest
