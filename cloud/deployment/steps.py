"""The sections of a graph: `[[step]]`, `[graph]` and `[answer]`. What they say is held against the packages later (cloud/graph)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from ...sdk.core.errors import FormatError
from ..graph import references
from .base import Count, Positive, Section
from .failover import Breaker
from .sections import Link, Model


def _parsed(parse: Callable[[str], object]) -> AfterValidator:
    """The text stays text; what cannot be parsed is refused with its line."""

    def check(text: str) -> str:
        try:
            parse(text)
        except FormatError as error:
            raise ValueError(str(error).rstrip(".")) from error
        return text

    return AfterValidator(check)


ReferenceText = Annotated[str, _parsed(references.reference)]
SourcesText = Annotated[str, _parsed(references.sources)]
ConditionText = Annotated[str, _parsed(references.condition)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,62}$")]


class TopK(Section):
    """The best `k` rows by a number of each row; the smallest where `order` says so."""

    by: SourcesText
    k: Count
    order: Literal["largest", "smallest"] = "largest"


class Split(Section):
    """Rows of one step cut into parts that run side by side.

    Attributes:
        rows: of a part, at most.
        ready: share of the step's rows that must be answered when its time is up; fewer, and the step has failed.
    """

    rows: Count
    ready: Annotated[float, Field(gt=0, le=1)] = 1.0


class Step(Model):
    """One package of a graph; settings of a model, and these.

    Attributes:
        name: what others call it.
        inputs: field of its package -> where it comes from; fields that are not named come from the request under their own name.
        when: rows for which it runs; a condition over outputs of other steps.
        top_k: it runs on the best rows only.
        deadline_ms: its time from when it could begin; never more than the graph has left.
        breaker, fallback: see Failover; the fallback is a chain of a package, cache, endpoint or default each.
        split: rows are cut into parts.
    """

    name: Name
    inputs: dict[str, ReferenceText] = Field(default_factory=dict[str, str])
    when: ConditionText | None = None
    top_k: TopK | None = None
    deadline_ms: Positive | None = None
    breaker: Breaker = Breaker()
    fallback: list[Link] = Field(default_factory=list[Link])
    split: Split | None = None

    @model_validator(mode="after")
    def _meant(self) -> Step:
        if self.name == references.REQUEST:
            raise ValueError("a step cannot be called 'request'")
        if any(link.kind == "default" for link in self.fallback[:-1]):
            raise ValueError("a default always answers, so it must be the last entry of the fallback")
        if self.top_k is not None and "??" in self.top_k.by:
            raise ValueError("top_k of a step goes by one output, without ??")
        return self

    def model(self) -> Model:
        """The settings of its package. The parts of a split are not joined into batches again, unless the file says so."""
        settings: dict[str, Any] = {name: getattr(self, name) for name in Model.model_fields}
        if self.split is not None and "batch" not in self.model_fields_set:
            settings["batch"] = False
        return Model(**settings)


class Graph(Section):
    """What concerns the whole.

    Attributes:
        deadline_ms: budget of a request from its arrival, over all steps.
        reserve_ms: steps end this long before the deadline; default: a twentieth of it.
        top_k: the answer holds the best rows only, best first.
    """

    deadline_ms: Positive | None = None
    reserve_ms: Annotated[float, Field(ge=0)] | None = None
    top_k: TopK | None = None

    @model_validator(mode="after")
    def _meant(self) -> Graph:
        if self.reserve_ms is not None and (self.deadline_ms is None or self.reserve_ms >= self.deadline_ms):
            raise ValueError("reserve_ms must be below a deadline_ms")
        return self


def misplaced(champion: bool, given: Collection[str], steps: Sequence[Step]) -> str | None:
    """What is wrong with the choice between a champion and a graph, or None."""
    if not steps:
        wrong = [name for name in ("graph", "answer") if name in given]
        return f"[{wrong[0]}] has no meaning without [[step]]" if wrong else None if champion else "'champion' is missing"
    if "consistency" in given:
        return "[consistency] holds for one champion; a graph answers each request anew"
    if "automation" in given:
        return "[automation] decides the answers of one champion; serve the step that is to be decided as a deployment of its own"
    if "rollout" in given:
        return "[rollout] tries one package against another; serve the step that is to be tried as a deployment of its own"
    if "retrain" in given:
        return "[retrain] trains one package; serve the step that is to be trained as a deployment of its own"
    if "gates" in given:
        return "[gates] hold one package against another; serve the step that is to be tried as a deployment of its own"
    if champion or "failover" in given:
        return "a graph has no [champion] and no [failover]; each step has a package and a fallback of its own"
    names = [step.name for step in steps]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        return f"two steps are called {twice[0]!r}"
    return None if "answer" in given else "'answer' is missing: a graph says where each of its outputs comes from"
