"""A disk that is really full (under the shim of records/): told of while it is full, counted, saved, and well again afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import packages
import pytest

HERE = Path(__file__).parent


@pytest.fixture
def library(tmp_path):
    made = tmp_path / "lost_writes.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", made, HERE.parent / "records" / "lost_writes.c", "-ldl"], check=True)
    return made


@pytest.mark.slow
def test_lost_records_are_told_of_while_nothing_can_be_written(tmp_path, library, receiver):
    packages.host_package(tmp_path / "net")
    path = tmp_path / "deployment.toml"
    path.write_text(f'name = "cells"\n[champion]\npackage = "net"\ntrust = true\n[records]\npath = "live/records.sqlite"\n'
                    f'[monitor]\nwebhook = "http://127.0.0.1:{receiver.server_port}/"\n')  # fmt: skip
    environment = {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": ""}
    done = subprocess.run([sys.executable, HERE / "full_disk.py", tmp_path, library, path], env=environment, capture_output=True, text=True,
                          timeout=250)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["while full"] == [False] * 5 and "full" in found["fault"] and found["lost"] > 0
    assert all(found["healed"]) and found["counted"] == found["written"], "what was written is counted, once"
    told = [(body["data"]["alert"], body["data"]["state"]) for body in receiver.got]
    assert sorted(told[:2]) == [("records-failing", "firing"), ("records-lost", "firing")], "while it was full"
    assert sorted(told[2:]) == [("records-failing", "resolved"), ("records-lost", "resolved")]
    assert sorted(map(tuple, found["told"])) == sorted(told) and len({body["id"] for body in receiver.got}) == 4
    lost = next(body for body in receiver.got if body["data"]["alert"] == "records-lost")
    assert 0 < lost["data"]["value"] <= found["lost in all"] and "full" in lost["data"]["what"]
