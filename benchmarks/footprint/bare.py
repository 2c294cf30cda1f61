"""The bare interpreter on a model of numbers: a line when the first answer is there, then figures of as many calls as a line asks for.

python bare.py MODEL.json
"""

import json
import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter

model = json.load(open(sys.argv[1]))  # noqa: PTH123, SIM115  as somebody writes it on a device
runner = Interpreter(model_path=model["file"], num_threads=1).get_signature_runner(model["signature"])
row = {name: np.asarray(value, dtype) for name, (value, dtype) in model["inputs"].items()}
runner(**row)
print("answered", flush=True)
for line in sys.stdin:
    spent = []
    for _ in range(int(line)):
        began = time.perf_counter()
        runner(**row)
        spent.append(time.perf_counter() - began)
    print(json.dumps(spent), flush=True)
