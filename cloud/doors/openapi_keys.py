"""What the OpenAPI document says of a server that asks for keys: how a key is sent, which routes need one, how a refusal reads."""

from __future__ import annotations

from typing import Any

from ..security.access import needed

_REFUSAL = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
_CHALLENGE = {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "What is missing."}}
_RETRY = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
RESPONSES = {
    "401": {"description": "No key that counts.", "headers": _CHALLENGE, "content": _REFUSAL},
    "403": {"description": "A key for something else.", "headers": _CHALLENGE, "content": _REFUSAL},
    "429": {"description": "This key, or everybody together, asks too much.", "headers": _RETRY, "content": _REFUSAL},
}
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key that `portside keys new` made."},
    "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}


def with_keys(document: dict[str, Any]) -> dict[str, Any]:
    """The document with security schemes, and what each route needs."""
    paths = {path: {method: _guarded(path, method, held) for method, held in told.items()} for path, told in document["paths"].items()}
    held = document["components"]
    components = {**held, "securitySchemes": {**held.get("securitySchemes", {}), **SCHEMES}}
    return {**document, "paths": paths, "components": components, "security": [{"bearer": []}, {"header": []}]}


def _guarded(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    scopes = needed(path, method.upper())
    if scopes is None:
        return {"security": [], **operation}  # a device's key is another matter
    return {**operation, "x-portside-scope": scopes[0], "responses": {**RESPONSES, **operation["responses"]}}
