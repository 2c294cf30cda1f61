"""Sizes for symbolic dimensions: from options, from the codec, from the contract; refusals that name the way out."""

import numpy as np
import pytest

from portside.runtimes import samples
from portside.runtimes.samples import graph_model, node
from portside.runtimes.tflite.sizes import Sizes, answerable, known_pads, sizes_of
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.errors import UnsupportedError
from portside.sdk.core.signature import Signature, TensorSpec


def spatial(make_package, **contract):
    """Nothing pads pixels."""
    signature = Signature((TensorSpec("x", "f32", ("batch", 1, "height", "width")),), (TensorSpec("y", "f32", ("batch",), kind="value"),))
    model = graph_model(signature, [node("ReduceSum", ["x", "axes"], "y", keepdims=0)], {"axes": np.array([1, 2, 3])})
    return make_package(signature, [("main", model)], **contract)


def test_the_batch_alone_gets_one_and_eight(tmp_path):
    sizes = sizes_of(samples.mixed().write(tmp_path / "mixed"))
    assert (sizes.batch, sizes.values, sizes.exact) == ("batch", {"batch": (1, 8)}, ())
    assert sizes.signatures(["batch"]) == {"batch1": {"batch": 1}, "batch8": {"batch": 8}}


def test_a_canvas_has_no_free_dimension(tmp_path):
    assert sizes_of(samples.canvas().write(tmp_path / "canvas")).values == {"batch": (1, 8)}


def test_golden_rows_of_other_sizes_are_left_out_with_a_note(make_package):
    signature = spatial(make_package).signature
    cases = [Case({"x": np.zeros((2, 1, *size), np.float32)}, {"y": np.zeros(2)}, why=("random",) * 2) for size in ((4, 6), (4, 7), (4, 6))]
    sizes = Sizes("batch", {"batch": (1,), "height": (4,), "width": (6,)}, exact=("height", "width"))
    kept = answerable(Contract(tuple(cases), {"y": Rule("value")}), signature, sizes)
    assert [case.inputs["x"].shape[3] for case in kept.cases] == [6, 6]
    assert kept.notes == ("golden rows of other sizes of height, width are left out: 1 of 3 calls",)
    with pytest.raises(UnsupportedError, match="No golden row"):
        answerable(Contract(tuple(cases), {}), signature, Sizes("batch", {"batch": (1,), "height": (5,)}, exact=("height",)))


def test_a_symbol_and_its_size_stay_apart():
    assert list(Sizes(None, {"dim2": (48,), "a b": (3,)}).signatures(["dim2", "a b"])) == ["dim2_48_a_b3"]


def test_a_fixed_batch_stays_as_it_is(make_package):
    signature = Signature((TensorSpec("x", "f32", (4, 2)),), (TensorSpec("y", "f32", (4, 2), kind="value"),))
    package = make_package(signature, [("main", graph_model(signature, [node("Neg", ["x"], "y")], {}))])
    assert sizes_of(package) == Sizes(None, {})
    assert sizes_of(package).signatures([]) == {"main": {}}


def test_the_codec_is_asked_what_it_pads_with(sentence_package):
    assert known_pads(sentence_package) == {"ids": 6, "mask": 0}


def test_default_buckets_come_from_the_contract_and_the_codec(sentence_package):
    sizes = sizes_of(sentence_package)
    assert sizes.values == {"batch": (1,), "length": (8, 12)}  # golden rows have up to 7 words, the codec keeps 12
    assert sizes.pads == {"ids": 6, "mask": 0}
    assert sizes.exact == ()


def test_options_win(sentence_package):
    sizes = sizes_of(sentence_package, batches=(2, 1), asked={"length": (16, 4)})
    assert sizes.values == {"batch": (1, 2), "length": (4, 16)}
    assert sorted(sizes.signatures(["length", "batch"])) == ["batch1_length16", "batch1_length4", "batch2_length16", "batch2_length4"]


def test_a_dimension_that_nothing_pads_is_refused_with_the_option(make_package):
    with pytest.raises(UnsupportedError) as caught:
        sizes_of(spatial(make_package))
    assert "'height' of 'x'" in str(caught.value)
    assert "sizes={'height': (64, 128)}" in str(caught.value)


def test_the_refusal_proposes_what_golden_rows_have(make_package):
    cases = [Case({"x": np.zeros((rows, 1, high, 6), np.float32)}, {"y": np.zeros(rows)}, why=("random",) * rows)
             for rows, high in ((1, 9), (5, 4))]  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"sizes=\{'height': \(4,\)\}"):
        sizes_of(spatial(make_package, cases=cases, rules={"y": Rule("value")}))


def test_and_is_exact_when_sizes_are_given(make_package):
    sizes = sizes_of(spatial(make_package), asked={"height": (32,), "width": (32, 64)})
    assert sizes.exact == ("height", "width")
    assert len(sizes.signatures(sizes.values)) == 2


@pytest.mark.parametrize(("options", "named"), [
    ({"batches": ()}, "batches"), ({"batches": (0, 1)}, "batches"), ({"batches": (1.5,)}, "batches"),
    ({"batches": 1}, r"batches is not a list.*Pass batches=\[1\]"), ({"batches": "1,8"}, "batches"), ({"asked": {"length": 64}}, "sizes"),
    ({"asked": [64]}, "sizes"),
    ({"asked": {"batch": (1,)}}, "'batch'"), ({"asked": {"lenght": (1,)}}, "'lenght'"), ({"asked": {"length": (-1,)}}, "sizes"),
])  # fmt: skip
def test_options_that_name_no_sizes_are_refused(sentence_package, options, named):
    with pytest.raises(UnsupportedError, match=named):
        sizes_of(sentence_package, **options)


def test_too_many_combinations_are_refused(sentence_package):
    sizes = sizes_of(sentence_package, batches=range(1, 10), asked={"length": range(1, 10)})
    with pytest.raises(UnsupportedError, match="81 of batch, length"):
        sizes.signatures(["batch", "length"])

