"""A served deployment as a teacher: `Distil(teacher="http://...")` against a real server in child processes."""

import numpy as np
import packages
import pytest
import started as servers
from sklearn.tree import DecisionTreeClassifier

import portside as ps
from portside.runtimes.reference import Reference
from portside.sdk.core.errors import EngineError, InputError


@pytest.mark.slow
@pytest.mark.long
def test_a_server_teaches_a_tree_by_its_address(tmp_path, fault) -> None:
    file = packages.deployment(tmp_path / "d", deadline=2000)
    rows = np.clip(np.random.default_rng(1).normal(size=(400, 3)), -10, 10).astype(np.float32)
    parent = ps.open(tmp_path / "d" / "main", trust=True)
    with servers.serving(servers.SERVE, file.parent) as server:
        url = f"http://127.0.0.1:{server.port}"
        plan = ps.Distil(DecisionTreeClassifier(max_depth=6, random_state=0), teacher=url)
        made = ps.compress(parent, plan, ps.Data({"x": rows}), out=tmp_path / "made", resume=tmp_path / "kept")
        with pytest.raises(InputError, match="'z': there is no such field"):
            ps.compress(parent, plan, ps.Data({"x": rows, "z": rows}), out=tmp_path / "none")
        fault("nan")
        with pytest.raises(EngineError, match="a fallback answered"):
            ps.compress(parent, plan, ps.Data({"x": rows + 0.5}), out=tmp_path / "none")
    answers = Reference().open(made).predict({"x": rows})
    assert (answers["label"] == np.where(rows.sum(axis=1) > 0, "bad", "good")).mean() > 0.85
    assert made.content.recipe[-1]["teacher"] == [f"{url}/predict"]
    again = ps.compress(parent, plan, ps.Data({"x": rows}), out=tmp_path / "again", resume=tmp_path / "kept")
    assert again.digest == made.digest, "the server is gone, its answers are kept"
