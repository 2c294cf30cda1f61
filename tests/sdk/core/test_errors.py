"""Errors as data: whatever was got, it can be written as JSON by every writer."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.errors import InputError

GOT = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**62, 2**70)
    | st.integers(-(2**70), -(2**62))
    | st.floats()
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(GOT)
def test_what_was_got_can_always_be_written(got):
    said = orjson.loads(orjson.dumps(InputError("It is wrong", field="x", got=got, expected=got).to_dict()))
    assert said["error"] == "InputError" and ("got" in said) == (got is not None)


def test_numbers_beyond_64_bits_are_text():
    assert InputError("It is wrong", got=10**20).to_dict()["got"] == "100000000000000000000"
    assert InputError("It is wrong", got=-(2**63)).to_dict()["got"] == -(2**63)
