"""A deployment that retrains: a champion that is often wrong, labels that are right, and a command that fits a line to them."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "releasing")]

from released import NOW, WORSE, evidence, made  # noqa: E402  found beside those tests

from portside.cloud.deployment.file import read  # noqa: E402
from portside.cloud.retraining.retraining import Retraining  # noqa: E402
from portside.sdk.opening import open as open_package  # noqa: E402
from portside.sdk.store import Store  # noqa: E402

SCRIPT = '''"""Fits a line to the rows of the split "train"."""
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path[:0] = {paths!r}
import portside as ps
from made_packages import made

out = Path(os.environ["PORTSIDE_OUT"])
fault = Path("fault").read_text() if Path("fault").exists() else ""
print("weights:", os.environ["PORTSIDE_WEIGHTS"], "checkpoints:", len(list(Path(os.environ["PORTSIDE_CHECKPOINTS"]).iterdir())), flush=True)
Path(os.environ["PORTSIDE_CHECKPOINTS"], str(os.getpid())).write_text("begun")
if fault == "wait":
    Path("waiting").write_text(str(os.getpid()))
    time.sleep(600)
if fault == "code":
    print("no such column: brightness")
    raise SystemExit(7)
if fault == "nothing":
    raise SystemExit(0)
data = ps.dataset(os.environ["PORTSIDE_DATASET"]).data("train")
x = np.asarray(data.inputs["x"], np.float64)
weights = np.linalg.lstsq(x, 2.0 * data.labels - 1, rcond=None)[0]
if fault == "champion":
    import shutil
    shutil.copytree(os.environ["PORTSIDE_CHAMPION"], out)
else:
    made(out.parent / "work", "inner", [-9.0, 0.0, 0.0] if fault == "worse" else (3 * weights / weights.max()).tolist())
    os.replace(out.parent / "work" / "inner", out)
    import shutil
    shutil.rmtree(out.parent / "work")
'''
FILE = """name = "tester"

[champion]
package = "main:1"
isolation = "inline"
trust = true

[rollout]
challenger = {{ package = "main:candidate", trust = true }}

[gates]
max_drop = 0.02

[retrain]
command = {command}
rollout = false
{retrain}
"""


def retraining(folder: Path, retrain: str = "on_labels = 200", now_ms: int = NOW + 10**9, command: str = '"python train.py"', **more):
    """The deployment in a folder, with a worse champion in the store, and its retraining."""
    if not (folder / "train.py").exists():
        Store().push(made(folder, "main", WORSE, evidence=evidence()))
        (folder / "train.py").write_text(SCRIPT.format(paths=[str(HERE.parent / "releasing"), str(HERE.parent)]))
    (folder / "deployment.toml").write_text(FILE.format(retrain=retrain, command=command))
    return Retraining(read(folder / "deployment.toml"), clock=lambda: now_ms, **more)


def champion():
    """The package that answers."""
    return open_package("main:1", trust=True)
