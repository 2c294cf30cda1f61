"""The `[review]` section: what people decide, how long they may take, and who is told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .base import Count, Positive, Section


class Review(Section):
    """How the rows that a person is asked about are shown and decided.

    Attributes:
        output: the output that is decided; None: the signature's only decision, else its first output.
        question: what the page asks.
        candidates: how many answers can be picked with one key.
        blind: when the model's answer and its probabilities are hidden, so that they cannot sway: "checks" are rows drawn at random to
            keep the estimate of the error honest.
        order: what makes an item pressing: see cloud/review/priority.py.
        audio: input -> samples per second, of inputs that hold sound.
        lease_s: how long an item is kept for whoever looks at it, without a sign of life.
        undo_s: how long webhooks wait after a decision, so that taking it back at once is silent.
        deadline_s: after so long the deployment answers itself; None: an item waits.
        on_expiry: what it answers then: "model", its own answer; "none"; or values for every output that is decided.
        webhook: is sent decisions (POST, JSON).
        webhook_secret_env: name of an environment variable; what it holds signs what is sent.
    """

    output: str | None = None
    question: str = ""
    candidates: Annotated[int, Field(ge=1, le=9)] = 9
    blind: Literal["never", "checks", "always"] = "checks"
    order: Literal["margin", "entropy", "least"] = "margin"
    audio: dict[str, Count] = Field(default_factory=dict)
    lease_s: Annotated[float, Field(ge=5, le=3600)] = 60.0
    undo_s: Annotated[float, Field(ge=0, le=600)] = 5.0
    deadline_s: Positive | None = None
    on_expiry: Literal["model", "none"] | dict[str, Any] = "model"
    webhook: Annotated[str, Field(pattern=r"^https?://")] | None = None
    webhook_secret_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None

    @model_validator(mode="after")
    def _meant(self) -> Review:
        if self.webhook_secret_env is not None and self.webhook is None:
            raise ValueError("webhook_secret_env has no meaning without webhook")
        if "on_expiry" in self.model_fields_set and self.deadline_s is None:
            raise ValueError("on_expiry has no meaning without deadline_s")
        return self

    def instead(self) -> dict[str, Any] | Literal["model"] | None:
        """What `queue.expire` answers with."""
        return None if self.on_expiry == "none" else self.on_expiry
