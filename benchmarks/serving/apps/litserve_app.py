# pyright: reportMissingImports=false
"""LitServe as its documentation shows it: `python litserve_app.py PORT WORKERS`."""

import sys
from typing import Any

import litserve as ls
import one_model


class Api(ls.LitAPI):
    """The model behind its three methods."""

    def setup(self, device: str) -> None:
        """Once per worker."""
        self.session = one_model.opened()

    def decode_request(self, request, **_):  # LitServe reads the annotation of `request`: with one, the door takes something else
        """JSON to the model's input."""
        return request["image"] if one_model.KIND == "jpeg" else request["x"]

    def predict(self, x: Any, **_: Any) -> Any:
        """Ask the engine."""
        return one_model.answer(self.session, x)

    def encode_response(self, output: Any, **_: Any) -> dict[str, Any]:
        """The output as JSON."""
        return {"outputs": output.tolist()}


if __name__ == "__main__":
    server = ls.LitServer(Api(), accelerator="cpu", workers_per_device=int(sys.argv[2]), timeout=30)
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False, log_level="warning", access_log=False)
