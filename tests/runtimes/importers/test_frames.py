"""Whose line it is: the user's before an installed package's, and never ours, installed or not."""

from __future__ import annotations

import pytest

from portside.runtimes.importers import frames


def trace(*files: str) -> str:
    return "\n".join(f'  File "{file}", line 3, in f' for file in files)


def test_ours_is_never_at_fault_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_OURS", "/v/site-packages/portside")
    ours, theirs = "/v/site-packages/portside/runtimes/session.py", "/v/site-packages/layers/attention.py"
    assert frames.line_of_trace(trace(ours)) is None
    found = frames.line_of_trace(trace("/home/me/train.py", theirs, ours))
    assert found is not None
    assert found.file == "/home/me/train.py"
    found = frames.line_of_trace(trace(theirs, ours))
    assert found is not None
    assert found.file == theirs
