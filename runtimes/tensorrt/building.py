"""ONNX -> engine, with the calls of TensorRT's builder, which TensorRT-RTX shares.

Networks are strongly typed: what computes in float16, int8 or float8 is written in the graph, and nothing is lowered behind one's back.
TF32 is off and NaN is kept, because answers are held against float32 within 1e-4. Importing this file imports neither onnx nor TensorRT.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .binding import logger_of
from .rim import Profile


@dataclass(frozen=True)
class Settings:
    """How engines are built; part of the key under which they are kept.

    Attributes:
        level: effort of the builder, 0 to 5.
        tf32: products of float32 may round to 10 bits: faster, and further off than the contract allows for most models.
        workspace_mb: memory that a layer may use while it runs; None: what the GPU has.
        capabilities: compute capabilities to build for instead of the GPU that is there (TensorRT-RTX alone), such as "SM89".
    """

    level: int = 3
    tf32: bool = False
    workspace_mb: int | None = None
    capabilities: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "capabilities": list(self.capabilities)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Settings:
        """Parse what `to_dict` made. Raises KeyError, TypeError or ValueError."""
        room: object = data["workspace_mb"]
        if not (room is None or (type(room) is int and room > 0)):
            raise ValueError(f"{str(room)[:40]} is no number of megabytes")
        return cls(int(data["level"]), bool(data["tf32"]), room, tuple(str(one) for one in data["capabilities"]))


@dataclass(frozen=True)
class Fault:
    """What a parser or builder does not hold: the operator and node where it says so, and its words."""

    what: str
    operator: str = ""
    node: str = ""

    def __str__(self) -> str:
        where = f"{self.operator} {self.node!r}: " if self.operator or self.node else ""
        return f"{where}{self.what}"


class Refused(Exception):
    """The engine was not built."""

    def __init__(self, stage: str, faults: tuple[Fault, ...]) -> None:
        super().__init__(f"{stage}: {'; '.join(map(str, faults))}")
        self.stage, self.faults = stage, faults


@dataclass(frozen=True)
class Built:
    """An engine's bytes, and the timings that the builder took, for the next build at the same place."""

    plan: bytes
    timing: bytes = b""
    layers: int = 0
    notes: tuple[str, ...] = field(default_factory=tuple[str, ...])


def build(trt: Any, model: str, profile: Profile, settings: Settings, timing: bytes | None = None) -> Built:
    """Parse the ONNX file `model` and build its engine.

    Args:
        trt: the module `tensorrt`, or `tensorrt_rtx_bindings`.
        model: path; weights beside it are found.
        profile: of every input with a free dimension.
        settings: of the builder.
        timing: timings of earlier builds (b"": none yet); None: none are kept.

    Raises Refused naming operator and node.
    """
    said: list[str] = []
    logger = logger_of(trt, said.append)
    try:
        builder = trt.Builder(logger)
    except (RuntimeError, TypeError) as error:  # the binding's word for a factory that returned nothing
        raise Refused("start", (Fault("; ".join(said) or str(error)),)) from error
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(model):
        raise Refused("parse", _parsed(parser) or tuple(map(Fault, said)))
    config = _configured(trt, builder, settings)
    _add_profile(builder, config, profile)
    cache = None if timing is None else config.create_timing_cache(timing)
    if cache is not None:
        config.set_timing_cache(cache, False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise Refused("build", tuple(map(_told, said)) or (Fault("the builder gave no reason"),))
    return Built(bytes(plan), b"" if cache is None else bytes(config.get_timing_cache().serialize()), int(network.num_layers), tuple(said))


def _parsed(parser: Any) -> tuple[Fault, ...]:
    errors = [parser.get_error(place) for place in range(parser.num_errors)]
    return tuple(Fault(_plain(error.desc()), error.node_operator(), error.node_name()) for error in errors)


def _told(words: str) -> Fault:
    """A builder's words, with the node where they name one."""
    named = re.search(r"(?:operation|[Nn]ode|[Ll]ayer) '?\"?([\w./:-]+)", words)
    return Fault(_plain(words), node=named[1] if named and "'" in words else "")


def _plain(text: str) -> str:
    return " ".join(text.split())[:300]


def _configured(trt: Any, builder: Any, settings: Settings) -> Any:
    config = builder.create_builder_config()
    config.builder_optimization_level = settings.level
    config.set_flag(trt.BuilderFlag.STRICT_NANS)
    (config.set_flag if settings.tf32 else config.clear_flag)(trt.BuilderFlag.TF32)
    if settings.workspace_mb is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mb << 20)
    if settings.capabilities:
        config.num_compute_capabilities = len(settings.capabilities)
        for place, name in enumerate(settings.capabilities):
            config.set_compute_capability(getattr(trt.ComputeCapability, name), place)
    return config


def _add_profile(builder: Any, config: Any, profile: Profile) -> None:
    if not profile:
        return
    made = builder.create_optimization_profile()
    for name, shapes in profile.items():
        made.set_shape(name, *shapes)
    if config.add_optimization_profile(made) < 0:
        raise Refused("profile", (Fault(f"the sizes of {', '.join(profile)} do not fit the network"),))
