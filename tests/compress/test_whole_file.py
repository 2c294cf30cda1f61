"""A file is there whole or not at all."""

from __future__ import annotations

import pytest

from portside.compress.whole_file import write_whole
from portside.sdk.core.errors import StoreError


def test_it_is_written_and_replaced(tmp_path):
    path = tmp_path / "new" / "file"
    for data in (b"one", b"another"):
        write_whole(path, data, "It")
        assert path.read_bytes() == data
    assert [held.name for held in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize(("stop", "raised", "said"), [
    (KeyboardInterrupt, KeyboardInterrupt, ""), (OSError(28, "No space left on device"), StoreError, "Free some space"),
])  # fmt: skip
def test_what_stops_it_leaves_what_was_there(tmp_path, monkeypatch, stop, raised, said):
    path = tmp_path / "file"
    write_whole(path, b"before", "It")

    def fails(*_):
        raise stop

    monkeypatch.setattr("portside.compress.whole_file.os.fsync", fails)
    with pytest.raises(raised, match=said):
        write_whole(path, b"after", "It")
    assert path.read_bytes() == b"before"
    assert [held.name for held in tmp_path.iterdir()] == ["file"]
