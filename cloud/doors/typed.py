"""The typed route of one deployment: JSON in three forms or a form with files in, JSON with a receipt out."""

from __future__ import annotations

from typing import Any

import orjson

from ...sdk.core.errors import FormatError, InputError
from ...sdk.core.failover import made
from ..answering.answers import Answer, NotReadyError, Question
from . import multipart, pending
from .asgi import JSON, Incoming, RefusalError, Reply
from .hosts import Serving
from .receipts import places
from .wire import Asked, Wire


class TypedDoor:
    """Handlers over whatever `host` holds at the moment of a request."""

    def __init__(self, host: Serving) -> None:
        self._host = host

    async def bare(self, incoming: Incoming) -> Reply:
        """The route of BentoML's client: the columns are the body."""
        return await self.predict(incoming, bare=True)

    async def predict(self, incoming: Incoming, bare: bool = False) -> Reply:
        """`POST /predict`."""
        engine, wire = self._host.engine, self._host.wire  # read together: a version may be swapped while this request is answered
        if engine is None:
            raise NotReadyError(self._host.fault)
        receipt = places(incoming.headers, self._host.receipt)
        asked = _asked(wire, incoming, bare)
        answer = await engine.answer(made(Question, (asked.wire, incoming.arrived, asked.entity, asked.event_ms, None, 0.0)))
        body = orjson.dumps(_body(wire, answer, asked, receipt.body), option=orjson.OPT_SERIALIZE_NUMPY)
        return made(Reply, (200, body, JSON, pending.headers(answer) if receipt.headers else (), "", (), answer))


def _body(wire: Wire, answer: Answer, asked: Asked, receipt: bool) -> dict[str, Any]:
    """The answer as JSON-ready data: outputs, what waits for a person, receipt where it is wanted, and flags where there are any."""
    known = answer.text if asked.form == "inputs" and answer.pending is None else None
    data: dict[str, Any] = {"outputs": wire.write(answer.outputs, asked.form) if known is None else orjson.Fragment(known)}
    if (waits := answer.pending) is not None:
        one, outputs = asked.form == "row", data["outputs"]
        told = pending.one_withheld(outputs, waits) if one else pending.withheld(outputs, waits, wire.signature)
        data = {"outputs": told, **pending.status(waits, one)}
    if receipt:
        text = answer.receipt.text()
        data["receipt"] = answer.receipt.to_dict() if text is None else orjson.Fragment(text)
    return {**data, "flags": [flag._asdict() for flag in answer.flags]} if answer.flags else data


def _asked(wire: Wire, incoming: Incoming, bare: bool) -> Asked:
    kind = incoming.headers.get(b"content-type", JSON)
    try:
        if kind == JSON:  # as most say it
            return wire.read_json(incoming.body, bare)
        media = kind.split(b";", 1)[0].strip().lower()
        if media == b"multipart/form-data" and not bare:
            return wire.read_parts(multipart.parse(bytes(incoming.body), kind))
        if media == JSON or media.endswith(b"+json"):
            return wire.read_json(incoming.body, bare)
    except orjson.JSONDecodeError as error:
        raise RefusalError(400, InputError(f"The body is not JSON: {error}", field="body")) from error
    except FormatError as error:
        raise RefusalError(400, InputError(error.what, field="body", got=error.got, expected=error.expected)) from error
    shown = media[:60].decode("latin-1")
    raise RefusalError(415, InputError("The content type is not one this route takes", field="content-type", got=shown,
                                       expected="application/json or multipart/form-data",
                                       fix="With curl: -H 'Content-Type: application/json' beside -d, or -F FIELD=@FILE."))  # fmt: skip
