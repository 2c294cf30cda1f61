"""The space of a search: what leads to which settings, and back."""

from __future__ import annotations

import pytest

from portside.compress.settings import Settings
from portside.compress.space import Space

NAMES = ["main/a", "main/b", "main/c", "main/d"]
CLASSES = ("int8-dynamic", "float16")


def space(smooths=True):
    """Smoothed, other nodes hurt most, and fewer."""
    return Space(CLASSES, lambda settings: NAMES[1::-1] if settings.smoothed else NAMES, smooths)


@pytest.mark.parametrize("smooths", [True, False])
def test_every_setting_leads_back_to_its_choices(smooths):
    held = list(space(smooths).every())
    assert len({one.key for one in held}) == (2 * (3 + 2) if smooths else 2 * 3) + 3
    assert any(one.smoothed for one in held) is smooths
    for settings in held:
        values = space(smooths).values(settings)
        assert values is not None
        assert space(smooths).choose(lambda name, _, values=values: values[name][0]) == settings
        assert ("smooth" in values) is (smooths and settings.precision == "int8-dynamic")


def test_nodes_are_kept_in_the_order_of_their_own_lowering():
    picked = {"precision": "int8-dynamic", "per_channel": True, "kept.int8-dynamic": 1, "kept.int8-dynamic.smoothed": 1}
    assert space().choose(lambda name, _: picked.get(name, True)) == Settings("int8-dynamic", kept=("main/b",), smooth=True)
    assert space().choose(lambda name, _: picked.get(name, False)) == Settings("int8-dynamic", kept=("main/a",))


def test_what_no_choices_lead_to():
    assert space(smooths=False).values(Settings("int8-dynamic", smooth=True)) is None
    assert space().values(Settings("int8-dynamic", kept=("main/b",))) is None
    assert space().values(Settings("int8-static")) is None
