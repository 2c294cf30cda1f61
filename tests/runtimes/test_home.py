"""Where Portside keeps what it makes: one folder, the same for artifacts and for the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from portside.runtimes.home import home
from portside.sdk.store import Store


@pytest.mark.parametrize("said", ["~/models", "/srv/models", "", None])
def test_artifacts_and_store_share_a_home(said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PORTSIDE_HOME", raising=False)
    if said is not None:
        monkeypatch.setenv("PORTSIDE_HOME", said)
    assert home() == Store().path
    assert "~" not in str(home())
