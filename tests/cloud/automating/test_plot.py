"""The trade-off as a picture: it is well-formed, says what it shows, and holds the curve."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from portside.cloud.automating.costs import Costs
from portside.cloud.automating.fitting import fit
from portside.cloud.automating.plot import Mark, plot


def drawn(rows, share=1.0):
    dice = np.random.default_rng(0)
    scores = dice.random(rows)
    return fit(scores, dice.random(rows) < scores * share, target_error=0.1)


@pytest.mark.parametrize(("rows", "share", "fitted"), [(2000, 1.0, True), (2000, 0.5, False), (0, 1.0, False)])
def test_a_plot_is_one_svg(rows, share, fitted):
    text = plot(drawn(rows, share), Costs(review_s=12), 0.05, [Mark("all by the model <&>", 1.0, 0.25)])
    root = ElementTree.fromstring(text)  # noqa: S314  our own
    assert root.tag.endswith("svg") and root.get("role") == "img" and "target 0.1" in root.get("aria-label")
    words = [node.text for node in root.iter() if node.tag.endswith("text")]
    assert "all by the model <&>: 25.0%" in words and "3.3 h" in words
    assert any("threshold" in word for word in words) == fitted
    assert ("class='curve'" in text) == (rows > 0) and "NaN" not in text and "nan" not in text
