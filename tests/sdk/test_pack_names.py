"""An integer output with names: `codec={output: Categories}` names its codes on the way out, at every door."""

import numpy as np
import pytest
import torch

import portside as ps

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 4)).astype(np.float32)
NAMES = ["good", "bad"]


def predict(model, features):
    logits = model(features)
    return {"label": logits.argmax(-1), "confidence": logits.softmax(-1).amax(-1)}


def packed(out, **rest):
    torch.manual_seed(0)
    return ps.pack(torch.nn.Linear(4, 2), name="named", predict=predict, examples={"input": X}, out=out, **rest)


@pytest.mark.slow
def test_labels_leave_as_names_on_every_runtime(tmp_path):
    codes = packed(tmp_path / "codes").predict({"input": X})["label"]
    package = packed(tmp_path / "named", codec={"label": ps.codec.Categories(NAMES)}, labels=[NAMES[code] for code in codes])
    assert package.signature.output("label").categories == tuple(NAMES)
    session = ps.load(ps.compile(package, out=tmp_path / "artifact"))
    for answers in (package.predict({"input": X}), session.predict({"input": X})):
        assert answers["label"].tolist() == [NAMES[code] for code in codes]
    assert np.array_equal(session.run({"input": X})["label"], codes)
    data = ps.Data(inputs={"input": X}, labels=[NAMES[code] for code in codes])
    assert ps.evaluate(package, data).metrics["accuracy"].value == 1.0


def test_names_for_a_float_output_are_refused(tmp_path):
    with pytest.raises(ps.errors.FormatError, match="does not hold codes"):
        packed(tmp_path / "p", codec={"confidence": ps.codec.Categories(NAMES)})


def test_names_for_no_output_are_refused(tmp_path):
    with pytest.raises(ps.errors.FormatError, match="not there"):
        packed(tmp_path / "p", codec={"colour": ps.codec.Categories(NAMES)})
    assert not (tmp_path / "p").exists()
