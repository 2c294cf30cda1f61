"""Settings: equal where they make the same file, readable by people, strict about what does not exist."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.compress.histogram import METHODS
from portside.compress.settings import Settings
from portside.compress.structures import Structure
from portside.sdk.core.errors import InputError
from portside.sdk.core.plan import PRECISIONS

ANY = st.builds(Settings, st.sampled_from(PRECISIONS), st.sampled_from(METHODS), st.floats(51, 100), st.booleans(),
                st.lists(st.sampled_from(["main/a", "main/b", "main/c"]), unique=True).map(tuple), st.booleans())  # fmt: skip


@given(ANY)
def test_settings_survive_a_file_and_keep_their_key(settings):
    back = Settings.from_dict(json.loads(json.dumps(settings.to_dict())))
    assert back.key == settings.key
    assert back.to_dict() == settings.to_dict()
    assert back.precision == settings.precision
    assert str(settings).startswith(settings.precision)


def test_what_does_not_matter_to_a_class_is_no_part_of_its_key():
    assert Settings("int8-dynamic", "entropy", 99).key == Settings("int8-dynamic").key
    assert Settings("float16", per_channel=False).key == Settings("float16").key
    assert Settings("int8-static", "min-max", 99).key == Settings("int8-static").key
    assert Settings("float32", kept=("main/a",)).key == Settings("float32").key
    assert Settings("int8-static", smooth=True).key == Settings("int8-static").key
    assert Settings("int8-static", kept=("b", "a")).key == Settings("int8-static", kept=("a", "b")).key


def test_what_matters_is():
    keys = [Settings(), Settings("int8-dynamic"), Settings(method="percentile"), Settings(method="percentile", percentile=99.9),
            Settings(per_channel=False), Settings(kept=("main/a",)), Settings("int8-dynamic", smooth=True)]  # fmt: skip
    assert len({held.key for held in keys}) == len(keys)


def test_settings_without_smoothing_are_written_as_before_there_was_any():
    assert "smooth" not in Settings("int8-dynamic").to_dict()
    assert Settings("int8-dynamic", smooth=True).to_dict()["smooth"] is True
    plain = (Settings("int8-dynamic"), Settings("int8-dynamic", kept=("a",)), Settings("int8-static", smooth=True))
    assert [held.lowering for held in plain] == ["int8-dynamic", "int8-dynamic", "int8-static"]
    assert Settings("int8-dynamic", smooth=True).lowering == "int8-dynamic.smoothed"


def test_only_static_int8_is_calibrated():
    assert [precision for precision in PRECISIONS if Settings(precision).calibrated] == ["int8-static"]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (Settings("int8-static", "percentile", 99.9, False, ("a", "b")), "int8-static, percentile 99.9, per tensor, 2 kept in float32"),
        (Settings("int8-dynamic", kept=("a",), smooth=True), "int8-dynamic, smoothed, 1 kept in float32"),
        (Settings("int8-dynamic"), "int8-dynamic"), (Settings("float32", kept=("a",)), "float32"),
    ],
)  # fmt: skip
def test_people_read(settings, text):
    assert str(settings) == text


@pytest.mark.parametrize(
    ("data", "field"), [({"precision": "int3"}, "precision"), ({"method": "best"}, "calibration"), ({"bits": 8}, "bits")]
)
def test_what_does_not_exist_is_refused_by_name(data, field):
    with pytest.raises(InputError) as caught:
        Settings.from_dict(data)
    assert caught.value.field == field


STEPS = st.lists(st.builds(lambda ratio, epochs: {"kind": "prune", "ratio": ratio, "epochs": epochs}, st.floats(0.01, 0.99),
                           st.integers(0, 9)), max_size=3).map(tuple)  # fmt: skip
STRUCTURES = st.builds(Structure, STEPS, st.floats(0.01, 1))


@given(STRUCTURES, ANY)
def test_structures_survive_a_file_and_keep_their_key(structure, settings):
    back = Structure.from_dict(json.loads(json.dumps(structure.to_dict())))
    assert (back, back.key, hash(back)) == (structure, structure.key, hash(structure))
    both = settings.of(structure)
    assert Settings.from_dict(json.loads(json.dumps(both.to_dict()))).key == both.key
    assert (both.key == settings.key) == (not structure) and ("structure" in both.to_dict()) == bool(structure)


def test_a_structure_is_what_it_does_and_how_long_it_learned():
    whole = Structure(({"kind": "prune", "ratio": 0.3, "epochs": 0}, {"kind": "distil", "epochs": 9}))
    cut = Structure(({"kind": "forest", "ratio": 0.2},))
    assert str(whole.at(1 / 9)) == "prune 0.3, distil (1/9 of its training)" and str(Settings("float16").of(cut)) == "forest 0.2; float16"
    assert whole.at(1 / 3).key != whole.key and whole.at(1) == whole
    assert not cut.trains and cut.at(1 / 9) == cut
    assert Settings("float32").as_it_was and not Settings("float32").of(cut).as_it_was
    with pytest.raises(InputError, match="share"):
        whole.at(0)
