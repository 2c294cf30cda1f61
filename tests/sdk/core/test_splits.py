"""Splits: nothing tied stands on both sides, rows stay where they are while a dataset grows, shares are about as asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.errors import InputError
from portside.sdk.core.splits import Member, by_hash, by_time, groups

HALVES = {"train": 0.5, "test": 0.5}
PARTS = {"train": 0.6, "validation": 0.2, "test": 0.2}
rows = st.lists(st.tuples(st.lists(st.sampled_from("abcdefghij"), max_size=2), st.integers(0, 20)), max_size=30).map(
    lambda drawn: [Member(f"{place:03}", tuple(ties), at) for place, (ties, at) in enumerate(drawn)]
)


def tied(members, places):
    """Tie -> the splits it stands in."""
    found = {}
    for member, place in zip(members, places, strict=True):
        for tie in member.ties:
            found.setdefault(tie, set()).add(place)
    return found


@given(rows, st.integers(0, 3))
def test_at_random_no_tie_is_parted(members, seed):
    assert all(len(places) == 1 for places in tied(members, by_hash(members, PARTS, seed)).values())


@given(rows)
def test_groups_are_what_ties_join_and_no_more(members):
    found = groups(members)
    apart = {}
    for member in members:  # the slow way: grow sets until nothing changes
        apart[member.key] = {member.key}
    changed = True
    while changed:
        changed = False
        for one in members:
            for other in members:
                if set(one.ties) & set(other.ties) and apart[one.key] is not apart[other.key]:
                    joined = apart[one.key] | apart[other.key]
                    for key in joined:
                        apart[key] = joined
                    changed = True
    assert found == [min(apart[member.key]) for member in members]


@given(rows, st.integers(0, 30))
def test_a_row_that_stays_alone_stays_where_it_is(members, kept):
    before, after = members[:kept], members
    then, now = by_hash(before, PARTS), by_hash(after, PARTS)
    for place, (was, group, joined) in enumerate(zip(then, groups(before), groups(after), strict=False)):
        if group == joined:
            assert was == now[place]


@given(rows)
def test_in_time_nothing_earlier_stands_in_a_later_split(members):
    places = by_time(members, PARTS)
    assert all(len(found - {None}) <= 1 for found in tied(members, places).values())
    order = list(PARTS)
    placed = [(member, place) for member, place in zip(members, places, strict=True) if place is not None]
    held = sorted((member.at_ms, member.key, order.index(place)) for member, place in placed)
    assert [rank for _, _, rank in held] == sorted(rank for _, _, rank in held)


def test_shares_are_about_as_asked():
    members = [Member(f"{place:05}") for place in range(5000)]
    places = by_hash(members, PARTS)
    assert abs(places.count("train") / 5000 - 0.6) < 0.03 and abs(places.count("test") / 5000 - 0.2) < 0.03
    assert by_hash(members, PARTS, 1) != places == by_hash(members, PARTS)
    assert [by_time(members, HALVES).count(name) for name in HALVES] == [2500, 2500]


@pytest.mark.parametrize("fractions", [{}, {"train": 0.5}, {"train": 1.5, "test": -0.5}, {"train": 0.7, "test": 0.7}], ids=str)
def test_shares_that_are_none_are_refused(fractions):
    with pytest.raises(InputError, match="add up to one"):
        by_hash([Member("a")], fractions)


def test_two_rows_with_one_key_are_refused():
    with pytest.raises(InputError, match="same key"):
        groups([Member("a"), Member("a")])
