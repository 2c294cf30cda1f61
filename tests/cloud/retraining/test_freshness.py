"""The freshness experiment: where the world turns older rows teach worse, where it does not they do not, and nothing is trained twice."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from packages import SIGNATURE
from released import MINUTE, NOW, made

from portside.cloud.releasing.labelled import Front
from portside.cloud.retraining.freshness import Windows, experiment
from portside.cloud.retraining.freshness_plot import plot
from portside.cloud.review.dataset import Options
from portside.cloud.review.gathering import Labelled
from portside.cloud.review.payload import parts
from portside.sdk.core.codec.step import WireField
from portside.sdk.core.errors import InputError
from portside.sdk.core.labels import Label

FRONT = Front("tester", SIGNATURE, (WireField("x", "tensor", False, ("x",)),), "label")
DAY = 24 * 60 * MINUTE


def rows(count, turn):
    """Labelled rows over 100 days; the rule that is right turns by `turn` radians meanwhile."""
    x = np.random.default_rng(1).normal(size=(count, 3)).astype(np.float32)
    angles = turn * np.arange(count) / count
    right = (x[:, 0] * np.cos(angles) + x[:, 1] * np.sin(angles) > 0).astype(int)
    times = [NOW + int(100 * DAY * place / count) for place in range(count)]
    return [Labelled("", f"r{place:05}", 0, "tester", "sha256:1", None, times[place], 1.0, "outcome", "label", 0,
                     Label(f"l{place:05}", f"r{place:05}", 0, {"label": int(right[place])}, "ana", times[place] + 1),
                     tuple(parts({"x": x[place].tolist()}))) for place in range(count)]  # fmt: skip


def found(folder, turn, count=4):
    trained = []

    def train(dataset, out):
        trained.append(dataset.digest)
        data = dataset.data("train")
        weights = np.linalg.lstsq(np.asarray(data.inputs["x"], np.float64), 2.0 * data.labels - 1, rcond=None)[0]
        made(out.parent / f"work{len(trained)}", "inner", (3 * weights).tolist()).path.rename(out)

    champion = made(folder, "old", (1.0, 0.0, 0.0))
    windows = Windows.of(rows(2000, turn), count, 0.2)
    options = Options(fractions={"train": 0.8, "test": 0.2})
    return trained, experiment(windows, FRONT, options, champion, train, {"command": "fit"}, folder / "work")


def test_where_the_world_turns_older_rows_teach_worse(tmp_path):
    trained, held = found(tmp_path, np.pi / 2)
    values = [point.quality.value for point in held.points]
    assert len(trained) == 4 and values == sorted(values, reverse=True) and values[0] > 0.8 > 0.65 > values[-1]
    assert held.metric == "accuracy" and held.today == 400 and all(point.rows == 400 for point in held.points)
    ages = [point.age_days for point in held.points]
    assert np.allclose(np.diff(ages), 20, atol=0.1) and ages[0] < 0.1
    assert held.verdict == "age costs" and held.points[-1].loss.low > 0.05 and held.points[0].loss is None
    assert held.champion.value < values[-1]
    assert json.loads((tmp_path / "work" / "freshness.json").read_text()) == json.loads(json.dumps(held.to_dict()))


@pytest.mark.slow
@pytest.mark.long
def test_where_it_stands_still_age_does_not_show(tmp_path):
    _, held = found(tmp_path, 0.0, count=3)
    assert held.verdict == "age does not show" and min(point.quality.value for point in held.points) > 0.95
    assert all(point.loss.low <= 0 <= point.loss.high + 0.02 for point in held.points[1:])


@pytest.mark.slow
@pytest.mark.long
def test_what_was_trained_is_not_trained_again(tmp_path):
    first, held = found(tmp_path, 1.0, count=2)
    assert len(first) == 2
    (tmp_path / "old").rename(tmp_path / "moved")
    (tmp_path / "old-first").rename(tmp_path / "moved-first")
    again, same = found(tmp_path, 1.0, count=2)
    assert not again and same == held


def test_windows_are_equal_parts_of_what_came_before_today():
    windows = Windows.of(list(reversed(rows(1003, 0.0))), 4, 0.2)
    assert [len(part) for part in windows.parts] == [200] * 4 and len(windows.today) == 201
    keys = [row.key for part in (*reversed(windows.parts), windows.today) for row in part]
    assert keys == sorted(keys) and len(set(keys)) == 1001  # two rows are older than the oldest window
    with pytest.raises(InputError, match="too few"):
        Windows.of(rows(120, 0.0), 4, 0.2)


def test_the_plot_is_one_figure_that_says_what_it_shows(tmp_path):
    _, held = found(tmp_path, 1.0, count=2)
    figure = ET.fromstring(plot(held))  # noqa: S314  our own
    assert "age of the training data" in figure.get("aria-label") and held.verdict in figure.get("aria-label")
    circles = [part for part in figure.iter() if part.tag.endswith("circle")]
    assert len(circles) == 2 and float(circles[0].get("cx")) > float(circles[1].get("cx"))
