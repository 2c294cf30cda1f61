"""Which channels depend on which: found in the traced graph, proven by what the narrower module answers."""

from __future__ import annotations

from functools import cache
from math import prod

import digits
import numpy as np
import pytest
import torch
import widths
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from portside.compress.narrowing import narrowed, traced
from portside.compress.pruning_budget import chosen, cost, whole
from portside.compress.pruning_groups import layout
from portside.sdk.core import errors

NETS = {
    "residual": digits.make, "depthwise": widths.Depthwise, "joined": widths.Joined, "heads": widths.Heads,
    "stated": lambda: widths.Heads(stated=True),
}  # fmt: skip
X = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def net(name):
    """In eval mode, its batch norms as if they had seen something."""
    torch.manual_seed(1)
    model = NETS[name]().eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for held in (layer.weight.data, layer.bias.data, layer.running_mean, layer.running_var):
                held.copy_(torch.rand_like(held) + 0.3)
    return model


def layers(model, **options):
    """{layers: units} of every group."""
    return {group.layers: group.size for group in traced(model, (X,), frozenset(), **options).groups}


def test_groups_follow_residuals_depthwise_concat_gates_and_heads():
    assert layers(net("residual")) == {("stem.0", "inner.0"): 16, ("down.0",): 32, ("head.1",): 64}
    assert layers(net("depthwise")) == {("stem", "project.0"): 16, ("expand.0", "excite"): 32, ("squeeze",): 8}
    assert layers(net("joined")) == {("left",): 16, ("right",): 16, ("gate",): 16, ("up",): 16, ("hidden",): 24}
    assert layers(net("heads")) == {("query", "key", "value"): 6, ("inner",): 96}
    assert layers(net("stated")) == {("inner",): 96}


def test_what_is_left_says_why():
    left = layout(net("heads"), (X,)).left
    assert left == {"embed": "a norm over channels reads it", "out": "a norm over channels reads it",
                    "outer": "a norm over channels reads it", "head": "it is an output of the model"}  # fmt: skip
    assert layout(net("residual"), (X,), {"stem.0", "stem"}).left["stem.0"] == "asked for"


@cache
def known(name):
    model = net(name)
    return model, traced(model, (X,), frozenset())


def some(found, ratio, seed, round_to=1):
    """Units that a budget leaves, ranked at random."""
    random = np.random.default_rng(seed)
    scores = [random.random(group.size) for group in found.groups]
    return chosen(found, scores, ratio * cost(found, whole(found), "parameters"), "parameters", round_to)


@given(name=st.sampled_from(sorted(NETS)), ratio=st.floats(0.4, 0.99), seed=st.integers(0, 99), round_to=st.sampled_from([1, 4, 8]))
def test_whatever_goes_the_rest_answers_as_if_it_were_not_read(name, ratio, seed, round_to):
    model, found = known(name)
    try:
        alive = some(found, ratio, seed, round_to)
    except errors.InputError:
        assume(False)
    made = narrowed(model, (X,), found, alive)  # raises where it is not so
    state = made.state_dict()
    assert sum(held.numel() for held in state.values()) == cost(found, alive, "parameters")
    assert any(held.shape != model.state_dict()[key].shape for key, held in state.items())


@pytest.mark.parametrize("name", sorted(NETS))
def test_the_narrower_module_is_traced_again(name):
    model, found = known(name)
    alive = some(found, 0.7, 0)
    made = narrowed(model, (X,), found, alive)
    less = traced(made, (X,), frozenset())
    for measure in ("macs", "parameters"):
        assert cost(less, whole(less), measure) == cost(found, alive, measure)
    assert [group.size for group in less.groups] == [int(own.sum()) for own in alive]
    for layer in made.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            inner = (layer.out_channels, layer.in_channels // layer.groups)
            assert tuple(layer.weight.shape[:2]) == (inner if isinstance(layer, nn.Conv2d) else inner[::-1])


def test_products_are_counted_as_they_are_done():
    model, seen = net("depthwise"), []

    def count(layer, inputs, output):
        seen.append(layer.weight.numel() * (prod(output.shape[2:]) if isinstance(layer, nn.Conv2d) else 1))

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    found = layout(model, (X,))
    seen.clear()
    model(X)
    assert cost(found, whole(found), "macs") == sum(seen)


@pytest.mark.parametrize(("kind", "free"), [
    ("groups", {("third",): 16}), ("tied", {}), ("unknown", {("first",): 16, ("third",): 16}), ("buffer", {("first",): 16, ("third",): 16}),
    ("shuffle", {("first",): 16, ("third",): 16}),
])  # fmt: skip
def test_what_is_not_understood_stays(kind, free):
    torch.manual_seed(0)
    model = widths.Odd(kind).eval()
    if not free:
        with pytest.raises(errors.UnsupportedError, match="weights are shared"):
            layers(model)
    else:
        assert layers(model) == free


def test_a_module_that_answers_otherwise_is_refused():
    model = net("residual")
    found = layout(model, (X,))
    group = found.groups[1]
    alive = [np.ones(held.size, bool) for held in found.groups]
    alive[1][3] = False
    (reads,) = (held for held in group.members if held.role == "reads")
    reads.units[:] = np.roll(reads.units, 16)  # columns of another channel go
    with pytest.raises(errors.UnsupportedError, match="something else"):
        narrowed(model, (X,), found, alive)


def test_counts_are_round_and_the_budget_is_kept():
    model = net("residual")
    found = layout(model, (X,))
    scores = [np.arange(group.size, dtype=float) for group in found.groups]
    for measure in ("macs", "parameters"):
        for ratio in (0.8, 0.5, 0.3):
            alive = chosen(found, scores, ratio * cost(found, whole(found), measure), measure, 8)
            assert all(own.sum() % 8 == 0 for own in alive)
            assert all(own[-1] for own in alive)
            assert 0.4 * ratio < cost(found, alive, measure) / cost(found, whole(found), measure) <= ratio
    with pytest.raises(errors.InputError, match="or more"):
        chosen(found, scores, 10, "macs", 8)
