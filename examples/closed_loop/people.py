"""Those who decide. No people take part: true labels, of which 3% are turned round at random, stand in for them.

They work as people do at /review: an item is leased, its picture is fetched and looked at (its bytes say which cell it is), a decision is
sent. Each decision takes a while, so that a queue builds up when much is asked.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping

import numpy as np
from plant import NAME, Plant

ERR = 0.03
"""Share of decisions that are wrong."""
NAMES = ("ana", "ben")


class People:
    """Two reviewers in threads.

    Args:
        cells: sha256 of a picture -> (cell, its true label).
        each_s: how long a decision takes.
    """

    def __init__(self, plant: Plant, cells: Mapping[str, tuple[int, int]], each_s: float, seed: int = 0) -> None:
        self._plant, self._cells, self._each_s = plant, cells, each_s
        self._turned = np.random.default_rng([seed, 3]).random(1 + max((cell for cell, _ in cells.values()), default=0)) < ERR
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(name,), daemon=True) for name in NAMES]
        self.decided: dict[int, int] = {}
        self.refused = 0

    def __enter__(self) -> People:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def says(self, cell: int, truth: int) -> int:
        """What they say of a cell, always the same."""
        return 1 - truth if self._turned[cell] else truth

    def _work(self, name: str) -> None:
        while not self._stop.is_set():
            status, given = self._plant.call("/v1/reviews/lease", {"reviewer": name, "seat": name, "want": 2, "deployment": NAME})
            items = given.get("items", []) if status == 200 else []
            for item in items:
                began = time.monotonic()
                self._decide(name, item["id"])
                self._stop.wait(max(0.0, self._each_s - (time.monotonic() - began)))
            if not items:
                self._stop.wait(0.25)

    def _decide(self, name: str, review: str) -> None:
        status, picture = self._plant.fetch(f"/v1/reviews/{review}/files/0")
        known = self._cells.get(hashlib.sha256(picture).hexdigest()) if status == 200 else None
        if known is None:
            self.refused += 1
            return
        cell, truth = known
        status, _ = self._plant.call(f"/v1/reviews/{review}/decide",
                                     {"reviewer": name, "seat": name, "values": {"label": self.says(cell, truth)}})  # fmt: skip
        if status == 200:
            self.decided[cell] = self.decided.get(cell, 0) + 1
        else:
            self.refused += 1
