"""TensorRT-RTX as far as the build check calls it: the simulated parser and builder under another name, for capabilities instead of a GPU.

$SIMULATED_RTX makes its builder end as native code does: "dies", "hangs", "unnamed" and "named" (it refuses), "rejects" (a profile).
"""

from __future__ import annotations

import os
import sys
import time
from enum import Enum
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "simulated"))

from tensorrt import (
    BuilderFlag,
    ILogger,
    INetworkDefinition,
    MemoryPoolType,
    NetworkDefinitionCreationFlag,
    OnnxParser,
    simulated_builder,
)

__all__ = ["Builder", "BuilderFlag", "ComputeCapability", "ILogger", "INetworkDefinition", "MemoryPoolType",
           "NetworkDefinitionCreationFlag", "OnnxParser"]  # fmt: skip
__version__ = "1.7.1 (simulated)"
ComputeCapability = Enum("ComputeCapability", ["SM75", "SM89"])
ENDS = os.environ.get("SIMULATED_RTX", "")


class IBuilderConfig(simulated_builder.IBuilderConfig):
    def __init__(self):
        super().__init__()
        self.num_compute_capabilities, self.capabilities = 0, {}

    def set_compute_capability(self, compute_capability, index):
        assert index < self.num_compute_capabilities
        self.capabilities[index] = compute_capability

    def add_optimization_profile(self, profile):
        return -1 if ENDS == "rejects" else super().add_optimization_profile(profile)


class Builder(simulated_builder.Builder):
    def create_builder_config(self):
        return IBuilderConfig()

    def build_serialized_network(self, network, config):
        assert list(config.capabilities.values()) == [ComputeCapability.SM89]
        if ENDS == "dies":
            os._exit(139)
        if ENDS == "hangs":
            time.sleep(60)
        if ENDS in ("named", "unnamed"):
            where = f" for operation '{network.model.graph.node[0].name}'" if ENDS == "named" else ""
            self.logger.log(ILogger.ERROR, f"Error Code 10: Could not find any implementation{where}")
            return None
        return super().build_serialized_network(network, config)
