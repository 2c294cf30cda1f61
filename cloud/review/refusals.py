"""What a reviewer is told when an item is not theirs to decide."""

from __future__ import annotations

from ...sdk.core.errors import InputError


class UnknownReviewError(InputError):
    """There is no such item."""

    def __init__(self, number: str) -> None:
        super().__init__("There is no review with this id", field="id", got=number[:60])


class TakenError(InputError):
    """Somebody else holds or decided the item, or it was withdrawn. `by`: who; empty where that does not matter."""

    def __init__(self, what: str, by: str = "", fix: str | None = None) -> None:
        self.by = by
        super().__init__(what, field="id", fix=fix or "Take the next one.")

    def to_dict(self) -> dict[str, object]:
        """As the base, with `by`."""
        return {**super().to_dict(), "by": self.by}
