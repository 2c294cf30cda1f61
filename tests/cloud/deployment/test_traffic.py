"""The file of arms: what is written is read, and nothing else is."""

import json
from dataclasses import asdict

import pytest

from portside.cloud.deployment.traffic import FILE, NOBODY, Traffic, read_traffic, write_traffic
from portside.sdk.core.errors import FormatError

CANARY = Traffic(7, "r1", "canary", ("sha256:ab",), 0.25, "line=tést", "r1")


@pytest.mark.parametrize("entity", ["", "\ud800", "a\0b", "x" * 1_000_000, "\u202e"])
def test_an_entity_of_any_characters_has_a_place(entity):
    assert 0 <= CANARY.position(entity) < 1 and CANARY.position(entity) == CANARY.position(entity)


def test_what_is_written_is_read(tmp_path):
    assert read_traffic(tmp_path) == NOBODY
    for traffic in (CANARY, NOBODY, Traffic(8, "r1", "shadow", ("sha256:ab", "sha256:cd"), salt="r1")):
        write_traffic(tmp_path, traffic)
        assert read_traffic(tmp_path) == traffic


@pytest.mark.parametrize(("name", "value"), [
    ("serial", "7"), ("rollout", 1), ("phase", "everyone"), ("challengers", "sha256:ab"), ("challengers", [1]), ("share", "0.25"),
    ("share", float("nan")), ("share", 1.5), ("share", -0.1), ("segment", 3), ("salt", None), ("salt", 7),
])  # fmt: skip
def test_a_value_that_no_request_could_be_answered_by_is_refused(tmp_path, name, value):
    (tmp_path / FILE).write_text(json.dumps({**asdict(CANARY), name: value}))
    with pytest.raises(FormatError, match="makes it anew"):
        read_traffic(tmp_path)


def test_a_file_that_lost_a_part_is_refused(tmp_path):
    """A segment that is lost would be a canary for everyone."""
    write_traffic(tmp_path, CANARY)
    whole = (tmp_path / FILE).read_bytes()
    for end in range(len(whole)):
        (tmp_path / FILE).write_bytes(whole[:end])
        with pytest.raises(FormatError):
            read_traffic(tmp_path)
    for name in asdict(CANARY):
        (tmp_path / FILE).write_bytes(whole.replace(f'"{name}"'.encode(), b'"elsewhere"'))
        with pytest.raises(FormatError, match="lacks"):
            read_traffic(tmp_path)


@pytest.mark.parametrize("text", [b"", b"{}", b"null", b"[]", b"[" * 100_000, b"\xff\xfe", b'"x"', b"1" * 10_000])
def test_what_is_no_such_file_is_refused(tmp_path, text):
    (tmp_path / FILE).write_bytes(text)
    with pytest.raises(FormatError):
        read_traffic(tmp_path)
