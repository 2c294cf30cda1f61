# pyright: reportMissingImports=false
"""MLServer with a runtime of one's own, as its documentation shows it; it runs in the server's process (parallel_workers 0)."""

from __future__ import annotations

import one_model
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Runtime(MLModel):
    """The model behind the Open Inference Protocol."""

    async def load(self) -> bool:
        """Once."""
        self.session = one_model.opened()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Ask the engine."""
        x = NumpyCodec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output(name="scores", payload=one_model.answer(self.session, x))
        return InferenceResponse(model_name=self.name, outputs=[output])
