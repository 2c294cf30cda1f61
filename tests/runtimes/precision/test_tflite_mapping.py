"""Nodes and operators are matched by weights, then by order; what has no operator is named."""

from __future__ import annotations

import numpy as np

from portside.runtimes.precision.tflite_fingerprints import fingerprint
from portside.runtimes.precision.tflite_mapping import place
from portside.runtimes.precision.tflite_operators import Operator
from portside.runtimes.precision.tflite_planned import in_file


def printed(name, seed, shape=(4, 6), scale=1.0):
    return fingerprint(name, "Gemm", scale * np.random.default_rng(seed).normal(size=shape).astype(np.float32), 0)


def graph(index, *seeds, scale=1.0):
    return [Operator(index, at, "FULLY_CONNECTED", (at,), (at + 1,), None if seed is None else printed(str(at), seed, scale=scale))
            for at, seed in enumerate(seeds)]  # fmt: skip


def places(found):
    return {name: [one.place for one in ones] for name, ones in found.operators.items()}


def test_nodes_are_found_in_every_signature_wherever_they_stand():
    prints = [printed("a", 1), printed("b", 2)]
    found = place(["a", "b"], prints, [graph(0, None, 2, 1), graph(1, 1, 2)])
    assert places(found) == {"a": [2, 0], "b": [1, 1]}
    assert not found.missing
    assert not found.guessed


def test_equal_weights_go_by_order_and_one_operator_may_stand_for_two_nodes():
    prints = [printed("a", 1), printed("b", 1)]
    assert places(place(["b", "a"], prints, [graph(0, 1, None, 1)])) == {"b": [2], "a": [0]}
    assert places(place(["a", "b"], prints, [graph(0, None, 1)])) == {"a": [1], "b": [1]}


def test_a_node_that_is_not_wanted_takes_its_operator_too():
    prints = [printed("first", 1), printed("second", 1)]
    assert places(place(["second"], prints, [graph(0, 1, 1)])) == {"second": [1]}


def test_weights_changed_beyond_recognition_go_by_size_and_order_where_the_counts_agree():
    prints = [printed("a", 1), printed("b", 2)]
    found = place(["a", "b"], prints, [graph(0, 8, 9)])
    assert places(found) == {"a": [0], "b": [1]}
    assert found.guessed == ("a", "b")
    assert place(["a"], prints, [graph(0, 7, 8, 9)]).missing == {"a": "0 of 1 signatures hold an operator with its weights"}


def test_a_node_that_one_signature_lacks_is_named():
    found = place(["a"], [printed("a", 1)], [graph(0, 1), graph(1, None)])
    assert not found.operators
    assert found.missing == {"a": "1 of 2 signatures hold an operator with its weights"}


def test_the_plans_ranges_are_taken_unless_a_scale_was_folded_into_the_weights():
    prints = {"a": printed("a", 1)}
    ranges = {"a": ((-1.0, 2.0), (0.0, 6.0))}
    held = in_file(place(["a"], list(prints.values()), [graph(0, 1), graph(1, 1)]), prints, ranges)
    assert {name: (float(one["min"][0]), float(one["max"][0])) for name, one in held.items()} == {
        "0/0": (-1, 2), "0/1": (0, 6), "1/0": (-1, 2), "1/1": (0, 6)}  # fmt: skip
    assert in_file(place(["a"], list(prints.values()), [graph(0, 1, scale=2)]), prints, ranges) == {}
