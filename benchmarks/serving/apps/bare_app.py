"""The limit: an ASGI function on uvicorn, uvloop and httptools that reads JSON, asks the engine and writes JSON. No checks at all."""

from __future__ import annotations

from typing import Any

import one_model
import orjson

session = one_model.opened()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """ASGI."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    value = body if one_model.KIND == "binary" else orjson.loads(body)["x"]
    said = orjson.dumps({"outputs": one_model.answer(session, value)}, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(said)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said})
