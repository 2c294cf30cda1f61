# pyright: reportMissingImports=false
"""FastAPI as its documentation shows it, on uvicorn with uvloop and httptools: `async def` on the loop, `def` in its thread pool."""

from __future__ import annotations

from typing import Any

import one_model
from fastapi import FastAPI, Request
from pydantic import BaseModel

app, session = FastAPI(), one_model.opened()


class Question(BaseModel):
    """One request."""

    x: list[list[float]]


class Picture(BaseModel):
    """One picture."""

    image: str


@app.post("/predict")
async def predict(question: Question) -> dict[str, Any]:
    """On the event loop: right for a model of microseconds."""
    return {"outputs": one_model.answer(session, question.x).tolist()}


@app.post("/threads")
def threads(question: Question) -> dict[str, Any]:
    """In the thread pool: right for a model of milliseconds."""
    return {"outputs": one_model.answer(session, question.x).tolist()}


@app.post("/picture")
def picture(question: Picture) -> dict[str, Any]:
    """In the thread pool, decoding included."""
    return {"outputs": one_model.answer(session, question.image).tolist()}


@app.post("/binary")
async def binary(request: Request) -> dict[str, Any]:
    """Raw float32 bytes."""
    return {"outputs": one_model.answer(session, await request.body()).tolist()}
