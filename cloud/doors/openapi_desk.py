"""The routes of a desk in the OpenAPI document: records, labels, how a review stands, what devices send.

The data of its pages is theirs, and not promised.
"""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_VALUES = "Output -> what was right: a code or a name of a category, a number."
_SAME = "The same id twice is one label. A UUIDv7, or any text beside at_ms."
_BEFORE = "`next` of the page before."
_MOMENT = {"type": "integer", "minimum": 0, "maximum": 1 << 53, "description": "Unix milliseconds."}
_STATES = ["any", "labelled", "unlabelled", "wrong", "right", "flagged", "late", "fallback", "unanswered"]
_LABEL = {
    "type": "object", "required": ["record", "values"], "additionalProperties": False,
    "properties": {
        "id": {**_TEXT, "maxLength": 64, "description": _SAME},
        "record": {**_TEXT, "minLength": 1, "maxLength": 64}, "row": {"type": "integer", "minimum": 0, "maximum": (1 << 53) - 1},
        "values": {"type": "object", "minProperties": 1, "description": _VALUES},
        "author": {**_TEXT, "maxLength": 100, "description": "Needed where there are no keys; with keys it is whose key it is."},
        "at_ms": _MOMENT, "source": {"enum": ["api", "import"]}, "note": {**_TEXT, "maxLength": 2000},
    },
}  # fmt: skip
SCHEMAS = {"Label": _LABEL}


def with_desk(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the desk's routes and schemas."""
    held = document["components"]
    components = {**held, "schemas": {**held["schemas"], **SCHEMAS}, "securitySchemes": {**held.get("securitySchemes", {}), **DEVICES}}
    return {**document, "paths": {**document["paths"], **PATHS}, "components": components}


def _asked(name: str, schema: dict[str, Any], about: str = "") -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, **({"description": about} if about else {})}


def _answered(summary: str, name: str, properties: dict[str, Any], *refusals: int,
              parameters: list[dict[str, Any]] | None = None) -> dict[str, Any]:  # fmt: skip
    schema = {"type": "object", "required": list(properties), "properties": properties}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    refused = {str(status): {"description": _WHY[status], "content": content} for status in (*refusals, 403, 503)}
    answer = {"description": f"{summary}.", "content": {"application/json": {"schema": schema}}}
    asked = {"parameters": parameters} if parameters else {}
    return {"summary": summary, "operationId": name, **asked, "responses": {"200": answer, **refused}}


_WHY = {400: "The body cannot be parsed.", 401: "No device is known with this key.",
        403: "Not from here, or not with this key.", 404: "There is no such thing, or not for this key.",
        413: "The body is too large.", 415: "The body is of another type.", 422: "Parsed, and refused; `field` and `row` say where.",
        429: "More batches than a device may send; Retry-After says when.",
        503: "The database does not answer."}  # fmt: skip
_LIST: dict[str, Any] = {"type": "array", "items": {"type": "object"}}
_NEXT: dict[str, Any] = {"type": ["integer", "null"], "description": "Where to go on; null: there is no more."}
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_RECORDS = _answered(
    "Records, the newest first", "records", {"records": _LIST, "next": _NEXT, "scanned": {"type": "integer"}}, 422,
    parameters=[
        _asked("deployment", {**_TEXT, "maxLength": 63}), _asked("entity", {**_TEXT, "maxLength": 200}),
        _asked("model", {**_TEXT, "maxLength": 200}), _asked("reason", {**_TEXT, "maxLength": 60}), _asked("state", {"enum": _STATES}),
        _asked("value", {**_TEXT, "maxLength": 200, "pattern": "^$|="}, "field=value of an input or output"),
        _asked("since", _MOMENT), _asked("until", _MOMENT), _asked("before", {"type": "integer", "minimum": 1}, _BEFORE),
        _asked("limit", {"type": "integer", "minimum": 1, "maximum": 200}),
    ],
)  # fmt: skip
_KEPT = {"id": _TEXT, "outputs": {"type": "object"}, "receipt": {"type": "object"}, "labels": _LIST}
_RECORD = _answered("One record with its labels", "record", _KEPT, 404)
_LABELS = _answered(
    "Labels of a record, or all in the order they came", "labels", {"labels": _LIST}, 404, 422,
    parameters=[_asked("record", {**_TEXT, "maxLength": 64}), _asked("after", {"type": "integer", "minimum": 0}, _BEFORE),
                _asked("limit", {"type": "integer", "minimum": 1, "maximum": 1000})],
)  # fmt: skip
_TAKEN = {"new": {"type": "integer"}, "ids": {"type": "array", "items": _TEXT}}
_LABEL_IT = {
    **_answered("Say what was right", "label", _TAKEN, 400, 404, 413, 415, 422),
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"oneOf": [
        {"$ref": "#/components/schemas/Label"},
        {"type": "object", "required": ["labels"], "additionalProperties": False,
         "properties": {"labels": {"type": "array", "minItems": 1, "maxItems": 1000, "items": {"$ref": "#/components/schemas/Label"}}}},
    ]}}}},
}  # fmt: skip
_REVIEW = _answered("How a review stands, and what was decided", "review", {"id": _TEXT, "state": _TEXT}, 404)
_NUMBERS: dict[str, Any] = {"type": "array", "items": {"type": "integer"}}
_WANTED: dict[str, Any] = {"type": ["string", "null"], "description": "The release that the device is to run; null: nobody said."}
_SENT: dict[str, Any] = {
    "type": "object", "required": ["version", "device", "outbox", "entries"], "properties": {
        "version": {"const": 1}, "device": _TEXT, "outbox": {**_TEXT, "minLength": 1, "maxLength": 64},
        "versions": {"type": "object", "additionalProperties": _TEXT, "description": "What runs there: name -> version."},
        "dropped": {**_LIST, "description": "What it gave up: kind, reason, count."},
        "entries": {**_LIST, "maxItems": 2000, "description": "sequence, id, kind, body."}},
}  # fmt: skip
DEVICES = {"device": {"type": "http", "scheme": "bearer", "description": "A key that `portside fleet enrol` made."}}
_DEVICE = {"name": "device", "in": "path", "required": True, "schema": {**_TEXT, "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}}
_TAKE = {
    **_answered("Take what a device has to tell, each entry once; its own key lets it in", "device_batch",
                {"device": _TEXT, "outbox": _TEXT, "held": _NUMBERS, "refused": _LIST, "conflicts": _NUMBERS,
                 "highest": {"type": "integer"}, "desired": _WANTED}, 400, 401, 413, 415, 422, 429),
    "parameters": [_DEVICE], "security": [{"device": []}],
    "requestBody": {"required": True, "description": "At most 1 MiB, 8 MiB once inflated by content-encoding: gzip.",
                    "content": {"application/json": {"schema": _SENT}}},
}  # fmt: skip
PATHS: dict[str, Any] = {
    "/v1/records": {"get": _RECORDS}, "/v1/records/{id}": {"get": {**_RECORD, "parameters": [_ID]}},
    "/v1/labels": {"get": _LABELS, "post": _LABEL_IT}, "/v1/reviews/{id}": {"get": {**_REVIEW, "parameters": [_ID]}},
    "/v1/devices/{device}/batches": {"post": _TAKE},
}  # fmt: skip
