"""A server as somebody writes it in an afternoon: Flask and waitress in front of the interpreter, on a port and on a Unix socket.

python flask_server.py MODEL.json PORT SOCKET
"""

import json
import sys
import threading

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from flask import Flask, jsonify, request  # pyright: ignore[reportMissingImports]
from waitress import create_server  # pyright: ignore[reportAttributeAccessIssue]

model = json.load(open(sys.argv[1]))  # noqa: PTH123, SIM115
runner = Interpreter(model_path=model["file"], num_threads=1).get_signature_runner(model["signature"])
dtypes = {name: dtype for name, (_, dtype) in model["inputs"].items()}
names, lock, app = model["names"], threading.Lock(), Flask(__name__)


@app.post("/predict")
def predict():
    """{"inputs": {field: batch}} in, {"outputs": {field: batch}} out."""
    inputs = request.get_json()["inputs"]
    fed = {slot: np.asarray(inputs[name], dtypes[slot]) for name, slot in names.items()}
    with lock:
        outputs = runner(**fed)
    return jsonify(outputs={name: value.tolist() for name, value in outputs.items()})


doors = create_server(app, host="127.0.0.1", port=int(sys.argv[2])), create_server(app, unix_socket=sys.argv[3])
threading.Thread(target=doors[1].run, daemon=True).start()
doors[0].run()
