"""Mel features of the speech recording, as wake word models read them: three steps of 10 ms at a time, quantised to int8.

A plain mel filterbank stands in for the device's own front end, which also subtracts noise and controls its gain: the
numbers are lifelike, and nobody should measure how well a wake word is recognised with them.
"""

from __future__ import annotations

import numpy as np
from datasets import speech
from numpy.typing import NDArray

RATE, WINDOW, STEP, POINTS = 16_000, 480, 160, 512
BANDS, LOWEST, HIGHEST = 40, 125.0, 7500.0
SCALE, ZERO = 0.10196079, -128
TOP = 26.0
"""Largest feature of such front ends: 255 steps of `SCALE`."""


def frames(steps: int = 3) -> NDArray[np.int8]:
    """Consecutive frames of the whole recording: (frames, `steps`, 40) int8, one frame per `steps` x 10 ms."""
    spread = quantised(log_energies(speech()))
    whole = len(spread) // steps * steps
    return spread[:whole].reshape(-1, steps, BANDS)


def log_energies(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """(steps, 40): log of the energy in each band, per window of 30 ms."""
    windows = np.lib.stride_tricks.sliding_window_view(sound * 32768.0, WINDOW)[::STEP] * np.hanning(WINDOW)
    energies = np.abs(np.fft.rfft(windows, POINTS)) ** 2 @ filterbank().T
    return np.log1p(np.sqrt(energies))


def filterbank() -> NDArray[np.float64]:
    """(40, 257) triangles of equal width on the mel scale, which overlap by half."""
    low, high = 1127 * np.log1p(LOWEST / 700), 1127 * np.log1p(HIGHEST / 700)
    edges = 700 * np.expm1(np.linspace(low, high, BANDS + 2) / 1127)[:, None]
    pitch = np.arange(POINTS // 2 + 1) * RATE / POINTS
    rising, falling = (pitch - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - pitch) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None)


def quantised(energies: NDArray[np.float64]) -> NDArray[np.int8]:
    """Energies spread over the models' range, from the quietest to the loudest of the recording."""
    low, high = energies.min(), energies.max()
    spread = (energies - low) / (high - low) * TOP
    return np.clip(np.round(spread / SCALE) + ZERO, -128, 127).astype(np.int8)
