"""Forms to parts, held against the parser that the cloud uses."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.doors import multipart
from portside.edge.form import MAX_PARTS, parts
from portside.sdk.core.errors import FormatError

KIND = "multipart/form-data; boundary=b0undary"
_word = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n', exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)


def form(fields):
    made = b""
    for name, filename, data in fields:
        told = f'; filename="{filename}"' if filename is not None else ""
        made += f'--b0undary\r\nContent-Disposition: form-data; name="{name}"{told}\r\nContent-Type: x/y\r\n\r\n'.encode() + data + b"\r\n"
    return made + b"--b0undary--\r\n"


@given(st.lists(st.tuples(_word, st.none() | _word, st.binary(max_size=80).filter(lambda data: b"\r\n--b0" not in data)), max_size=4))
def test_what_is_sent_arrives_and_as_in_the_cloud(fields):
    body = form(fields)
    assert parts(body, KIND) == fields
    if fields:
        assert multipart.parse(body, KIND.encode()) == fields


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form([("a", None, b"1")]), "multipart/form-data"), (b"", KIND), (form([("a", None, b"1")])[:-6], KIND),
        (b"--b0undary\r\n\r\nx\r\n--b0undary--", KIND), (b"--b0undary x\r\n\r\n\r\n--b0undary--", KIND),
        (b"--b0undary\r\na: b\r\n--b0undary--", KIND), (form([("a", None, b"")] * (MAX_PARTS + 1)), KIND),
        (b"--b0undary\r\na: " + b"x" * 5000 + b"\r\n\r\n\r\n--b0undary--", KIND),
    ],
)  # fmt: skip
def test_what_is_no_form(body, kind):
    with pytest.raises(FormatError):
        parts(body, kind)


@given(st.binary(max_size=200))
def test_any_bytes_are_parts_or_refused(body):
    with suppress(FormatError):
        parts(b"--b0undary" + body, KIND)
