"""`portside serve`, `records` and `card`: what they say of a deployment, its records and a package."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portside.cloud.records.store import Draft, RecordStore
from portside.sdk.core.package import Package
from portside.sdk.core.records import Record, uuid7

Run = Callable[..., Any]


@pytest.fixture
def deployment(tmp_path: Path, package: Package) -> Path:
    """The package, and a default behind it."""
    path = tmp_path / "deployment.toml"
    path.write_text(f"""
name = "sums"

[champion]
package = "{package.path}"
isolation = "inline"

[failover]
deadline_ms = 50
[[failover.chain]]
default = {{ score = 0.0, label = 0 }}
""")
    return path


def test_check_resolves_everything_and_serves_nothing(portside: Run, deployment: Path, package: Package) -> None:
    said = portside("serve", deployment, "--check")
    assert said.code == 0, said.err
    lines = [line.split() for line in said.out.splitlines()]
    assert ["deadline", "50", "ms"] in lines
    assert ["0", "onnx-cpu", "sums", package.digest[7:19], "inline"] in lines
    assert ["1", "default"] in lines
    assert portside("serve", deployment, "--check", "--json").json["entries"][0]["digest"] == package.digest


def test_serve_becomes_the_server(portside: Run, deployment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[Any] = []

    def execve(*what: Any) -> None:
        became.extend(what)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", execve)
    assert portside("serve", deployment, "--port", "4321").code == 0
    assert became[0] == sys.executable
    assert became[1][became[1].index("--port") + 1] == "4321"
    assert became[2]["PORTSIDE_DEPLOYMENT"] == str(deployment)


def test_several_deployments_are_checked_and_served_together(portside: Run, deployment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = deployment.with_name("other.toml")
    other.write_text(deployment.read_text().replace('name = "sums"', 'name = "others"'))
    checked = portside("serve", deployment, other, "--check", "--json").json["deployments"]
    assert [held["deployment"] for held in checked] == ["sums", "others"]
    became: list[Any] = []

    def execve(*what: Any) -> None:
        became.extend(what)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", execve)
    assert portside("serve", deployment, other, "--port", "4321").code == 0
    assert became[2]["PORTSIDE_DEPLOYMENT"] == f"{deployment}{os.pathsep}{other}"
    said = portside("serve", deployment, deployment)
    assert said.code == 3 and "same version" in said.err


def test_a_wrong_deployment_names_the_line_and_serves_nothing(portside: Run, deployment: Path) -> None:
    deployment.write_text(deployment.read_text().replace("deadline_ms = 50", "dead_line = 50"))
    said = portside("serve", deployment)
    assert said.code == 3
    assert "dead_line" in said.err
    assert "Traceback" not in said.err


def test_records_newest_last(portside: Run, deployment: Path, package: Package) -> None:
    store = RecordStore(deployment.parent / "records.sqlite")
    receipt = {"model": "sums", "reason": "primary", "time_ms": 1.25}
    for when, entity in enumerate(("ana", "ben", "ana"), start=1_700_000_000_000):
        record = Record(uuid7(when, bytes(10)), when, when, entity, receipt=receipt)
        store.put(Draft(record, {"x": np.ones((1, 2), np.float32)}, {"label": np.array([1])}, package.signature))
    store.close()
    said = portside("records", deployment)
    assert said.out.splitlines()[0].split() == ["time", "id", "entity", "model", "reason", "ms", "outputs", "label"]
    assert [line.split()[3] for line in said.out.splitlines()[1:]] == ["ana", "ben", "ana"]
    held = portside("records", deployment.parent / "records.sqlite", "--last", "1", "--entity", "ana", "--json").json
    assert len(held) == 1
    assert held[0]["outputs"] == {"label": [1]}
    assert portside("records", deployment, "--last", "0", "--id", held[0]["id"], "--json").json == held


def test_records_that_are_not_there(portside: Run, deployment: Path) -> None:
    said = portside("records", deployment)
    assert said.code == 3
    assert "records.sqlite" in said.err


def test_card(portside: Run, package: Package, tmp_path: Path) -> None:
    said = portside("card", package.path, "--out", tmp_path / "CARD.md")
    assert said.code == 0
    assert "# sums" in said.out
    assert (tmp_path / "CARD.md").read_text() == said.out
