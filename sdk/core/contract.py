"""The contract that travels with a package: cases of typed inputs, their reference outputs, and a rule per output.

A contract is a list of *cases*. A case is one call: typed tensors in (behind the codec, in rim dtypes), reference
outputs, and for every discrete output which rows are *firm*. Cases of one `sequence` are the steps of a stateful model,
run in order. Cases exist apart because their shapes differ: other sequence lengths, other image sizes, batch 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from .canonical import read_object
from .errors import FormatError
from .signature import KINDS, Array, Kind


@dataclass(frozen=True)
class Rule:
    """How one output is judged: its kind and its tolerances, as data (defaults in sdk/core/decisions.py).

    Attributes:
        kind: see sdk/core/decisions.py.
        limits: tolerance names -> numbers that override the kind's defaults, e.g. {"atol": 1e-3}.
        scale: outputs of kind "value": the IQR of the reference outputs (at least 1e-3 x max(1, |median|)).
        top_k: rankings: places that count.
        element: sequences: the kind of one step; None is read from the dtype.
    """

    kind: Kind
    limits: Mapping[str, float] = field(default_factory=dict[str, float])
    scale: float = 1.0
    top_k: int | None = None
    element: Kind | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        data: dict[str, Any] = {"kind": self.kind, "limits": dict(self.limits), "scale": self.scale, "top_k": self.top_k}
        return data | ({"element": self.element} if self.element else {})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Rule:
        """Parse. Raises FormatError."""
        kind, element, top_k = data.get("kind"), data.get("element"), data.get("top_k")
        if kind not in KINDS or element not in (None, *KINDS):
            raise FormatError("A rule in the contract has no known kind", got=dict(data), expected=", ".join(KINDS))
        numbers: list[Any] = [*data.get("limits", {}).values(), data.get("scale", 1.0)]
        counted = top_k is None or (type(top_k) is int and top_k >= 0)
        if not counted or not all(type(number) in (int, float) and 0 <= number < math.inf for number in numbers):
            raise FormatError("A rule in the contract has a limit that nothing can be judged by", got=dict(data),
                              expected="finite numbers of 0 or more")  # fmt: skip
        return cls(kind, dict(data.get("limits", {})), float(data.get("scale", 1.0)), top_k, element)


@dataclass(frozen=True)
class Case:
    """One call of the contract.

    Attributes:
        inputs: rim name -> array.
        outputs: output name -> reference array, signature dtype.
        firm: discrete output -> bool per row; absent outputs have no fragile rows.
        why: per row the rule that chose it: "random", "slice:cell=mono", "margin", "missing", "dims", ...
        slices: slice name -> group per row.
        sequence: steps of one sequence share a name and are run in order; None for independent cases.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    firm: Mapping[str, Array] = field(default_factory=dict[str, Array])
    why: tuple[str, ...] = ()
    slices: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    sequence: str | None = None

    @property
    def rows(self) -> int:
        """Rows in this case (1 where no tensor has a batch axis)."""
        return len(self.why)


@dataclass(frozen=True)
class Contract:
    """Cases, rules and what may be shown of them.

    Attributes:
        cases: golden calls.
        rules: output name -> Rule.
        licence: licence of the golden inputs.
        shareable: pages and public releases may carry them.
        narrowing: decisions that narrowing inputs to rim dtypes alone changes in the source: output -> count.
        notes: what the card must say of it: too few rows, dimensions that the source refused, batch dependence.
    """

    cases: tuple[Case, ...]
    rules: Mapping[str, Rule]
    licence: str | None = None
    shareable: bool = False
    narrowing: Mapping[str, int] = field(default_factory=dict[str, int])
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Golden rows over all cases."""
        return sum(case.rows for case in self.cases)

    def to_bytes(self) -> tuple[bytes, bytes]:
        """(contract.json, cases.safetensors): deterministic, nothing pickled."""
        tensors: dict[str, Array] = {}
        strings: dict[str, Any] = {}
        described: list[dict[str, Any]] = []
        for index, case in enumerate(self.cases):
            for side, held in (("in", case.inputs), ("out", case.outputs), ("firm", case.firm)):
                for name, array in held.items():
                    key = f"{index:04d}/{side}/{name}"
                    if array.dtype.kind in "OUS":
                        strings[key] = {"shape": list(array.shape), "values": array.ravel().tolist()}
                    else:
                        tensors[key] = np.ascontiguousarray(array).reshape(array.shape)  # numpy makes 0-d arrays 1-d
            described.append({"why": list(case.why), "sequence": case.sequence,
                              "slices": {key: list(groups) for key, groups in case.slices.items()}})  # fmt: skip
        head = {
            "cases": described,
            "rules": {name: rule.to_dict() for name, rule in self.rules.items()},
            "licence": self.licence, "shareable": self.shareable, "narrowing": dict(self.narrowing),
            **({"strings": strings} if strings else {}), **({"notes": list(self.notes)} if self.notes else {}),
        }  # fmt: skip
        return json.dumps(head, indent=1, sort_keys=True, ensure_ascii=False).encode(), save(tensors)

    @classmethod
    def from_bytes(cls, head: bytes, tensors: bytes) -> Contract:
        """Parse what `to_bytes` wrote. Raises FormatError."""
        try:
            data = read_object(head, "The contract")
            arrays = load(tensors) | {key: _strings(held) for key, held in data.get("strings", {}).items()}
            sides: list[dict[str, dict[str, Array]]] = [{"in": {}, "out": {}, "firm": {}} for _ in data["cases"]]
            for key, array in arrays.items():
                index, side, name = key.split("/", 2)
                sides[int(index)][side][name] = array
            cases = tuple(
                Case(side["in"], side["out"], side["firm"], tuple(case["why"]),
                     {key: tuple(groups) for key, groups in case["slices"].items()}, case.get("sequence"))
                for case, side in zip(data["cases"], sides, strict=True)
            )  # fmt: skip
            rules = {name: Rule.from_dict(rule) for name, rule in data["rules"].items()}
            return cls(cases, rules, data.get("licence"), data.get("shareable") is True, dict(data.get("narrowing", {})),
                       tuple(data.get("notes", ())))  # fmt: skip
        except FormatError:
            raise
        except Exception as error:  # every malformed byte sequence ends here, as one typed error
            raise FormatError(f"The contract is malformed: {error}") from error


def _strings(data: Mapping[str, Any]) -> Array:
    held = np.empty(len(data["values"]), dtype=object)
    held[:] = data["values"]
    return held.reshape(data["shape"])
