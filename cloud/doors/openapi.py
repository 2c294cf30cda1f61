"""OpenAPI 3.1 of the doors, made from the codec's wire fields and the signature: what is typed there is typed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...sdk.core.codec.step import WireField
from ...sdk.core.signature import NUMPY, Signature, TensorSpec

_KINDS = {"f": "number", "i": "integer", "u": "integer", "b": "boolean", "O": "string"}


def describe(name: str, fields: Mapping[str, WireField], signature: Signature, version: str,
             models: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:  # fmt: skip
    """The document.

    Args:
        name: of the deployment.
        fields: wire fields by name.
        signature: the champion's.
        version: of the champion, for `info`.
        models: what stands behind the doors, champion first, see `ResolvedModel.about`; said as `info.x-portside-models`.
    """
    inputs = {spec.name: spec for spec in signature.inputs}
    columns = {key: _column(wire, inputs.get(key)) for key, wire in fields.items()}
    single = {key: _value(wire, inputs.get(key)) for key, wire in fields.items()}
    required = [key for key in fields if key not in inputs or inputs[key].required]
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": version, "description": "Served by Portside. Every answer carries a receipt.",
                 "x-portside-models": [dict(model) for model in models]},
        "paths": {
            "/predict": {"post": _predict(fields, columns, single, required, signature)},
            "/livez": {"get": _plain("The process is alive.")}, "/readyz": {"get": _plain("The models are loaded and warm.")},
            "/metrics": {"get": _plain("Prometheus metrics.")},
        },
        "components": {"schemas": {"Receipt": _RECEIPT, "Refusal": _REFUSAL}},
    }  # fmt: skip


def _predict(fields: Mapping[str, WireField], columns: dict[str, Any], single: dict[str, Any], required: list[str],
             signature: Signature) -> dict[str, Any]:  # fmt: skip
    beside = {"entity": {"type": "string", "minLength": 1, "maxLength": 256}, "event_ms": {"type": "integer", "minimum": 0}}
    row = _object(single, required)
    forms = [
        _object({"inputs": _object(columns, required), **beside}, ["inputs"]),
        _object({"row": row, **beside}, ["row"]),
        _object({"rows": {"type": "array", "minItems": 1, "items": row}, **beside}, ["rows"]),
    ]
    parts = {key: {"type": "string", "contentMediaType": "image/*"} if wire.type == "image" else {} for key, wire in fields.items()}
    content = {"application/json": {"schema": {"oneOf": forms}}, "multipart/form-data": {"schema": {"type": "object", "properties": parts}}}
    refusals = {str(status): _refusal(why) for status, why in _STATUS.items()}
    return {
        "summary": "Answer a batch, rows, or one row", "operationId": "predict", "parameters": [_RECEIPT_PLACE],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _json("The answer.", _answer(signature)), **refusals},
    }  # fmt: skip


def _answer(signature: Signature) -> dict[str, Any]:
    """Outputs mirror the form of the request."""
    single = {spec.name: _tensor(spec, _row_shape(spec)) for spec in signature.outputs}
    columns = {spec.name: _tensor(spec, list(spec.shape)) for spec in signature.outputs}
    row = _object(single, list(single))
    outputs = {"anyOf": [_object(columns, list(columns)), row, {"type": "array", "items": row}]}
    receipt = {"$ref": "#/components/schemas/Receipt"}
    flags = {"type": "array", "items": {"type": "object"}}
    waits = {"status": {"const": "pending", "description": "A person has yet to decide; absent where the answer stands."},
             "review": {"anyOf": [_TEXT, {"type": "array", "items": {"type": ["string", "null"]}}],
                        "description": "Ask GET /v1/reviews/{id} for the decision; by row, null where that is decided."}}  # fmt: skip
    return _object({"outputs": outputs, "receipt": receipt, "flags": flags, **waits}, ["outputs"])


def _column(wire: WireField, spec: TensorSpec | None) -> dict[str, Any]:
    if wire.type == "tensor" and spec is not None:
        return _tensor(spec, list(spec.shape))
    return {"type": "array", "minItems": 1, "items": _value(wire, spec)}


def _value(wire: WireField, spec: TensorSpec | None) -> dict[str, Any]:
    """One row's value of a field."""
    if wire.type == "tensor" and spec is not None:
        return _tensor(spec, _row_shape(spec))
    kind = "number" if wire.type == "number" else "string"
    data: dict[str, Any] = {"type": [kind, "null"] if wire.missing else kind}
    if wire.type == "image":
        data |= {"contentEncoding": "base64", "description": "base64 of an image file"}
    if wire.categories:
        data["examples"] = list(wire.categories[:8])
        data["description"] = "known: " + ", ".join(wire.categories[:32])
    return data


def _row_shape(spec: TensorSpec) -> list[int | str]:
    return [size for axis, size in enumerate(spec.shape) if axis != spec.batch_axis]


def _tensor(spec: TensorSpec, sizes: list[int | str]) -> dict[str, Any]:
    """Nested arrays of one element type; fixed sizes are fixed."""
    if spec.categories is not None:
        data: dict[str, Any] = {"type": ["integer", "string", "null"]}
    else:
        kind = _KINDS[NUMPY[spec.dtype].kind]
        data = {"type": [kind, "null"] if spec.missing or kind == "number" else kind}
    if spec.unit:
        data["description"] = f"in {spec.unit}"
    for size in reversed(sizes):
        fixed = {"minItems": size, "maxItems": size} if isinstance(size, int) else {"minItems": 1}
        data = {"type": "array", "items": data, **fixed}
    return data


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _json(about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": about, "content": {"application/json": {"schema": schema}}}


def _refusal(why: str) -> dict[str, Any]:
    return _json(why, {"$ref": "#/components/schemas/Refusal"})


def _plain(about: str) -> dict[str, Any]:
    text = {"description": about, "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {"summary": about, "responses": {"200": text, "503": _refusal("Not ready.")}}


_STATUS = {400: "The body cannot be parsed.", 413: "The body is too large.", 415: "Neither JSON nor a form.",
           422: "The request was parsed and refused; `field` and `row` say where.",
           429: "Busy; `Retry-After` says when there may be room.", 503: "Nothing could answer."}  # fmt: skip
_RECEIPT_PLACE = {"name": "x-portside-receipt", "in": "header", "description": "Where the receipt goes.",
                  "schema": {"enum": ["both", "body", "headers", "none"]}}  # fmt: skip
_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
_RECEIPT = {
    "type": "object", "required": ["model", "version", "target", "entry", "reason", "time_ms"],
    "properties": {
        "model": _TEXT, "version": _TEXT, "target": _TEXT, "entry": {"type": "integer"}, "reason": _TEXT,
        "attempts": {"type": "array", "items": _TEXT}, "time_ms": _NUMBER, "model_ms": _NUMBER,
        "deadline_ms": {"type": ["number", "null"]}, "within_deadline": {"type": "boolean"}, "stale": {"type": "boolean"},
        "record": _TEXT, "age_ms": {"type": ["number", "null"]},
    },
}  # fmt: skip
_REFUSAL = {
    "type": "object", "required": ["error", "what"],
    "properties": {"error": _TEXT, "what": _TEXT, "field": _TEXT, "row": {"type": "integer"}, "got": {}, "expected": {}, "fix": _TEXT,
                   "receipt": {"$ref": "#/components/schemas/Receipt"}},
}  # fmt: skip
