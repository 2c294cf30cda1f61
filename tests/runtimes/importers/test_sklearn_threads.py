"""A source that was trained with n_jobs answers the same each time: it is asked on one thread."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from portside.runtimes.importers.dispatch import import_model
from portside.runtimes.importers.program import ImportOptions


def test_a_forest_with_jobs_is_asked_on_one_thread():
    x = np.random.default_rng(0).random((200, 5)).round(1)
    y = (x.sum(1) > 2.5).astype(int)
    forest = RandomForestClassifier(30, n_jobs=2, random_state=0).fit(x, y)
    program = import_model(forest, ImportOptions(examples={"x": x}))
    first = program.source({"x": x})["probabilities"]
    assert all(np.array_equal(first, program.source({"x": x})["probabilities"]) for _ in range(20))
