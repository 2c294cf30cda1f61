"""Checks of answers: what comes out is right, whole, in order, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .base import LoadOptions
from .check_kit import Kit, expect, expect_outputs
from .invariance import batch_invariant, can_batch
from .reference import Reference
from .state import initial


def names_dtypes_and_order(kit: Kit) -> None:
    """int64, bool and float64 come back as such, in the signature's order."""
    held = kit.load("mixed")
    inputs = held.sample.inputs(3)
    expect_outputs(held.sample.signature, held.session.run(inputs), held.sample.truth(inputs))


def zero_dimensional_outputs(kit: Kit) -> None:
    """A 0-d output stays 0-d."""
    held = kit.load("scalar")
    inputs = held.sample.inputs(4)
    expect_outputs(held.sample.signature, held.session.run(inputs), held.sample.truth(inputs))


def batch_sizes(kit: Kit) -> None:
    """1, 2, 7 and 64 rows."""
    held = kit.load("mixed")
    for rows in (1, 2, 7, 64):
        inputs = held.sample.inputs(rows)
        expect_outputs(held.sample.signature, held.session.run(inputs), held.sample.truth(inputs))


def equal_to_the_reference(kit: Kit) -> None:
    """Within tolerance of the reference runtime, on every sample."""
    for name in ("mixed", "scalar", "stateful", "canvas", "slow"):
        held = kit.load(name)
        inputs = held.sample.inputs(2)
        reference = Reference().open(held.package).run(inputs)
        expect_outputs(held.sample.signature, held.session.run(inputs), reference)


def nan_stays_nan(kit: Kit) -> None:
    """A missing float makes its own row NaN, and no other."""
    held = kit.load("mixed")
    inputs = held.sample.inputs(3)
    inputs["x"][1, 2] = np.nan
    scores = held.session.run(inputs)["scores"]
    expect(np.isnan(scores[1]).all(), f"NaN in one row became {scores[1]}")
    expect(np.isfinite(scores[[0, 2]]).all(), "NaN in one row reached another")


def layout_of_inputs(kit: Kit) -> None:
    """Transposed, strided and big-endian inputs, and lists, give the same answer."""
    held = kit.load("mixed")
    inputs = held.sample.inputs(4)
    truth = held.sample.truth(inputs)
    x = inputs["x"]
    odd = (np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], x[::-1][::-1], x.astype(">f4"), x.tolist())
    for form in odd:
        expect_outputs(held.sample.signature, held.session.run({**inputs, "x": form}), truth)


def wider_dtypes(kit: Kit) -> None:
    """float64 for float32 and int32 for int64 are the same numbers."""
    held = kit.load("mixed")
    inputs = held.sample.inputs(4)
    wide = {**inputs, "x": inputs["x"].astype(np.float64), "ids": inputs["ids"].astype(np.int32)}
    expect_outputs(held.sample.signature, held.session.run(wide), held.sample.truth(inputs))


def outputs_are_the_callers(kit: Kit) -> None:
    """A later call does not write into an earlier answer, nor an answer into the inputs."""
    held = kit.load("stateful")
    inputs = held.sample.inputs(2)
    kept = {name: array.copy() for name, array in inputs.items()}
    first = held.session.run(inputs)
    before = {name: array.copy() for name, array in first.items()}
    for array in held.session.run({"x": inputs["x"] + 1}).values():
        array.fill(7)
    expect_outputs(held.sample.signature, first, before)
    expect(all(np.array_equal(inputs[name], kept[name]) for name in inputs), "the caller's inputs were changed")


def state_has_initial_values(kit: Kit) -> None:
    """A state input may be left out, for any number of rows; passed on, it is used."""
    held = kit.load("stateful")
    signature, inputs = held.sample.signature, held.sample.inputs(3)
    first = held.session.run(inputs)
    explicit = {**inputs, "h_in": initial(signature, signature.state[0], {"batch": 3})}
    expect_outputs(signature, first, held.session.run(explicit))
    second = {**inputs, "h_in": first["h_out"]}
    expect_outputs(signature, held.session.run(second), held.sample.truth(second))


def images_of_any_size(kit: Kit) -> None:
    """Images of different sizes in one batch answer as each alone."""
    held = kit.load("canvas")
    photos = [held.sample.inputs(rows)["photo"][0] for rows in (1, 2, 3)]
    together = held.session.run({"photo": photos})
    for row, photo in enumerate(photos):
        alone = held.session.run({"photo": photo[None]})
        expect_outputs(held.sample.signature, {name: value[row : row + 1] for name, value in together.items()}, alone)


def batch_invariance_as_measured(kit: Kit) -> None:
    """A session that says it is batch invariant is."""
    held = kit.load("mixed", LoadOptions(door=False))
    expect(can_batch(held.sample.signature), "the sample can be batched")
    measured = batch_invariant(held.session, held.artifact.contract())
    expect(measured or not held.session.info.batch_invariant, "batch-mates change the answer, and the session denies it")


ANSWERS: Mapping[str, Callable[[Kit], None]] = {
    "names, dtypes and order are the signature's": names_dtypes_and_order,
    "0-d outputs stay 0-d": zero_dimensional_outputs,
    "any batch size answers": batch_sizes,
    "answers equal the reference": equal_to_the_reference,
    "NaN in one row stays there": nan_stays_nan,
    "memory layout of inputs does not matter": layout_of_inputs,
    "wider and narrower dtypes are accepted": wider_dtypes,
    "answers belong to the caller": outputs_are_the_callers,
    "state starts at its initial value": state_has_initial_values,
    "images of any size": images_of_any_size,
    "batch invariance is as measured": batch_invariance_as_measured,
}  # fmt: skip
