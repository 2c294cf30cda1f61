"""What a compile and its child process tell each other: plain JSON and ONNX files in one temporary folder, nothing pickled.

request.json      the segments to lower
NN-name.onnx      what is lowered, standing alone, with symbolic dimensions
NN-name.rows      what the segment reads for each golden row, where the package's plan has static nodes
NN-name.looks     what the plan's values look like on the first of those rows
NN-name.tflite    written by the child
NN-name.lossy     the same with the plan's precision
answer.json       written last: per segment its source, or the refusal
log.txt           everything that the converter prints
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from .plan import Plan

REQUEST, ANSWER, LOG = "request.json", "answer.json", "log.txt"
ROWS, LOOKS, LOSSY = ".rows", ".looks", ".lossy"
"""Endings of a job's calibration rows, of what values look like on them, and of its file with the plan's precision."""
Source: TypeAlias = Literal["auto", "pt2", "onnx"]
SOURCES: tuple[str, ...] = get_args(Source)


@dataclass(frozen=True)
class Job:
    """One segment to lower.

    Attributes:
        stem: file name without its ending.
        plan: rim and signatures of the `.tflite` file.
        whole: the segment is the package's whole program, so that the program that torch traced can stand for it.
        stages: the package's graph stages in it.
        missing: its inputs that may hold NaN.
    """

    stem: str
    plan: Plan
    whole: bool = False
    stages: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What the child is asked.

    Attributes:
        jobs: segments, in order.
        source: "pt2" and "onnx" are demands; "auto" takes the program that torch traced where it can be used, else ONNX.
        package: folder of the package, for its traced program.
        digest: of the package.
        lossy: the package's PrecisionPlan is lowered too.
    """

    jobs: tuple[Job, ...]
    source: Source = "auto"
    package: str = ""
    digest: str = ""
    lossy: bool = False

    def write(self, folder: Path) -> None:
        """As a file in `folder`."""
        jobs = [{"stem": job.stem, "plan": job.plan.to_dict(), "whole": job.whole, "stages": job.stages, "missing": job.missing}
                for job in self.jobs]  # fmt: skip
        text = json.dumps({"jobs": jobs, "source": self.source, "package": self.package, "digest": self.digest, "lossy": self.lossy})
        (folder / REQUEST).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Request:
        """Of a folder that `write` has filled."""
        data = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
        jobs = tuple(Job(job["stem"], Plan.from_dict(job["plan"]), job["whole"], tuple(job["stages"]), tuple(job["missing"]))
                     for job in data["jobs"])  # fmt: skip
        return cls(jobs, data["source"], data["package"], data["digest"], data["lossy"])


@dataclass(frozen=True)
class Answer:
    """What the child says.

    Attributes:
        sources: per job, what was lowered: "pt2" or "onnx".
        notes: per job, how the lowered module differs from its source and why the traced program was not used, or "".
        versions: distribution -> version in the child's environment.
        refusal: None, or {"kind", "what", "got", "expected", "fix"}.
        precision: per job, what became of the plan: {"asked", "achieved", "kept", "notes"}; empty where there is none.
    """

    sources: Sequence[str] = ()
    notes: Sequence[str] = ()
    versions: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    refusal: Mapping[str, Any] | None = None
    precision: Sequence[Mapping[str, Any]] = ()

    def write(self, folder: Path) -> None:
        """As a file in `folder`, whole or not at all."""
        data = {
            "sources": list(self.sources), "notes": list(self.notes), "versions": dict(self.versions), "refusal": self.refusal,
            **({"precision": [dict(held) for held in self.precision]} if self.precision else {}),
        }  # fmt: skip
        temporary = folder / f".{ANSWER}"
        temporary.write_text(json.dumps(data), encoding="utf-8")
        temporary.replace(folder / ANSWER)

    @classmethod
    def read(cls, folder: Path) -> Answer:
        """Of a folder. Raises FileNotFoundError where the child has not answered."""
        return cls(**json.loads((folder / ANSWER).read_text(encoding="utf-8")))
