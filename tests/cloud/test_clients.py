"""Clients that others wrote, unchanged, against a served process with several deployments: Triton's, KServe's, BentoML's, curl."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import started as servers
import wired

CLIENTS = Path(__file__).parents[1] / "clients"
SERVE = [sys.executable, "-c", "from portside.cloud.serving import serve; serve('a.toml', 'b.toml', 'c.toml', port={port})"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all clients; its first request is answered only when all of its models are ready."""
    folder = wired.deployments(tmp_path_factory.mktemp("served"))
    with servers.serving(SERVE, folder, {"PORTSIDE_HOME": str(folder / "home")}) as running:
        yield running
        assert "Traceback" not in running.log.read_text()


@pytest.fixture
def triton(server):
    http = pytest.importorskip("tritonclient.http")
    client = http.InferenceServerClient(f"127.0.0.1:{server.port}")
    yield client
    client.close()


def tensor(name, array, binary, datatype=None):
    import tritonclient.http as http
    from tritonclient.utils import np_to_triton_dtype

    held = http.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
    held.set_data_from_numpy(array, binary_data=binary)
    return held


def picture(value):
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (4, 4), (value,) * 3).save(file, "PNG")
    return file.getvalue()


def test_tritons_client_sees_models_and_versions(triton):
    assert triton.is_server_live() and triton.is_server_ready()
    assert triton.get_server_metadata()["name"] == "portside"
    assert triton.is_model_ready("wired") and not triton.is_model_ready("nope")
    versions = triton.get_model_metadata("cell-inspector")["versions"]
    assert len(versions) == 2 and all(triton.is_model_ready("cell-inspector", version) for version in versions)
    assert [held["name"] for held in triton.get_model_repository_index()] == ["wired", "cell-inspector", "cell-inspector"]
    inputs = {held["name"]: (held["datatype"], held["shape"]) for held in triton.get_model_metadata("wired")["inputs"]}
    assert inputs == {"photo": ("BYTES", [-1]), "colour": ("BYTES", [-1]), "size": ("FP32", [-1, 2])}


@pytest.mark.parametrize("squeeze", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_asks_several_inputs(triton, binary, squeeze):
    import base64

    import tritonclient.http as http

    photo = picture(60)
    photos = np.array([photo if binary else base64.b64encode(photo)] * 2, object)
    inputs = [
        tensor("photo", photos, binary), tensor("colour", np.array([b"red", b"blue"], object), binary),
        tensor("size", np.array([[1, 1], [1, 0]], np.float32), binary),
    ]  # fmt: skip
    outputs = [http.InferRequestedOutput("name", binary_data=binary), http.InferRequestedOutput("mean", binary_data=not binary)]
    answer = triton.infer("wired", inputs, outputs=outputs, request_id="seven", request_compression_algorithm=squeeze,
                          response_compression_algorithm=squeeze, parameters={"entity": "cell"})  # fmt: skip
    assert answer.as_numpy("mean").tolist() == [120.0, 60.0]
    assert [name if isinstance(name, str) else name.decode() for name in answer.as_numpy("name")] == ["large", "small"]
    head = answer.get_response()
    assert (head["id"], head["model_name"], head["parameters"]["reason"]) == ("seven", "wired", "primary")


def test_tritons_client_chooses_a_version_and_reads_refusals(triton):
    from tritonclient.utils import InferenceServerException

    inputs = [tensor("x", np.array([[1, 2, 3]], np.float32), True)]
    versions = triton.get_model_metadata("cell-inspector")["versions"]
    answers = [triton.infer("cell-inspector", inputs, model_version=version) for version in ("", *versions)]
    assert [answer.get_response()["model_version"] for answer in answers] == [versions[0], *versions]
    assert all(answer.as_numpy("label").tolist() == [b"bad"] for answer in answers)
    with pytest.raises(InferenceServerException, match="'x'"):
        triton.infer("cell-inspector", [tensor("x", np.zeros((1, 2), np.float32), True)])
    with pytest.raises(InferenceServerException, match="no such model"):
        triton.infer("nope", inputs)


def test_tritons_client_without_waiting(triton):
    inputs = [tensor("x", np.array([[1, 2, 3]], np.float32), True)]
    waiting = [triton.async_infer("cell-inspector", inputs) for _ in range(8)]
    assert all(one.get_result(timeout=20).as_numpy("score").shape == (1,) for one in waiting)


def test_every_deployment_at_its_own_path(server):
    row = {"row": {"x": [1, 2, 3]}}
    for path in ("/predict/cell-inspector", "/v2/health/ready", "/readyz", "/openapi.json", "/metrics"):
        assert server.call(path, data=row if "predict" in path else None)[0] == 200
    assert server.call("/predict", data=row)[0] == 422, "the first deployment takes other fields"
    body = json.loads(server.call("/v2/repository/index", data={})[1])
    assert [held["state"] for held in body] == ["READY"] * 3
    assert b'portside_requests_total{deployment="cell-inspector"' in server.call("/metrics")[1]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_sends_json_files_and_raw_tensors(server, tmp_path):
    def curl(*words):
        ran = subprocess.run(["curl", "-s", "--max-time", "20", *words], capture_output=True, check=True)
        return ran.stdout

    address = f"http://127.0.0.1:{server.port}"
    (tmp_path / "a.png").write_bytes(picture(60))
    said = json.loads(curl("-F", f"photo=@{tmp_path}/a.png", "-F", "colour=red", "-F", "size=[1, 1]", f"{address}/predict"))
    assert said["outputs"] == {"mean": 120.0, "name": "large"}
    head = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}]}).encode()
    (tmp_path / "body").write_bytes(head + np.array([1, 2, 3], np.float32).tobytes())
    said = json.loads(curl("-H", f"Inference-Header-Content-Length: {len(head)}", "-H", "Content-Type: application/octet-stream",
                           "--data-binary", f"@{tmp_path}/body", f"{address}/v2/models/cell-inspector/infer"))  # fmt: skip
    assert said["outputs"][0]["data"] == ["bad"]
    plain = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [[1, 2, 3]]}]})
    assert json.loads(curl("-d", plain, f"{address}/v2/models/cell-inspector/infer"))["outputs"][0]["data"] == ["bad"]


@pytest.mark.slow
@pytest.mark.long
def test_bentomls_client_calls_each_by_its_name(server):
    """In a process of its own: the client leaves a folder behind."""
    code = (
        f"import bentoml, json\nwith bentoml.SyncHTTPClient('http://127.0.0.1:{server.port}') as client:\n"
        "    print(json.dumps(client.cell_inspector(x=[[1, 2, 3], [-4, -4, -4]])))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout.splitlines()[-1])["outputs"]["label"] == ["bad", "good"]


@pytest.fixture(scope="module")
def kserve():
    """The interpreter of an environment that holds KServe's client; made once, inside our own environment."""
    folder, wanted = Path(sys.prefix) / "clients" / "kserve", (CLIENTS / "kserve.txt").read_text()
    python, done = folder / "bin" / "python", folder / "installed.txt"
    if not done.exists() or done.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", "-r", CLIENTS / "kserve.txt"], check=True, timeout=280)
        done.write_text(wanted)
    return python


@pytest.mark.slow
@pytest.mark.long
def test_kserves_client(server, kserve):
    words = [kserve, CLIENTS / "ask_with_kserve.py", f"http://127.0.0.1:{server.port}", "cell-inspector"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    said = json.loads(ran.stdout.splitlines()[-1])
    assert said["live"] is said["ready"] is said["model"] is True
    for form in ("json", "binary"):
        assert (said[form]["id"], said[form]["model"], said[form]["label"]) == ("seven", "cell-inspector", ["bad", "good"])
        assert said[form]["score"] == pytest.approx([0.9975, 6e-6], abs=1e-4)
    assert "field is missing" in said["refusal"] or "required" in said["refusal"], said["refusal"]
