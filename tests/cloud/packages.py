"""Small packages written directly (no tracing): a model in one host stage, with faults on command, and its backup."""

import json
from pathlib import Path

import numpy as np

from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Annotations, Content, Stage
from portside.sdk.core.package import write
from portside.sdk.core.signature import Signature, TensorSpec

MAIN = '''"""Doubles nothing, decides by the sum of x; misbehaves as the file in PORTSIDE_FAULT says."""
import os
import time
from pathlib import Path

import numpy as np


def answer(x):
    control = os.environ.get("PORTSIDE_FAULT", "")
    fault = Path(control).read_text().strip() if control and Path(control).exists() else "ok"
    if fault == "wedge":
        while True:
            time.sleep(1)
    if fault == "slow":
        time.sleep(0.3)
    if fault == "throw":
        raise ValueError("thrown on command")
    if fault == "exit":
        os._exit(3)
    score = 1 / (1 + np.exp(-x.sum(axis=1)))
    if fault == "nan":
        score = np.full_like(score, np.nan)
    return {"label": (score > 0.5).astype(np.int32), "score": score.astype(np.float32)}
'''
BACKUP = MAIN.replace('os.environ.get("PORTSIDE_FAULT", "")', '""').replace("score > 0.5", "score > 0.4")
SIGNATURE = Signature(
    inputs=(TensorSpec("x", "f32", ("batch", 3), range=(-10.0, 10.0)),),
    outputs=(
        TensorSpec("label", "i64", ("batch",), categories=("good", "bad"), kind="decision"),
        TensorSpec("score", "f32", ("batch",), kind="score"),
    ),
)


def host_package(out, source=MAIN, name="main", signature=SIGNATURE, inputs=None):
    """A package of one host stage `answer(**inputs)`, with a contract of 32 rows that its own source made. inputs: those rows."""
    space = {}
    exec(source, space)  # noqa: S102  our own text above
    rows = inputs or {"x": np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)}
    outputs = {key: value.astype(np.int64) if key == "label" else value for key, value in space["answer"](**rows).items()}
    case = Case(rows, outputs, why=("random",) * 32)
    head, tensors = Contract((case,), {"label": Rule("decision"), "score": Rule("score")}).to_bytes()
    stage = Stage("host", "answer", "host/00-answer.py", tuple(rows), ("label", "score"), function="answer")
    files = {"host/00-answer.py": source.encode(), CONTRACT: head, CONTRACT_TENSORS: tensors}
    content = Content(signature=signature, stages=(stage,), files={})
    return write(content, files, Path(out), Annotations(name=name), trusted=True)


DEPLOYMENT = """name = "tester"

[champion]
package = "main"
isolation = "{isolation}"
trust = true
kill_after_ms = 300

[failover]
deadline_ms = {deadline}
breaker = {{ failures = 3, open_ms = 200, max_open_ms = 400 }}

[[failover.chain]]
package = "backup"
isolation = "thread"
trust = true

[[failover.chain]]
default = {{ label = "bad", score = 0.5 }}

[server]
max_body_mb = 1
max_rows = 1000
"""


def deployment(folder, isolation="process", deadline=50, text=DEPLOYMENT):
    """A folder with two packages and a deployment file; returns the file."""
    folder = Path(folder)
    host_package(folder / "main")
    host_package(folder / "backup", BACKUP, "backup")
    file = folder / "deployment.toml"
    file.write_text(text.format(isolation=isolation, deadline=deadline))
    (folder / "service.py").write_text('import portside as ps\n\nsvc = ps.service("deployment.toml")\n')
    return file


if __name__ == "__main__":
    import sys

    print(json.dumps({"deployment": str(deployment(sys.argv[1]))}))
