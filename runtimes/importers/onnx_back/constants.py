"""The constants of a graph as buffers of a module, and between numpy and torch."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from onnx import TensorProto, helper
from torch import Tensor

from ....sdk.core.errors import UnsupportedError
from ....sdk.core.signature import Array
from .call import Constant

BFLOAT16 = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)


class Constants(torch.nn.Module):
    """One buffer for each different constant that a tensor operator reads.

    Buffers are registered while the graph is laid out; afterwards the module is `sealed` and only finds them again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, str] = {}
        self.sealed = False

    def place(self, constant: Constant) -> Tensor:
        """The buffer with this content."""
        name = self.names.get(constant.key)
        if name is None:
            name = self._add(constant)
        return cast(Tensor, self._buffers[name])

    def _add(self, constant: Constant) -> str:
        if self.sealed:
            raise UnsupportedError("A constant of the ONNX graph changed after the graph was laid out", fix="Call to_module again.")
        name = f"c{len(self.names)}"
        self.register_buffer(name, free_tensor(constant))
        self.names[constant.key] = name
        return name


def free_tensor(constant: Constant) -> Tensor:
    """A constant as a tensor of its own; memory is shared where numpy lets it be written. Raises UnsupportedError for text."""
    array = constant.array
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)
    if array.dtype.kind not in "iufb":
        raise UnsupportedError("A constant of the ONNX graph has an element type without a torch dtype", got=array.dtype)
    whole = np.ascontiguousarray(array).reshape(array.shape)
    return torch.from_numpy(whole if whole.flags.writeable else whole.copy())


def to_array(value: Tensor | Array) -> Array:
    """A folded result as numpy."""
    if not isinstance(value, Tensor):
        return value
    return value.float().numpy().astype(BFLOAT16) if value.dtype == torch.bfloat16 else value.contiguous().numpy()
