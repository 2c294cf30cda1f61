"""Heads of `nn.MultiheadAttention` go: layers of its own first, which answer the same; then pruning as of any attention."""

from __future__ import annotations

import json
from itertools import product

import attention
import digits
import numpy as np
import pytest
import torch
from torch import nn

import portside as ps
from portside.compress.base import PassContext
from portside.compress.narrowing import traced
from portside.compress.prune import REPORT
from portside.compress.separating import joined, separated
from portside.compress.training.heads import Heads, obstacle
from portside.compress.training.stored import trainee_of
from portside.compress.training.structure import with_edits, with_weights
from portside.sdk.core import errors

X = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
MASKS = ("none", "attn", "heads", "padding", "both", "float")


def masks(kind, batch, heads, length, keys):
    """(attn_mask, key_padding_mask)"""
    causal = torch.ones(length, keys).triu(1).bool()
    padding = torch.zeros(batch, keys).bool()
    padding[:, -1] = True
    return {
        "none": (None, None), "attn": (causal, None), "heads": (torch.randn(batch * heads, length, keys), None), "padding": (None, padding),
        "both": (torch.randn(length, keys), padding.float() * -3), "float": (torch.randn(length, keys), None),
    }[kind]  # fmt: skip


@pytest.mark.parametrize(("first", "bias", "other"), list(product((True, False), (True, False), (None, 6))))
def test_it_answers_as_torchs_own(first, bias, other):
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(12, 3, bias=bias, batch_first=first, kdim=other, vdim=None if other is None else 7).eval()
    for held in layer.parameters():
        nn.init.normal_(held)
    made = Heads.of(layer)
    query, key, value = torch.randn(2, 5, 12), torch.randn(2, 4, other or 12), torch.randn(2, 4, 12 if other is None else 7)
    given = tuple(held if first else held.transpose(0, 1) for held in (query, key, value))
    for kind, need, average in product(MASKS, (True, False), (True, False)):
        attn, padding = masks(kind, 2, 3, 5, 4)
        options = {"key_padding_mask": padding, "need_weights": need, "attn_mask": attn, "average_attn_weights": average}
        with torch.no_grad():
            one, two = layer(*given, **options), made(*given, **options)
        torch.testing.assert_close(two, one, atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(made(query[0], key[0], value[0]), layer(query[0], key[0], value[0]), atol=1e-5, rtol=1e-4)
    assert (made.num_heads, made.embed_dim, made.head_dim) == (3, 12, 4)


@pytest.mark.parametrize(("make", "groups"), [
    (attention.make, {"attend": 2}), (attention.make_words, {"encoder.self_attn": 4, "decoder.self_attn": 4, "decoder.multihead_attn": 4}),
])  # fmt: skip
def test_heads_are_found_and_the_module_is_made_again(make, groups):
    torch.manual_seed(0)
    model = make().eval()
    with torch.no_grad():
        before = model(X)
        taken = separated(model, (X,))
        edits = [{"kind": "heads", "module": name} for name in taken]
        torch.testing.assert_close(model(X), before, atol=1e-5, rtol=1e-4)
        again = with_weights(with_edits(make().eval(), edits), model.state_dict())
        torch.testing.assert_close(again(X), before, atol=1e-5, rtol=1e-4)
    found = {group.layers[0].rpartition(".")[0]: group.size for group in traced(model, (X,), frozenset()).groups if group.width > 1}
    assert found == groups
    with torch.no_grad():
        for held in model.parameters():
            held.mul_(1.1)
        now = model(X)
        assert joined(model, taken) == []
        torch.testing.assert_close(model(X), now, atol=1e-5, rtol=1e-4)
    assert set(model.state_dict()) == set(make().state_dict())


def test_encoder_layers_train_and_answer_alike_in_both_modes():
    torch.manual_seed(0)
    model = attention.make_words().eval()
    for layer in model.modules():
        if isinstance(layer, nn.Dropout | nn.MultiheadAttention):
            (layer.p, layer.dropout) = (0.0, 0.0)
    separated(model, (X,))
    with torch.no_grad():
        calm = model(X)
    torch.testing.assert_close(model.train()(X), calm, atol=1e-5, rtol=1e-4)


def test_what_cannot_be_separated_stays():
    model = attention.Looked().eval()
    assert obstacle(model.adds) == "it adds keys of its own"
    assert obstacle(nn.MultiheadAttention(8, 1)) == "it has one head"
    assert list(separated(model, (X,))) == ["told", "free"]
    assert type(model.read) is type(model.adds) is nn.MultiheadAttention
    found = traced(model, (X,), frozenset())
    assert [group.layers[0].rpartition(".")[0] for group in found.groups] == ["free"], "weights that are told are means over all heads"
    assert separated(attention.make().eval(), (X,), ["att*"]) == {}
    with pytest.raises(errors.FormatError, match="heads to separate"):
        with_edits(digits.make(), [{"kind": "heads", "module": "head"}])


@pytest.fixture(scope="module")
def words(parts, tmp_path_factory):
    folder, few = tmp_path_factory.mktemp("words") / "words", parts[0].take(range(64))
    torch.manual_seed(0)
    ps.pack(attention.make_words().eval(), name="words", featurize=digits.featurize, predict=digits.predict,
            examples={"image": few.inputs["image"]}, labels=few.labels, out=folder,
            training=ps.Training(attention.make_words, schedule=ps.Schedule(epochs=2)))  # fmt: skip
    return ps.open(folder, trust=True)


def test_a_package_loses_heads_and_more_of_them_later(words, parts, tmp_path):
    few = parts[0].take(range(200))
    made = ps.Prune(0.6, epochs=0.2, steps=1).run(words, few, PassContext(tmp_path / "made"))
    said = json.loads(made.read(REPORT))
    cut = [name for name in said["layers"] if name.endswith(".out_proj")]
    assert cut, said
    assert all(after[0] == before[0] == 32 and after[1] in (8, 16, 24) for before, after in (said["layers"][name] for name in cut))
    assert said["macs"][1] <= 0.6 * said["macs"][0]
    again = ps.open(made.path, trust=True)
    model = trainee_of(again).model
    attentions = [layer for layer in model.modules() if isinstance(layer, Heads | nn.MultiheadAttention)]
    assert len(attentions) == 3
    assert len([layer for layer in attentions if isinstance(layer, Heads)]) == len(cut)
    assert all((layer.num_heads < 4) == isinstance(layer, Heads) for layer in attentions), "one that lost nothing is torch's own again"
    x = few.inputs["image"][:20]
    artifact = ps.load(ps.compile(again, target="onnx-cpu", out=tmp_path / "artifact"))
    with torch.no_grad():
        expected = model(digits.featurize(torch.from_numpy(x))).softmax(1)
    np.testing.assert_allclose(artifact.predict({"image": x})["probabilities"], expected, atol=1e-5)
    less = ps.Prune(0.6, epochs=0, steps=1).run(again, few, PassContext(tmp_path / "less"))
    assert sum(held.numel() for held in trainee_of(less).model.parameters()) < sum(held.numel() for held in model.parameters())


@pytest.mark.slow
@pytest.mark.long
def test_attentions_that_are_kept_stay_as_they_are(words, parts, tmp_path):
    step = ps.Prune(0.7, epochs=0, steps=1, keep=["encoder.self_attn", "decoder"])
    made = step.run(words, parts[0].take(range(64)), PassContext(tmp_path / "made"))
    assert not any(isinstance(layer, Heads) for layer in trainee_of(made).model.modules())
