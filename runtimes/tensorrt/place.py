"""Where an engine was built and may run: one GPU model, one driver, one TensorRT. Elsewhere it is neither fast nor valid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ...sdk.core.errors import EngineError, FormatError
from ...sdk.core.manifest import digest_of
from .binding import Bindings

DRIVER = Path("/proc/driver/nvidia/version")
"""Where Linux says which driver is loaded."""


@dataclass(frozen=True)
class Place:
    """A GPU as far as an engine depends on it: no serial numbers, no host names.

    Attributes:
        gpu: the name that its driver gives it.
        capability: compute capability, such as "9.0".
        driver: version of the driver, such as "580.95.05"; empty where the system does not say.
        cuda: the newest CUDA that the driver knows, such as 13000.
        tensorrt: version.
    """

    gpu: str
    capability: str
    driver: str
    cuda: int
    tensorrt: str

    @property
    def key(self) -> str:
        """Hex digest: the folder of its engines."""
        return digest_of(self.to_dict()).removeprefix("sha256:")

    @property
    def float8(self) -> bool:
        """The GPU multiplies float8."""
        major, _, minor = self.capability.partition(".")
        return (int(major), int(minor or 0)) >= (8, 9)

    def __str__(self) -> str:
        driver = f"driver {self.driver} for" if self.driver else "driver for"
        return f"{self.gpu} (compute capability {self.capability}), {driver} CUDA {self.cuda}, TensorRT {self.tensorrt}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Place:
        """Parse. Raises FormatError."""
        names = {field.name for field in fields(cls)}
        if not isinstance(data, Mapping) or set(data) != names:
            raise FormatError("The place that an engine was built for is malformed", got=str(data)[:200], expected=", ".join(sorted(names)))
        return cls(str(data["gpu"]), str(data["capability"]), str(data["driver"]), int(data["cuda"]), str(data["tensorrt"]))


def here(held: Bindings) -> Place:
    """The GPU that calls of this process use ($CUDA_VISIBLE_DEVICES chooses). Raises EngineError where there is none."""
    properties = held.ask("cudaGetDeviceProperties", held.ask("cudaGetDevice"))
    name = properties.name.decode() if isinstance(properties.name, bytes) else str(properties.name)
    cuda = int(held.ask("cudaDriverGetVersion"))
    return Place(name.rstrip("\0"), f"{properties.major}.{properties.minor}", driver_version(), cuda, str(held.trt.__version__))


def driver_version() -> str:
    """The driver that is loaded; empty where the system does not say."""
    with suppress(OSError):
        said = re.search(r"Kernel Module\D.*?\s(\d+(?:\.\d+)+)\s", DRIVER.read_text(encoding="utf-8", errors="replace"))
        return said[1] if said else ""
    return ""


def check_place(built: Place, found: Place) -> None:
    """Raise EngineError unless an engine that was built at `built` may run at `found`: the driver may be another one for the same CUDA."""
    if replace(built, driver="") != replace(found, driver=""):
        raise EngineError("The artifact ships an engine for another GPU, driver or version", got=str(found), expected=str(built),
                          fix="Compile the package on this machine, or compile it with --option engine=portable: "
                              "such an artifact builds its engine where it is opened.")  # fmt: skip
