"""What one input is let in as, on the way that looks at it once."""

import math
import warnings

import numpy as np
import pytest

from portside.sdk.core.door import Door
from portside.sdk.core.errors import InputError
from portside.sdk.core.signature import Signature, TensorSpec

RANGES = [{}, {"range": (0.0, math.inf), "on_range": "reject"}, {"range": (-math.inf, math.inf), "on_range": "clip"}]


def door(dtype, options):
    return Door(Signature((TensorSpec("x", dtype, ("batch",), **options),), (TensorSpec("y", "f32", ("batch",)),)))


@pytest.mark.parametrize("options", RANGES, ids=["free", "from 0", "clipped"])
@pytest.mark.parametrize(("dtype", "number"), [("f32", 1e39), ("f32", 3.5e38), ("f16", 7e4)])
@pytest.mark.parametrize("form", [lambda n: np.array([n]), lambda n: np.array([1.0, n]), lambda n: [n], lambda n: [1.0, n]],
                         ids=["array", "rows", "list", "list of rows"])  # fmt: skip
def test_a_number_that_the_dtype_cannot_hold_is_refused_where_no_range_forbids_it(dtype, number, options, form):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is refused before it is made infinite
        with pytest.raises(InputError, match="the number does not fit"):
            door(dtype, options).admit({"x": form(number)}, [])
        most = float(np.finfo({"f32": np.float32, "f16": np.float16}[dtype]).max)
        held = door(dtype, options).admit({"x": form(most)}, [])["x"]
    assert float(held[-1]) == most
