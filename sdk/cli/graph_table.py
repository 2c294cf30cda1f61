"""A graph for people: its steps in order, what each takes and when it runs, and where the answer comes from."""

from __future__ import annotations

from typing import Any

from ...cloud.graph.references import REQUEST
from ...cloud.graph.resolving import ResolvedGraph, ResolvedStep
from .console import Result, fields, short, table

HEAD = ["step", "package", "digest", "takes", "when", "rows", "deadline"]


def shown_graph(resolved: ResolvedGraph) -> Result:
    """The steps and the answer of a graph."""
    deployment, deadline = resolved.deployment, resolved.plan.deadline_ms
    steps = [_step(step) for step in resolved.steps]
    head = {"graph": deployment.name, "digest": resolved.digest, "deadline": f"{deadline:g} ms" if deadline else None}
    rows = [[step["step"], step["package"], short(step["digest"]), ", ".join(step["inputs"]), step["when"], step["rows"], step["deadline"]]
            for step in steps]  # fmt: skip
    answers = table([[name, text] for name, text in deployment.answer.items()], head=["output", "comes from"])
    data = {"deployment": deployment.name, "digest": resolved.digest, "steps": steps, "answer": dict(deployment.answer)}
    return Result(data, f"{fields(head)}\n\n{table(rows, head=HEAD)}\n\n{answers}")


def _step(step: ResolvedStep) -> dict[str, Any]:
    settings, model = step.settings, step.resolved.champion
    cut, split = settings.top_k, settings.split
    rows = [f"best {cut.k} by {cut.by}"] if cut else []
    rows += [f"parts of {split.rows}"] if split else []
    inputs = [name if source.step == REQUEST and source.name == name else f"{name} = {source}" for name, source in step.feeds.items()]
    return {"step": settings.name, "package": model.name, "digest": model.digest, "target": model.artifact.target, "inputs": inputs,
            "when": settings.when or "", "rows": ", ".join(rows),
            "deadline": f"{settings.deadline_ms:g} ms" if settings.deadline_ms else ""}  # fmt: skip
