"""Small packages for graphs, written directly: each in one host stage, slow or failing as a file says."""

import asyncio
import time
from pathlib import Path

import numpy as np

from portside.cloud.answering.answers import Question
from portside.cloud.deployment.file import read
from portside.cloud.graph.opening import open_graph
from portside.cloud.graph.resolving import resolve
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Annotations, Content, Stage
from portside.sdk.core.package import write
from portside.sdk.core.signature import Signature, TensorSpec

FAULT = '''"""Misbehaves as the file beside it says."""
import time
from pathlib import Path

import numpy as np


def fault(rows):
    control = Path("{control}")
    words = control.read_text().split() if control.exists() else ["ok"]
    if words[0] == "slow":
        time.sleep(float(words[1]))
    if words[0] == "rows":
        time.sleep(rows * float(words[1]))
    if words[0] == "throw":
        raise ValueError("thrown on command")


'''
X = TensorSpec("x", "f32", ("batch", 3), range=(-10.0, 10.0))
SCORE = TensorSpec("score", "f32", ("batch",), kind="score")
LABEL = TensorSpec("label", "i64", ("batch",), categories=("good", "bad"), kind="decision")
SUM = '''def answer(x):
    fault(len(x))
    score = 1 / (1 + np.exp(-x.sum(axis=1)))
    return {"label": (score > 0.5).astype(np.int32), "score": score.astype(np.float32)}
'''
SHARP = SUM.replace("-x.sum", "-3 * x.sum").replace("score > 0.5", "score > 0.6")
RANK = '''def answer(x, prior):
    fault(len(x))
    return {"score": (prior + x.max(axis=1)).astype(np.float32), "pair": np.stack([prior, -prior], 1).astype(np.float32)}
'''
FIRST = (Signature((X,), (LABEL, SCORE)), SUM)
SECOND = (Signature((X,), (LABEL, SCORE)), SHARP)
RANKER = (Signature((X, TensorSpec("prior", "f32", ("batch",))), (SCORE, TensorSpec("pair", "f32", ("batch", 2), kind="value"))), RANK)


def package(folder, name, signature, source):
    """A package of one host stage with a contract that its own source made; `folder/name.fault` controls it."""
    text = FAULT.replace("{control}", str(Path(folder) / f"{name}.fault")) + source
    space = {}
    exec(text, space)  # noqa: S102  our own text above
    random = np.random.default_rng(0)
    inputs = {spec.name: random.normal(size=(32, *spec.shape[1:])).astype(np.float32) for spec in signature.inputs}
    outputs = {key: value.astype(np.int64) if value.dtype.kind == "i" else value for key, value in space["answer"](**inputs).items()}
    rules = {spec.name: Rule(spec.kind) for spec in signature.outputs}
    head, tensors = Contract((Case(inputs, outputs, why=("random",) * 32),), rules).to_bytes()
    stage = Stage("host", "answer", "host/00-answer.py", tuple(inputs), tuple(outputs), function="answer")
    files = {"host/00-answer.py": text.encode(), CONTRACT: head, CONTRACT_TENSORS: tensors}
    return write(Content(signature=signature, stages=(stage,), files={}), files, Path(folder) / name, Annotations(name=name), trusted=True)


FUNNEL = """name = "funnel"
[records]
enabled = {records}
[[step]]
name = "first"
package = "first"
trust = true
{first}
[[step]]
name = "second"
package = "second"
trust = true
when = "first.score > 0.2 and first.score < 0.8"
{second}
[graph]
{graph}
[answer]
label = "second.label ?? first.label"
score = "second.score ?? first.score"
"""


def funnel(folder, first="", second="", graph="", records="false", text=FUNNEL):
    """A graph file beside its packages: sure rows are answered by the first step, the others by the second."""
    folder = Path(folder)
    for name, made in (("first", FIRST), ("second", SECOND), ("rank", RANKER)):
        if f'"{name}"' in text and not (folder / name).exists():
            package(folder, name, *made)
    file = folder / "graph.toml"
    file.write_text(text.format(first=first, second=second, graph=graph, records=records))
    return file


class Graph:
    """An opened graph: ask it, break its steps."""

    def __init__(self, file):
        self.folder = Path(file).parent
        self.engine = open_graph(resolve(read(file)))
        self.engine.warm(30)

    def fault(self, name, text="ok"):
        (self.folder / f"{name}.fault").write_text(text)

    def ask(self, **wire):
        return asyncio.run(self.engine.answer(Question(wire, time.monotonic())))

    def steps(self, answer):
        return {step.name: step for step in answer.receipt.steps}
