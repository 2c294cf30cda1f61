"""A champion on a GPU that is not there, behind the real server: the failover policy answers; and one on a simulated GPU answers itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import started as servers

from portside.runtimes import samples
from portside.runtimes.compiling import compile as compile_package

SIMULATED = Path(__file__).resolve().parents[1] / "fakes" / "simulated"
DEPLOYMENT = """name = "gpu"

[champion]
package = "package"
target = "tensorrt"
artifact = "artifact"
isolation = "{isolation}"

[failover]
deadline_ms = 2000

[[failover.chain]]
package = "package"

[[failover.chain]]
default = {{ scores = [0.0, 0.0, 0.0], label = 0, above = false, first = 0.0 }}
"""


@pytest.fixture
def deployed(tmp_path: Path) -> samples.Sample:
    """The sample "mixed" for tensorrt, unproven, with the same package on the CPU behind it."""
    sample = samples.mixed()
    package = sample.write(tmp_path / "package")
    compile_package(package, "tensorrt", tmp_path / "artifact", allow_unproven=True)
    (tmp_path / "deployment.toml").write_text(DEPLOYMENT.format(isolation="thread"))
    return sample


def asked(server: servers.Server, sample: samples.Sample, rows: int = 1) -> tuple[dict, dict]:
    """The answer to a row, and what it should have been."""
    inputs = sample.inputs(rows)
    row = {name: value[0].tolist() for name, value in inputs.items()}
    status, body, _ = server.call(data={"row": row})
    assert status == 200, body
    return json.loads(body), {name: value[0] for name, value in sample.truth(inputs).items()}


@pytest.mark.slow
def test_without_a_gpu_the_next_one_in_the_chain_answers(deployed: samples.Sample, tmp_path: Path) -> None:
    with servers.serving(servers.SERVE, tmp_path) as server:
        answer, truth = asked(server, deployed)
        log = server.log.read_text()
    assert "cannot run on tensorrt here (unverified on a GPU: no tensorrt here): the rest of the chain answers" in log
    assert answer["outputs"]["label"] == truth["label"] and np.allclose(answer["outputs"]["scores"], truth["scores"], atol=1e-4)
    receipt = answer["receipt"]
    assert receipt["target"] == "onnx-cpu" and receipt["reason"] != "primary", receipt


@pytest.mark.slow
def test_with_a_gpu_the_champion_answers(deployed: samples.Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deployment.toml").write_text(DEPLOYMENT.format(isolation="process"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(SIMULATED), os.environ.get("PYTHONPATH")])))
    with servers.serving(servers.SERVE, tmp_path) as server:
        answer, truth = asked(server, deployed)
    assert answer["outputs"]["label"] == truth["label"]
    assert (answer["receipt"]["target"], answer["receipt"]["reason"]) == ("tensorrt", "primary")
