"""Asks a server with KServe's REST client, unchanged, and prints what came back as JSON. Runs in an environment of its own.

Arguments: the server's address, the model's name.
"""

# pyright: reportMissingImports=false

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput


def request(model, binary):
    """Two rows of x, as JSON or as raw bytes."""
    held = InferInput("x", [2, 3], "FP32")
    held.set_data_from_numpy(np.array([[1, 2, 3], [-4, -4, -4]], np.float32), binary_data=binary)
    wanted = [RequestedOutput("score", {"binary_data": binary}), RequestedOutput("label", {"binary_data": False})]
    return InferRequest(model_name=model, infer_inputs=[held], request_id="seven", request_outputs=wanted)


async def main(address, model):
    """Health, metadata by readiness, and inference in both forms."""
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    said = {
        "live": await client.is_server_live(address), "ready": await client.is_server_ready(address),
        "model": await client.is_model_ready(address, model),
    }  # fmt: skip
    for form, binary in (("json", False), ("binary", True)):
        answer = await client.infer(address, request(model, binary), model_name=model)
        outputs = {output.name: output.as_numpy().tolist() for output in answer.outputs}
        said[form] = {"id": answer.id, "model": answer.model_name, **outputs}
    try:
        await client.infer(address, {"inputs": []}, model_name=model)
    except Exception as error:  # what a user of the client sees
        said["refusal"] = str(error)
    await client.close()
    print(json.dumps(said))


asyncio.run(main(*sys.argv[1:]))
