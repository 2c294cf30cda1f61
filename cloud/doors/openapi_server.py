"""One OpenAPI document of a server: the typed routes of its deployments, and the Open Inference Protocol beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .oip_tensors import DATATYPES

_TEXT: dict[str, Any] = {"type": "string"}
_TENSOR = {
    "type": "object", "required": ["name", "datatype", "shape"],
    "properties": {
        "name": _TEXT, "datatype": {"enum": list(DATATYPES)}, "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "parameters": {"type": "object"}, "data": {"type": "array", "description": "flat, row by row, or nested as the shape"},
    },
}  # fmt: skip
_INFERENCE = {
    "type": "object", "required": ["inputs"],
    "properties": {
        "id": _TEXT, "parameters": {"type": "object", "description": "entity, event_ms, binary_data_output"},
        "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
        "outputs": {"type": "array", "items": {"type": "object", "required": ["name"], "properties": {"name": _TEXT}}},
    },
}  # fmt: skip
_INFERRED = {
    "type": "object", "required": ["model_name", "model_version", "outputs"],
    "properties": {"model_name": _TEXT, "model_version": _TEXT, "id": _TEXT, "parameters": {"type": "object"},
                   "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}}},
}  # fmt: skip
SCHEMAS = {"Tensor": _TENSOR, "Inference": _INFERENCE, "Inferred": _INFERRED}


def whole(documents: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """The document of a server.

    Args:
        documents: (deployment's name, what `describe` made of it), the first one first.

    `/predict` is the first deployment's; where there are several, each stands at `/predict/NAME` too.
    """
    first = documents[0][1]
    models = [model for _, document in documents for model in document["info"].get("x-portside-models", ())]
    paths, schemas = dict(first["paths"]), {**first["components"]["schemas"], **SCHEMAS}
    for name, document in documents:
        if len(documents) > 1:
            paths[f"/predict/{name}"] = {"post": {**document["paths"]["/predict"]["post"], "operationId": f"predict-{name}"}}
        paths |= _model_paths(name)
        schemas |= {key: schema for key, schema in document["components"]["schemas"].items() if key not in schemas}
    return {**first, "info": {**first["info"], "x-portside-models": models}, "paths": {**paths, **_SERVER_PATHS},
            "components": {**first["components"], "schemas": schemas}}  # fmt: skip


def _model_paths(name: str) -> dict[str, Any]:
    root = f"/v2/models/{name}"
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Inference"}}}}
    infer = _operation("Infer (Open Inference Protocol v2)", f"infer-{name}", {"$ref": "#/components/schemas/Inferred"}, refusals=True)
    return {
        root: {"get": _operation("Inputs and outputs", f"metadata-{name}")}, f"{root}/ready": {"get": _operation("Ready", f"ready-{name}")},
        f"{root}/infer": {"post": {**infer, "requestBody": body}},
    }  # fmt: skip


def _operation(summary: str, name: str, schema: dict[str, Any] | None = None, refusals: bool = False) -> dict[str, Any]:
    statuses = _REFUSALS if refusals else {"503": _REFUSALS["503"]}
    answer = {"description": summary + ".", "content": {"application/json": {"schema": schema or {"type": "object"}}}}
    return {"summary": summary, "operationId": name, "responses": {"200": answer, **statuses}}


_REFUSAL = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
_REFUSALS = {str(status): {"description": why, "content": _REFUSAL} for status, why in {
    400: "The body cannot be parsed.", 413: "The body is too large.", 415: "An unknown content encoding.",
    422: "The request was parsed and refused.", 503: "Nothing could answer."}.items()}  # fmt: skip
_INDEX = {"type": "array", "items": {"type": "object", "required": ["name", "version", "state"]}}
_SERVER_PATHS = {
    "/v2": {"get": _operation("The server", "server")}, "/v2/health/live": {"get": _operation("The process is alive", "live")},
    "/v2/health/ready": {"get": _operation("Every model is ready", "ready")},
    "/v2/repository/index": {"post": _operation("Every model and version", "index", _INDEX)},
}  # fmt: skip
