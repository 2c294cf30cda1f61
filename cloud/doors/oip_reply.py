"""An answer as the Open Inference Protocol v2 writes it: JSON, or JSON followed by the raw bytes of tensors.

The receipt stands in `parameters`, whose values are text, numbers and booleans, as the protocol has it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from ...sdk.core.signature import Signature
from ..answering.answers import Answer
from . import pending
from .asgi import HEADER_LENGTH, JOIN_BYTES, JSON, Reply
from .oip_request import Inference
from .oip_tensors import Buffer, datatype_of, write_binary, write_json
from .receipts import Places

BINARY = b"application/octet-stream"


class ReplyWriter:
    """Writes answers of one model."""

    def __init__(self, name: str, version: str, signature: Signature) -> None:
        self._head = {"model_name": name, "model_version": version}
        self._datatypes = {spec.name: datatype_of(spec.dtype) for spec in signature.outputs}

    def write(self, answer: Answer, asked: Inference, receipt: Places) -> Reply:
        """The reply: only the outputs that were asked for, in that order, and the receipt where it is wanted. Raw bytes are not copied."""
        outputs, parts = list[dict[str, Any]](), list[Buffer]()
        for name, binary in asked.wanted:
            array = np.asarray(answer.outputs[name])
            datatype = "BYTES" if array.dtype.hasobject else self._datatypes[name]
            held: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
            if binary:
                parts.append(write_binary(array))
                held["parameters"] = {"binary_data_size": len(parts[-1])}
            else:
                held["data"] = write_json(array)
            outputs.append(held)
        data = {**self._head, "parameters": parameters(answer, receipt.body), "outputs": outputs}
        if asked.id is not None:
            data["id"] = asked.id
        return _reply(orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY), parts, answer, receipt.headers)


def _reply(head: bytes, parts: list[Buffer], answer: Answer, receipt: bool) -> Reply:
    headers = pending.headers(answer) if receipt else []
    if not parts:
        return Reply(200, head, JSON, headers, answer=answer)
    said = [(HEADER_LENGTH, b"%d" % len(head)), *headers]
    if sum(map(len, parts)) < JOIN_BYTES:
        return Reply(200, b"".join((head, *parts)), BINARY, said, answer=answer)
    return Reply(200, head, BINARY, said, more=tuple(parts), answer=answer)


def parameters(answer: Answer, receipt: bool = True) -> dict[str, Any]:
    """The receipt, where it is wanted, the flags, and what waits for a person, flat; what is empty is left out."""
    said = answer.receipt.to_dict() if receipt else {}
    if receipt:
        said["attempts"] = ", ".join(said["attempts"])
    if answer.flags:
        said["flags"] = ", ".join(f"{flag.field}{'' if flag.row is None else f'[{flag.row}]'}: {flag.why}" for flag in answer.flags)
    for key in [key for key, value in said.items() if value is None or value == ""]:
        del said[key]
    return said if answer.pending is None else {**said, **pending.parameters(answer.pending)}
