"""BentoML as its documentation shows it, nothing switched off but its usage report."""

from __future__ import annotations

import os

import bentoml
import numpy as np
import one_model


@bentoml.service(threads=int(os.environ.get("BENCH_THREADS", "1")))
class Stock:
    """The model behind one typed route."""

    def __init__(self) -> None:
        self.session = one_model.opened()

    @bentoml.api
    def predict(self, x: np.ndarray) -> np.ndarray:
        """Ask the engine."""
        return one_model.answer(self.session, x)
