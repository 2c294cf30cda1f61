"""What a file says of itself: dtypes of its weights, operators, and weights that every signature shares."""

from portside.runtimes.tflite.cost import estimates, filled
from portside.runtimes.tflite.plan import Plan
from portside.runtimes.tflite.weights import operators, weights_bytes


def only(artifact):
    (file, plan), = artifact.engine["plans"].items()
    return artifact.path / file, Plan.from_dict(plan)


def test_bytes_of_weights_by_dtype(mixed_artifact):
    _, artifact = mixed_artifact
    file, _ = only(artifact)
    held = weights_bytes([file])
    assert held == artifact.engine["weights_bytes"]
    assert held["float"] >= 4 * (12 + 3 + 3)  # weight, bias, step
    assert sum(held.values()) < file.stat().st_size


def test_operators_are_counted_by_name(mixed_artifact):
    file, _ = only(mixed_artifact[1])
    counts = operators(file)
    assert counts["SOFTMAX"] == counts["ARG_MAX"] == 1
    assert counts["FULLY_CONNECTED"] == 1


def test_eight_rows_cost_a_small_network_little_more_than_one(mixed_artifact):
    file, plan = only(mixed_artifact[1])
    costs = estimates(file)
    assert set(costs) == {"batch1", "batch8"}
    assert costs["batch1"] < costs["batch8"] < 2 * costs["batch1"]
    assert filled(plan, file).fill == plan.fill < 0.25
