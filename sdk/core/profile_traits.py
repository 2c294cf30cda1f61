"""Traits in the profile of a package: those that a server's records have of pictures, texts and sound, under the same names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .codec.codec import Codec
from .profile import Profile
from .signature import Signature
from .traits import TRAIT, as_sent, kept_kinds, traits

MOST = 2000
"""Rows that are looked at, spread evenly: a large picture takes a millisecond."""


def traits_of(typed: Mapping[str, Any], wire: Mapping[str, Any], codec: Codec, signature: Signature) -> Profile:
    """The traits "trait.photo.brightness" of examples; none of what is redacted or stays on the device.

    Args:
        typed: typed inputs, rows in front; wire: the same rows as they are sent.
        codec, signature: of the package; they tell which fields have traits.
    """
    fields = codec.wire_fields(signature)
    kinds, held = kept_kinds(signature, fields), dict(typed)
    held |= {name: wire[name] for name in as_sent(kinds, signature, fields) if name in wire}
    found = traits({name: _spread(held[name]) for name in kinds if name in held}, kinds)
    return Profile.of({f"{TRAIT}{name}": np.array(values, np.float64) for name, values in found.items()})


def _spread(values: Any) -> list[Any]:
    count = len(values)
    return [values[place * count // MOST] for place in range(MOST)] if count > MOST else list(values)
