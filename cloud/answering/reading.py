"""From a question to the typed inputs that models take: the champion's, and those of backups with another front."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from ...sdk.core.chain_answers import rows_of
from ...sdk.core.door import Checked
from ...sdk.core.errors import InputError
from .answers import Question
from .chain import ModelEntry
from .walk import Walk

DECODERS = 2


class Reader:
    """Reads questions for one chain.

    Args:
        champion: whose codec and door every question has to pass.
        models: of the chain; where decoding takes long for any of them there are threads for it.
        max_rows: more rows in one request are refused.

    Attributes:
        apart: the champion's decoding is kept off the event loop.
    """

    def __init__(self, champion: ModelEntry, models: Iterable[ModelEntry], max_rows: int) -> None:
        self.apart = champion.blocking
        self._champion, self._max_rows = champion, max_rows
        blocking = any(model.blocking for model in models)
        self._decoders = ThreadPoolExecutor(DECODERS, thread_name_prefix="portside-decode") if blocking else None

    def read(self, question: Question) -> Walk:
        """The request behind the champion's codec and door. Raises InputError."""
        began = time.monotonic()
        return self._walk(question, self._champion.encode(question.wire), began)

    async def read_apart(self, question: Question) -> Walk:
        """The same, off the event loop. Raises InputError."""
        began, loop = time.monotonic(), asyncio.get_running_loop()
        checked = await loop.run_in_executor(self._decoders, self._champion.encode, question.wire)
        return self._walk(question, checked, began)

    async def encoded(self, walk: Walk, entry: ModelEntry) -> Checked:
        """The request as the typed inputs of an entry; encoded once for all entries that take the same. Raises InputError."""
        if entry.front == self._champion.front:
            return walk.checked
        if entry.front not in walk.others:
            wire = {name: value for name, value in walk.question.wire.items() if name in entry.fields}
            loop = asyncio.get_running_loop()
            encoded = await loop.run_in_executor(self._decoders, entry.encode, wire) if entry.blocking else entry.encode(wire)
            walk.others[entry.front] = encoded
        return walk.others[entry.front]

    def close(self) -> None:
        """End the threads."""
        if self._decoders is not None:
            self._decoders.shutdown(wait=False, cancel_futures=True)

    def _walk(self, question: Question, checked: Checked, began: float) -> Walk:
        signature = self._champion.signature
        rows = rows_of(checked.arrays, signature)
        if rows > self._max_rows:
            first = signature.inputs[0].name
            raise InputError(f"There are too many rows in {first!r}", field=first, got=rows, expected=f"at most {self._max_rows}",
                             fix="Send them in several requests.")  # fmt: skip
        return Walk(question, checked, rows, time.monotonic() - began)
