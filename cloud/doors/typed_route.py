"""The answer of BentoML's own typed route: the same engine and the same validator behind another door."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..answering.answers import NotReadyError, Question
from ..host import Host
from .pending import status, withheld


async def ask(host: Host, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Columns in, {"outputs", "receipt"} out, JSON-ready; with `status` and `review` where a person has yet to decide.

    Raises InputError, NoAnswerError, NotReadyError.
    """
    if host.engine is None:
        raise NotReadyError(host.fault)
    answer = await host.engine.answer(Question(dict(inputs), time.monotonic()))
    outputs: dict[str, Any] = {name: np.asarray(array).tolist() for name, array in answer.outputs.items()}
    if answer.pending is None:
        return {"outputs": outputs, "receipt": answer.receipt.to_dict()}
    told = withheld(outputs, answer.pending, host.engine.signature)
    return {"outputs": told, **status(answer.pending, one=False), "receipt": answer.receipt.to_dict()}
