"""A profile: mergeable summaries of a model's inputs and outputs, small enough to travel in every package.

    >>> one, two = Profile.of({"x": np.zeros(3)}), Profile.of({"x": np.ones(3)})
    >>> one.merge(two).fields["x"].mean
    0.5

Merging profiles of two parts of the data gives the profile of the whole: counts, missing values, extremes and category
counts exactly, mean and M2 up to rounding (Chan, Golub and LeVeque 1979), quantiles up to the sketch's error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, cast

import numpy as np

from .errors import FormatError
from .profile_table import Fields, Table, merged
from .signature import Array, Signature
from .summary import MAX_CATEGORIES as MAX_CATEGORIES
from .summary import OTHER as OTHER
from .summary import Summary as Summary


@dataclass(frozen=True)
class Profile:
    """Summaries by field: inputs and outputs by name, columns of small tables apart as "name[3]"."""

    fields: Mapping[str, Summary] = field(default_factory=dict[str, Summary])

    @classmethod
    def of(cls, arrays: Mapping[str, Any], signature: Signature | None = None, columns: int = 64) -> Profile:
        """Summarise arrays by name.

        Args:
            arrays: inputs or outputs; rows in front; a list of arrays (images of different sizes) is summarised as one.
            signature: names the categories of coded fields.
            columns: 2-D arrays of at most so many columns are summarised column by column.
        """
        specs = {spec.name: spec for spec in (*signature.inputs, *signature.outputs)} if signature else {}
        found: dict[str, Summary] = {}
        for name, values in arrays.items():
            names = specs[name].categories if name in specs else None
            for key, part, rows in parts(name, values, columns):
                found[key] = Summary.of(part, names, rows)
        return cls(found)

    def merge(self, other: Profile) -> Profile:
        """The profile of both; a field that one side lacks is taken from the other."""
        names = dict.fromkeys([*self.fields, *other.fields])
        return Profile({name: self.fields.get(name, Summary()).merge(other.fields.get(name, Summary())) for name in names})

    @classmethod
    def merge_all(cls, profiles: Sequence[Profile]) -> Profile:
        """The profile of all of them, as `merge` one after the other, in less time and with a smaller error of the quantiles."""
        fields = [profile.fields for profile in profiles]
        if (found := merged(fields)) is not None:
            return cls(found)
        held_by = {
            name: [held for one in fields if (held := one.get(name)) is not None] for name in dict.fromkeys(chain.from_iterable(fields))
        }
        return cls({name: Summary.merge_all(held) for name, held in held_by.items()})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"fields": {name: held.to_dict() for name, held in self.fields.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Profile:
        """Parse what `to_dict` wrote."""
        return cls(Fields(Table.from_dict(data["fields"])))

    def to_bytes(self) -> bytes:
        """`profile/profile.json`: deterministic."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False, allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Profile:
        """Parse. Raises FormatError."""
        try:
            return cls.from_dict(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise FormatError(f"The profile is malformed: {error!r}") from error


def parts(name: str, values: Any, columns: int = 64) -> list[tuple[str, Array, int]]:
    """(field, values, rows) of an array: its columns apart where there are few, else all of it in one."""
    if isinstance(values, list):
        rows = cast("list[Any]", values)
        return [(name, np.concatenate([np.asarray(one).ravel() for one in rows]) if rows else np.zeros(0), len(rows))]
    held = np.asarray(values)
    if held.ndim == 2 and 1 < held.shape[1] <= columns:
        return [(f"{name}[{column}]", held[:, column], len(held)) for column in range(held.shape[1])]
    return [(name, held, len(held) if held.ndim else 1)]
