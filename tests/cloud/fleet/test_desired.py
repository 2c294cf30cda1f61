"""Which release a device is to run: the most exact word, then the newest; the same whatever order words are read in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.fleet.desired import Desired, desired, matches, pairs
from portside.sdk.core.errors import InputError

SELECTORS = st.sampled_from(["", "site=north", "site=south", "line=2", "site=north,line=2", "device:cam-7", "device:cam-8"])
WORDS = st.lists(
    st.builds(Desired, SELECTORS, st.sampled_from("abcd"), st.integers(0, 3)), max_size=8, unique_by=lambda word: word.selector
)


@given(WORDS, st.randoms())
def test_the_order_of_words_does_not_count(words, random):
    labels = {"site": "north", "line": "2"}
    shuffled = random.sample(words, len(words))
    found = desired("cam-7", labels, words)
    assert found == desired("cam-7", labels, shuffled)
    own = [word.release for word in words if word.selector == "device:cam-7"]
    assert not own or found == own[0]
    assert (found is None) == (not any(matches(word.selector, "cam-7", labels) for word in words))


def test_more_labels_are_more_exact():
    words = [Desired("", "all", 9), Desired("site=north", "north", 1), Desired("site=north,line=2", "both", 0), Desired("line=2", "two", 5)]
    said = {
        labels: desired("c", dict(labels), words)
        for labels in [(), (("site", "north"),), (("line", "2"),), (("site", "north"), ("line", "2"))]
    }
    assert list(said.values()) == ["all", "north", "two", "both"]
    assert desired("c", {"site": "north", "line": "2"}, [Desired("site=north", "old", 1), Desired("line=2", "new", 2)]) == "new"


@pytest.mark.parametrize("selector", ["site", "=north", "site=", "site=a,site=b"])
def test_a_selector_that_selects_nothing_is_refused(selector):
    with pytest.raises(InputError):
        pairs(selector)
