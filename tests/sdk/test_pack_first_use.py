"""What a new user meets first: texts of any length, tables, text labels, functions in the script that packs them."""

from __future__ import annotations

import runpy

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import portside as ps

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film"]


class Bag(torch.nn.Module):
    """The mean of embeddings, as two scores."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = torch.nn.Embedding(len(TOKENS), 4), torch.nn.Linear(4, 2)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask[..., None].float()
        return self.head((self.table(input_ids) * mask).sum(1) / mask.sum(1))


def test_texts_have_any_length_without_being_told(tmp_path):
    texts = [" ".join(["good", "bad", "film"][: 1 + row % 3] * (1 + row % 4)) for row in range(40)]
    codec = {"text": ps.codec.WordPiece(TOKENS)}
    package = ps.pack(Bag().eval(), name="mood", examples={"text": texts}, codec=codec, out=tmp_path / "mood")
    assert [spec.shape for spec in package.signature.inputs] == [("batch", "sequence")] * 2
    long = package.predict({"text": ["good film " * 40, "bad"]})["output"]
    np.testing.assert_allclose(long[1], package.predict({"text": "bad"})["output"][0], rtol=1e-5)


@pytest.mark.slow
def test_texts_of_a_fixed_length_stay_fixed(tmp_path):
    codec = {"text": ps.codec.WordPiece(TOKENS, max_length=12, padding=12)}
    package = ps.pack(Bag().eval(), name="mood", examples={"text": ["good film", "bad"] * 20}, codec=codec, out=tmp_path / "mood")
    assert package.signature.input("input_ids").shape == ("batch", 12)


def test_a_table_in_text_labels_and_a_table_again(tmp_path):
    pandas = pytest.importorskip("pandas")
    values = np.random.default_rng(0).normal(size=(120, 2))
    table, labels = pandas.DataFrame(values, columns=["left", "right"]), np.where(values.sum(1) > 0, "up", "down")
    package = ps.pack(LogisticRegression().fit(table, labels), name="sums", examples=table, labels=labels, out=tmp_path / "sums")
    assert package.predict(table[:5])["label"].tolist() == labels[:5].tolist()
    assert package.manifest.annotations.fields["metrics"]["on_examples"]["metrics"]["accuracy"]["value"] > 0.9


def test_a_package_and_a_signature_are_shown_in_few_words(tmp_path):
    package = ps.pack(torch.nn.Linear(2, 1).eval(), name="line", examples={"input": np.eye(2, dtype=np.float32).repeat(20, 0)},
                      out=tmp_path / "line")  # fmt: skip
    assert repr(package).startswith("<Package 'line' sha256:")
    assert len(repr(package)) < 200 + len(str(tmp_path))
    assert "on_range" not in str(package.signature)
    assert str(package.signature).splitlines()[0] == "in  TensorSpec(name='input', dtype='f32', shape=['batch', 2], batch_axis=0)"


def test_a_script_that_packs_its_own_function_is_told_how(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, portside as ps\n"
        "def total(x):\n    return {'total': x.sum(1)}\n"
        f"ps.pack(total, name='total', examples={{'x': np.ones((40, 2), np.float32)}}, out={str(tmp_path / 'total')!r})\n"
    )
    with pytest.raises(ps.errors.EngineError, match=r"packs or opens host stages itself.*__main__"):
        runpy.run_path(str(script))


def test_an_image_of_any_size_needs_its_size(tmp_path):
    photos = [np.zeros((8 + row % 3, 9, 3), np.uint8) for row in range(40)]

    def featurize(photo):
        return photo.float().mean((1, 2))

    with pytest.raises(ps.errors.InputError, match=r"without its size.*photo_size.*resize_canvas"):
        ps.pack(torch.nn.Linear(3, 1).eval(), name="x", featurize=featurize, examples={"photo": photos},
                image={"photo": ps.Image(max=(16, 16))}, out=tmp_path / "x")  # fmt: skip


def test_float64_examples_of_a_float32_model_are_named(tmp_path):
    with pytest.raises(ps.errors.TraceError, match=r"differ in dtype.*float32"):
        ps.pack(torch.nn.Linear(2, 1).eval(), name="line", examples={"input": np.ones((40, 2))}, out=tmp_path / "line")


def test_artifacts_and_reports_are_shown_on_one_line(tmp_path):
    examples = {"input": np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)}
    package = ps.pack(torch.nn.Linear(2, 1).eval(), name="line", examples=examples, out=tmp_path / "line")
    artifact = ps.compile(package, out=tmp_path / "artifact")
    assert repr(artifact) == f"<Artifact of 'line' for onnx-cpu; {artifact.path}>"
    assert repr(ps.verify(artifact)) == "<Report of 'line': onnx-cpu passed>"
