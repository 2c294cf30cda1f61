"""Files made by others, packed as they are: silero-vad (state, If), magika, a text-direction classifier; a wake word in TFLite."""

from __future__ import annotations

import mel
import numpy as np
from datasets import packaged, sentences, speech
from packing import Entry, folder_for, held_out

import portside as ps

WINDOW, CONTEXT = 512, 64


def silero() -> Entry:
    """silero-vad: is somebody speaking in this window of 32 ms? Its memory goes from call to call."""
    sound = speech()
    starts = range(CONTEXT, CONTEXT + 64 * WINDOW, WINDOW)
    windows = np.stack([sound[start - CONTEXT : start + WINDOW] for start in starts])
    package = ps.pack(
        packaged("silero_vad", "data/silero_vad.onnx"), name="silero", examples={"input": windows, "sr": np.int64(16000)},
        dynamic={"input": {1: "samples"}}, state={"stateN": ("state", np.zeros((2, 1, 128), np.float32))},
        licence="MIT", shareable=True, out=folder_for("silero"),
    )  # fmt: skip
    return package, None


def magika() -> Entry:
    """magika: which of 214 kinds of file is this? First and last bytes in, probabilities out."""
    rows = [_magika_bytes(text.encode()) for text in (" ".join(sentences()[i : i + 4]) for i in range(3500))]
    x = np.stack(rows)
    # On 3,000 held-out files ONNX Runtime, the reference, is up to 3.9e-4 off a float64 evaluation of the same graph (torch 5e-5), and
    # other engines are up to 6.1e-4 off ONNX Runtime: a limit below that would judge the reference's own rounding.
    package = ps.pack(packaged("magika", "models/standard_v3_3/model.onnx"), name="magika", examples={"bytes": x[:64]},
                      tolerances={"target_label": {"atol": 1e-3}}, licence="Apache-2.0", shareable=True,
                      out=folder_for("magika"))  # fmt: skip
    return package, held_out({"bytes": x[64:3064]})


def direction() -> Entry:
    """RapidOCR's classifier of turned text lines: pictures (3, 48, 192) in [-1, 1], two probabilities out."""
    generator = np.random.default_rng(0)
    coarse = generator.random((48, 3, 12, 48), np.float32)
    x = np.repeat(np.repeat(coarse, 4, 2), 4, 3) * 2 - 1
    package = ps.pack(packaged("rapidocr_onnxruntime", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx"), name="direction",
                      examples={"x": x}, licence="Apache-2.0", shareable=True, out=folder_for("direction"))  # fmt: skip
    return package, None


def wake_word() -> Entry:
    """microWakeWord's "hey jarvis", an int8 `.tflite` that remembers what it heard: is the word being said in these 30 ms?"""
    package = ps.pack(packaged("pymicro_wakeword", "models/hey_jarvis.tflite"), name="wake_word", examples=mel.frames(),
                      licence="Apache-2.0", shareable=True, out=folder_for("wake_word"))  # fmt: skip
    return package, None


def _magika_bytes(content: bytes, each: int = 1024, padding: int = 256) -> np.ndarray:
    """The first and the last `each` bytes as int32, padded with 256 where the content is shorter."""
    data = content.strip()
    first = list(data[:each]) + [padding] * max(0, each - len(data))
    last = [padding] * max(0, each - len(data)) + list(data[-each:])
    return np.array(first + last, np.int32)
