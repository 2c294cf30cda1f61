"""Items for tests: small, of every kind, with ids that sort as they are numbered."""

from __future__ import annotations

import numpy as np

from portside.cloud.review.item import Candidate, Item
from portside.cloud.review.media import png, wav
from portside.cloud.review.payload import Sound
from portside.sdk.core.records import uuid7

NOW = 1_800_000_000_000
TWO = (Candidate(1, "bad", 0.6), Candidate(0, "good", 0.4))
PIXELS = (np.indices((60, 80)).sum(0) * 2 % 256).astype(np.uint8)


def cell(seed: int = 1, size: int = 300) -> np.ndarray:
    """Something like a solar cell seen in its own light: grains, bus bars, and a crack."""
    chance = np.random.default_rng(seed)
    rows, columns = np.indices((size, size)) / size
    corners = chance.random((60, 3))
    grains = corners[np.argmin([(rows - y) ** 2 + (columns - x) ** 2 for y, x, _ in corners], axis=0), 2]
    light = 0.45 + 0.3 * grains + 0.15 * np.sin(rows * 3 + 0.4) + chance.normal(0, 0.025, (size, size))
    crack = np.abs(rows - 0.25 - 0.5 * columns - 0.02 * np.sin(columns * 40)) < 0.006
    bars = (np.abs(rows - 0.34) < 0.012) | (np.abs(rows - 0.67) < 0.012)
    edge = np.minimum(np.minimum(rows, 1 - rows), np.minimum(columns, 1 - columns)) < 0.01
    light = np.where(crack & (columns > 0.2) & (columns < 0.85), 0.12, np.where(bars, 0.2, np.where(edge, 0.1, light)))
    return (np.clip(light, 0, 1) * 255).astype(np.uint8)


PICTURE = png(PIXELS)
TONE = Sound(np.sin(np.arange(8000) / 8).astype(np.float32) * 0.5, 8000)


def number(place: int, kind: int = 1) -> str:
    """A UUIDv7 that sorts by `place`."""
    return uuid7(NOW + place, bytes([kind] * 10))


def item(place: int, **more) -> Item:
    """The item number `place`; the higher, the more pressing."""
    values = {"priority": float(place), "output": "label", "candidates": TWO, "payload": {"size": place}, "created_ms": NOW, "model": 1}
    return Item(number(place), number(place, 2), 0, more.pop("deployment", "cells"), **{**values, **more})


def of_every_kind() -> list[Item]:
    """Five items: a picture, a row of a table, a text, a sound, and one whose answer may be typed."""
    many = tuple(Candidate(*one) for one in ((2, "crack", 0.4), (0, "fine", 0.35), (1, "dark", 0.2), (3, "other", 0.05)))
    row = {"cell": "poly", "age_years": 12.5, "inverter": "A-17", "irradiance": [0.1, 0.4, 0.9, 0.8, 0.7, 0.3, 0.2, 0.1], "serviced": None}
    text = "Dear customer,\n\nyou have won. Send us your bank details and a copy of your passport, and the prize is yours within a day."
    return [
        item(5, payload={"photo": png(cell()), "cell": "poly"}, candidates=many),
        item(4, payload=row),
        item(3, payload={"mail": text}, reason="check", selection=0.05),
        item(2, payload={"speech": TONE}),
        item(1, payload={"size": 4}, candidates=(Candidate(12.0, "12"),), output="price"),
    ]


__all__ = ["NOW", "PICTURE", "PIXELS", "TONE", "TWO", "cell", "item", "number", "of_every_kind", "wav"]
