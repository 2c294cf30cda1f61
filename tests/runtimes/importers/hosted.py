"""A file whose functions travel as host stages."""

import numpy as np

PUNCTUATION = ".,!?"


def clean_text(text):
    """Length and share of capitals of each string: (batch, 2) float32."""
    cleaned = [str(item).strip(PUNCTUATION) for item in text]
    return np.array([[len(item), sum(map(str.isupper, item)) / max(len(item), 1)] for item in cleaned], np.float32)


def two_features(text, weight):
    """Named features."""
    lengths = np.array([len(item) for item in text], np.float64)
    return {"length": lengths * weight, "ids": np.arange(len(text))}


def clashing(text):
    """Returns a value under its input's name."""
    return {"text": np.array([len(item) for item in text])}


def whole_model(text, scale=2.0):
    """A model that is Python."""
    return {"score": np.array([len(item) * scale for item in text], np.float32), "words": np.array([len(item.split()) for item in text])}


def broken(text):
    """Fails."""
    return text["missing"]
