"""Where an engine was built and may run: one GPU model, one driver, one TensorRT. Elsewhere it is neither fast nor valid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ...sdk.core.errors import EngineError, FormatError
from ...sdk.core.manifest import digest_of
from .binding import Bindings


@dataclass(frozen=True)
class Place:
    """A GPU as far as an engine depends on it: no serial numbers, no host names.

    Attributes:
        gpu: the name that its driver gives it.
        capability: compute capability, such as "9.0".
        driver: the newest CUDA that the driver knows, such as 13000.
        tensorrt: version.
    """

    gpu: str
    capability: str
    driver: int
    tensorrt: str

    @property
    def key(self) -> str:
        """Hex digest: the folder of its engines."""
        return digest_of(self.to_dict()).removeprefix("sha256:")

    def __str__(self) -> str:
        return f"{self.gpu} (compute capability {self.capability}), driver for CUDA {self.driver}, TensorRT {self.tensorrt}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Place:
        """Parse. Raises FormatError."""
        names = {field.name for field in fields(cls)}
        if not isinstance(data, Mapping) or set(data) != names:
            raise FormatError("The place that an engine was built for is malformed", got=str(data)[:200], expected=", ".join(sorted(names)))
        return cls(str(data["gpu"]), str(data["capability"]), int(data["driver"]), str(data["tensorrt"]))


def here(held: Bindings) -> Place:
    """The GPU that calls of this process use ($CUDA_VISIBLE_DEVICES chooses). Raises EngineError where there is none."""
    properties = held.ask("cudaGetDeviceProperties", held.ask("cudaGetDevice"))
    name = properties.name.decode() if isinstance(properties.name, bytes) else str(properties.name)
    driver = int(held.ask("cudaDriverGetVersion"))
    return Place(name.rstrip("\0"), f"{properties.major}.{properties.minor}", driver, str(held.trt.__version__))


def check_place(built: Place, found: Place) -> None:
    """Raise EngineError unless an engine that was built at `built` may run at `found`."""
    if built != found:
        raise EngineError("The artifact ships an engine for another GPU, driver or version", got=str(found), expected=str(built),
                          fix="Compile the package on this machine, or compile it with --option engine=portable: "
                              "such an artifact builds its engine where it is opened.")  # fmt: skip
