"""A full disk: answers go on, losses are counted and shown, a label that is not written is refused, and all is well when there is space."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_the_disk_is_full_for_a_while(library, tmp_path):
    environment = {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": ""}
    words = [sys.executable, HERE / "filling.py", tmp_path, library]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["answered"] == 1500 and found["failing"] and "full" in found["fault"]
    assert found["lost"] > 0 and f"portside_records_lost {found['lost']}" in found["page"] and "portside_records_failing 1" in found["page"]
    assert "cannot be written" in found["refused"] and found["again"] == 1
    assert found["healed"] and found["held"] == found["written"] and found["written"] + found["lost in all"] == 1510
