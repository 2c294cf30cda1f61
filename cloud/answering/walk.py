"""One request on its way down the chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...sdk.core.door import Checked
from ...sdk.core.failover import Request, made
from ...sdk.core.signature import Array
from .answers import Question
from .cache import Found


class Walk:
    """What is known of a request so far; changed as it goes, read by nobody else.

    Attributes:
        question, request: what was asked, and where the policy has it.
        checked, rows: the champion's typed inputs, and how many rows they hold.
        others: the same for entries with another front, by front.
        key: of the content, where something is kept by it.
        found: the answer that was given before, where there is one.
        tapped, tapped_by: values of boundaries, and the entry that gave them.
        named: outputs with names of categories, once they are decoded.
        text: outputs as JSON, where a record was made of them at once.
        arm: of a rollout (cloud/arms), set and read where there is one, and nowhere else.
        began, ended: monotonic seconds; when the entry under way was asked, and when it had answered.
        encode_s, queue_s, decode_s: time by stage, in seconds.
    """

    __slots__ = ("arm", "began", "checked", "decode_s", "encode_s", "ended", "found", "key", "named", "others", "question", "queue_s",
                 "request", "rows", "tapped", "tapped_by", "text")  # fmt: skip
    arm: Any

    def __init__(self, question: Question, checked: Checked, rows: int, encode_s: float) -> None:
        self.question, self.request = question, made(Request, ((question.arrived - question.behind) * 1e3, 0, 0, (), None, 0.0))
        self.checked, self.rows, self.encode_s = checked, rows, encode_s
        self.others: dict[str, Checked] = {}
        self.key: bytes | None = None
        self.found: Found | None = None
        self.tapped: Mapping[str, Array] | None = None
        self.tapped_by = -1
        self.named: Mapping[str, Array] | None = None
        self.text: str | None = None
        self.began = self.ended = self.queue_s = self.decode_s = 0.0
