"""What of an answer may leave the device. Pure: a record goes in as it is, and comes out as it may be sent.

- Nothing of fields that the signature marks `redact` or `stays_on_device`: not their values, not a digest of them, not what was made of
  them on the way (features of the program, traits), not the value in a flag.
- A text without declared categories says who somebody is: it leaves only in a record that is sent whole, and never in a summary.
- What a summary says of a field is made of what may leave, so nothing marked is in its quantiles, extremes or categories either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..sdk.core.records import RAW_LIMIT_BYTES, REDACTED, Record, keep
from ..sdk.core.signature import Array, Signature, TensorSpec


def hidden(signature: Signature) -> frozenset[str]:
    """Names of the fields that stay."""
    return frozenset(spec.name for spec in _specs(signature) if spec.redact or spec.stays_on_device)


def leaving(record: Record, inputs: Mapping[str, Array], outputs: Mapping[str, Array], signature: Signature,
            limit_bytes: int = RAW_LIMIT_BYTES) -> Record:  # fmt: skip
    """The record with what may leave of its tensors.

    Args:
        record: everything else of it.
        inputs, outputs: typed tensors as the session had them.
        limit_bytes: larger tensors leave as shape, dtype and sha256.
    """
    kept = {"inputs": keep(inputs, signature, limit_bytes), "outputs": keep(outputs, signature, limit_bytes)}
    return scrubbed(record.changed(**kept), signature)


def scrubbed(record: Record, signature: Signature) -> Record:
    """A record as it may leave, whatever it was made of: marked fields blanked again, features and flags as well."""
    stays = hidden(signature)
    if not stays:
        return record
    return record.changed(inputs=_blanked(record.inputs, stays), outputs=_blanked(record.outputs, stays),
                          features=_features(record.features, stays), flags=tuple(_flag(flag, stays) for flag in record.flags))  # fmt: skip


def countable(record: Record, signature: Signature) -> Record:
    """What a summary may be made of: a scrubbed record without texts that have no categories."""
    told = {spec.name for spec in _specs(signature) if spec.dtype != "string" or spec.categories is not None}
    clean = scrubbed(record, signature)
    return clean.changed(inputs={name: held for name, held in clean.inputs.items() if name in told},
                         outputs={name: held for name, held in clean.outputs.items() if name in told})  # fmt: skip


def _specs(signature: Signature) -> tuple[TensorSpec, ...]:
    return (*signature.inputs, *signature.outputs)


def _blanked(held: Mapping[str, Any], stays: frozenset[str]) -> dict[str, Any]:
    return {name: dict(REDACTED) if name in stays else value for name, value in held.items()}


def _features(features: Mapping[str, Any], stays: frozenset[str]) -> dict[str, Any]:
    """Traits of other fields alone: what the program made on the way, it made of all of them."""
    held = cast("Mapping[str, Any]", features.get("traits", {}))
    rest = {name: value for name, value in held.items() if not any(name == field or name.startswith(f"{field}.") for field in stays)}
    return {"traits": rest} if rest else {}


def _flag(flag: Any, stays: frozenset[str]) -> dict[str, Any]:
    """A flag says that a marked field was odd, not how."""
    said: dict[str, Any] = dict(flag if isinstance(flag, Mapping) else flag._asdict())
    return {**said, "value": None} if said.get("field") in stays else said
