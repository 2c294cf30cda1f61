"""A recipe with `resume=`: finished passes are not run again, and only for the same package, pass, data and seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

import portside as ps
from portside.compress.derive import derive
from portside.sdk.core import errors


@dataclass(frozen=True)
class Marked:
    """A pass that changes nothing and counts its runs."""

    kind: ClassVar[str] = "marked"
    name: str
    runs: ClassVar[list[str]] = []
    fails: ClassVar[set[str]] = set()

    def run(self, package, data, context):
        self.runs.append(self.name)
        if self.name in self.fails:
            raise KeyboardInterrupt
        return derive(package, self.to_dict(), context.out)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name}


@pytest.fixture(autouse=True)
def fresh():
    Marked.runs.clear()
    Marked.fails.clear()


def test_finished_passes_are_taken_up(network, calibration, tmp_path):
    recipe = ps.Recipe([Marked("one"), Marked("two"), Marked("three")])
    Marked.fails.add("three")
    with pytest.raises(KeyboardInterrupt):
        ps.compress(network, recipe, calibration, out=tmp_path / "made", resume=tmp_path / "kept")
    assert not (tmp_path / "made").exists()
    Marked.fails.clear()
    made = ps.compress(network, recipe, calibration, out=tmp_path / "made", resume=tmp_path / "kept")
    assert Marked.runs == ["one", "two", "three", "three"]
    assert made.digest == ps.compress(network, recipe, calibration, out=tmp_path / "whole").digest


@pytest.mark.parametrize("other", ["seed", "data", "pass"])
def test_what_was_made_of_something_else_is_not(network, calibration, tmp_path, other):
    ps.compress(network, Marked("one"), calibration, out=tmp_path / "made", resume=tmp_path / "kept")
    rows = calibration.take(range(50)) if other == "data" else calibration
    ps.compress(network, Marked("two" if other == "pass" else "one"), rows, seed=int(other == "seed"), out=tmp_path / "again",
                resume=tmp_path / "kept")  # fmt: skip
    assert len(Marked.runs) == 2


def test_a_damaged_pass_is_refused_with_the_way_out(network, calibration, tmp_path):
    ps.compress(network, Marked("one"), calibration, out=tmp_path / "made", resume=tmp_path / "kept")
    (folder,) = (tmp_path / "kept").glob("marked-*")
    file = next(folder.glob("program/*.onnx"))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(errors.StoreError, match=f"Remove .*{folder.name}"):
        ps.compress(network, Marked("one"), calibration, out=tmp_path / "again", resume=tmp_path / "kept")
