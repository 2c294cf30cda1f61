"""Profiles as arrays: nothing is lost on the way, and thousands merge to what they merge to summary by summary."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.sdk.core.errors import FormatError
from portside.sdk.core.profile import Profile
from portside.sdk.core.profile_table import FEW, Fields, Table, merged
from portside.sdk.core.summary import Summary

SIZES = st.lists(st.tuples(st.integers(0, 900), st.integers(0, 3), st.integers(0, 5)), min_size=FEW, max_size=3 * FEW)
"""(rows, kind of profile, seed) of each."""


def profile(rows: int, kind: int, seed: int) -> Profile:
    """Numbers with holes, names, and a field that profiles of some kinds lack."""
    random = np.random.default_rng(seed)
    x = np.where(random.random(rows) < 0.1, np.nan, random.normal(seed, 1, rows))
    colours = np.array(["red", "blue", None, f"own{seed}"], object)[random.integers(0, 4, rows)]
    return Profile.of({"x": x, "colour": colours, "none": np.full(rows, np.nan), **({"y": np.round(x)} if kind else {})})


def read(held: Profile) -> Profile:
    return Profile.from_bytes(held.to_bytes())


def by_summaries(profiles: list[Profile]) -> Profile:
    names = dict.fromkeys(name for one in profiles for name in one.fields)
    return Profile({name: Summary.merge_all([one.fields[name] for one in profiles if name in one.fields]) for name in names})


def close(one: Profile, two: Profile) -> None:
    """The same to the last value of a sketch; moments up to rounding."""
    assert set(one.fields) == set(two.fields)
    for name, a in one.fields.items():
        b = two.fields[name]
        exact = ("count", "missing", "finite", "rows", "low", "high", "categories")
        assert [getattr(a, part) for part in exact] == [getattr(b, part) for part in exact]
        assert (a.mean, a.m2) == pytest.approx((b.mean, b.m2))
        assert a.sketch.to_dict() == b.sketch.to_dict()


@settings(max_examples=25)
@given(SIZES)
def test_merged_as_arrays_they_are_what_they_are_summary_by_summary(sizes: list[tuple[int, int, int]]) -> None:
    profiles = [profile(rows, kind, seed) for rows, kind, seed in sizes]
    close(Profile.merge_all([read(one) for one in profiles]), by_summaries(profiles))
    close(Profile.merge_all(profiles), by_summaries(profiles))
    close(Profile.merge_all([*map(read, profiles[::2]), *map(read, profiles[1::4]), *profiles[3::4]]),
          by_summaries([*profiles[::2], *profiles[1::4], *profiles[3::4]]))  # fmt: skip


@settings(max_examples=25)
@given(SIZES, st.randoms())
def test_any_way_of_merging_agrees_within_the_stated_errors(sizes: list[tuple[int, int, int]], random: object) -> None:
    profiles = [read(profile(rows, 1, seed)) for rows, _, seed in sizes]
    shuffled = sorted(profiles, key=lambda _: random.random())  # type: ignore[attr-defined]
    fold = shuffled[0]
    for one in shuffled[1:]:
        fold = fold.merge(one)
    middle = len(shuffled) // 2
    halves = Profile.merge_all(shuffled[:middle]).merge(Profile.merge_all(shuffled[middle:]))
    for one, two in pairwise([Profile.merge_all(profiles), fold, halves, Profile.merge_all(shuffled)]):
        assert one.fields["colour"].categories == two.fields["colour"].categories
        a, b = one.fields["x"], two.fields["x"]
        assert (a.count, a.missing, a.finite, a.low, a.high) == (b.count, b.missing, b.finite, b.low, b.high)
        assert (a.mean, a.m2) == pytest.approx((b.mean, b.m2), abs=1e-6)
        places = np.linspace(-4, 9, 40)
        assert np.abs(a.sketch.shares(places) - b.sketch.shares(places)).max(initial=0) <= a.sketch.error + b.sketch.error + 1e-9


@given(st.integers(0, 900), st.integers(0, 1), st.integers(0, 5))
def test_nothing_is_lost_in_a_table(rows: int, kind: int, seed: int) -> None:
    held = profile(rows, kind, seed)
    written = json.dumps(held.to_dict())
    assert json.dumps(Profile(Fields(Table.of(held.fields))).to_dict()) == written
    assert json.dumps(Profile.from_dict(json.loads(written)).to_dict()) == written


def test_merging_changes_none_of_its_parts() -> None:
    parts = [read(profile(400, 1, seed)) for seed in range(2 * FEW)]
    before = [one.to_bytes() for one in parts]
    whole = Profile.merge_all(parts)
    written = whole.to_bytes()
    Profile.merge_all([whole, *parts])
    Profile.merge_all(parts[::-1])
    assert [one.to_bytes() for one in parts] == before
    assert whole.to_bytes() == written


def test_profiles_of_which_hardly_two_are_alike_are_left_to_summaries() -> None:
    different = [read(Profile.of({f"x{place}": np.zeros(3)})) for place in range(2 * FEW)]
    assert merged([one.fields for one in different]) is None
    assert len(Profile.merge_all(different).fields) == 2 * FEW


def test_what_is_read_behaves_as_a_mapping() -> None:
    fields = read(profile(5, 1, 0)).fields
    assert list(fields) == sorted(fields)
    assert (len(fields), "x" in fields, "z" in fields, fields.get("z")) == (4, True, False, None)
    assert fields["x"] is fields["x"]
    assert repr(fields).startswith("{'colour': Summary(")
    assert len(read(Profile()).fields) == 0


@pytest.mark.parametrize("wrong", ['{"count": 1}', '{"count": "a", "missing": 0}', '{"count": 99999999999999999999, "missing": 0}',
                                   '{"count": 1, "missing": 0, "sketch": {"turns": []}}', '{"count": 1, "missing": 0, "sketch": 5}',
                                   '{"count": 1, "missing": 0, "sketch": {"levels": [["a"]], "turns": [0]}}', "5"])  # fmt: skip
def test_malformed_fields_are_refused(wrong: str) -> None:
    with pytest.raises(FormatError, match="malformed"):
        Profile.from_bytes(b'{"fields": {"x": %b}}' % wrong.encode())
