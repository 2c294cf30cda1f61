"""A model with a memory behind the server: the caller carries the state from answer to request, and gets the session's sequence."""

import json
import wave
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import started as servers

import portside as ps

DEPLOYMENT = """name = "voice"

[champion]
package = "silero"
isolation = "thread"

[server]
max_body_mb = 2
"""
WINDOW, CONTEXT = 512, 64


def inside(package, path):
    return Path(find_spec(package).submodule_search_locations[0]) / path


@pytest.mark.slow
def test_state_goes_with_the_caller(tmp_path):
    with wave.open(str(inside("pyannote.audio", "sample/sample.wav"))) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    windows = np.stack([sound[start - CONTEXT : start + WINDOW] for start in range(CONTEXT, CONTEXT + 48 * WINDOW, WINDOW)])
    package = ps.pack(inside("silero_vad", "data/silero_vad.onnx"), name="silero", examples={"input": windows, "sr": np.int64(16000)},
                      dynamic={"input": {1: "samples"}}, state={"stateN": ("state", np.zeros((2, 1, 128), np.float32))},
                      out=tmp_path / "silero")  # fmt: skip
    (tmp_path / "deployment.toml").write_text(DEPLOYMENT)
    session, state, told = ps.load(ps.compile(package, out=tmp_path / "artifact")), {}, {}
    outputs, window = {}, windows[0]
    with servers.serving(servers.SERVE, tmp_path) as server:
        for window in windows[:12]:
            expected = session.run({"input": window[None], "sr": np.int64(16000), **state})
            status, body, _ = server.call(data={"inputs": {"input": window[None].tolist(), "sr": 16000, **told}})
            assert status == 200, body
            outputs = json.loads(body)["outputs"]
            assert np.allclose(outputs["output"], expected["output"], atol=1e-6)
            state, told = {"state": expected["stateN"]}, {"state": outputs["stateN"]}
        fresh = session.run({"input": window[None], "sr": np.int64(16000)})["output"]
        assert not np.allclose(outputs["output"], fresh, atol=1e-6), "the memory matters"


def test_a_native_file_with_a_memory_is_served(tmp_path):
    golden = Path(__file__).resolve().parents[1] / "golden" / "v2"
    (tmp_path / "deployment.toml").write_text(f'name = "sums"\n[champion]\npackage = "{golden}"\ntarget = "tflite"\nisolation = "thread"\n')
    frames, told, total = [[1.0, 2.0, 3.0, 4.0], [0.5, 0.5, 0.5, 0.5], [-1.0, 0.0, 1.0, 2.0]], {}, np.full(4, 0.5)
    with servers.serving(servers.SERVE, tmp_path) as server:
        for frame in frames:
            total = total + frame
            status, body, _ = server.call(data={"row": {"frame": frame, **told}})
            assert status == 200, body
            outputs = json.loads(body)["outputs"]
            assert outputs["answer"] == (total / 2).tolist()
            told = {"held": outputs["held_next"]}
