"""The zoo: real models of every family that Portside packs. `portside verify --targets onnx-cpu examples/zoo` proves them."""

from __future__ import annotations

from collections.abc import Callable

import networks
import pipelines
import third_party
from packing import Entry

PACKAGES: dict[str, Callable[[], Entry]] = {
    "mlp": networks.mlp,
    "cnn": networks.cnn,
    "efficientnet": networks.efficientnet,
    "minilm": networks.minilm,
    "table": networks.table,
    "logistic": pipelines.logistic,
    "forest": pipelines.forest,
    "boosting": pipelines.boosting,
    "gradient": pipelines.gradient,
    "perceptron": pipelines.perceptron,
    "regressor": pipelines.regressor,
    "silero": third_party.silero,
    "magika": third_party.magika,
    "direction": third_party.direction,
    "wake_word": third_party.wake_word,
}
