"""The manifest: every field makes the round trip, unknown ones too; text with two meanings is refused; digests are of content alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.canonical import canonical_json, digest_of, read_json
from portside.sdk.core.errors import FormatError, IntegrityError, PortsideError
from portside.sdk.core.manifest import Annotations, Content, FileEntry, Manifest, Stage
from portside.sdk.core.signature import DTYPES, KINDS, Signature, StatePair, TensorSpec

WORDS = st.text(st.characters(codec="utf-8"), max_size=8)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63) | FLOATS | WORDS,
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=6)  # fmt: skip
OBJECTS = st.dictionaries(WORDS, JSON, max_size=3)
EXTRA = st.dictionaries(NAMES.map("new-".__add__), JSON, max_size=2)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
DIGESTS = HEX.map("sha256:".__add__)
SHAPES = st.lists(st.integers(0, 2**40) | NAMES, min_size=1, max_size=4).map(tuple)
TUPLES = st.lists(NAMES, max_size=3).map(tuple)


@st.composite
def specs(draw: st.DrawFn, name: str) -> TensorSpec:
    shape = draw(SHAPES)
    return TensorSpec(
        name=name, dtype=draw(st.sampled_from(DTYPES)), shape=shape, batch_axis=draw(st.none() | st.integers(0, len(shape) - 1)),
        unit=draw(st.none() | WORDS), range=draw(st.none() | st.tuples(FLOATS, FLOATS)),
        on_range=draw(st.sampled_from(["flag", "reject", "clamp"])), categories=draw(st.none() | TUPLES),
        on_unknown=draw(st.sampled_from(["flag", "reject"])), missing=draw(st.booleans()), required=draw(st.booleans()),
        default=draw(st.none() | FLOATS | st.integers(-9, 9) | WORDS), kind=draw(st.none() | st.sampled_from(KINDS)),
        top_k=draw(st.none() | st.integers(1, 9)), canvas=draw(st.none() | st.tuples(st.integers(1, 9), st.integers(1, 9))),
        redact=draw(st.booleans()), stays_on_device=draw(st.booleans()), extra=draw(EXTRA),
    )  # fmt: skip


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    inputs = [draw(specs(name)) for name in draw(st.lists(NAMES, unique=True, max_size=3))]
    outputs = [draw(specs(name)) for name in draw(st.lists(NAMES, unique=True, max_size=3))]
    pairs = st.builds(StatePair, NAMES, NAMES, SHAPES, FLOATS | st.lists(FLOATS, max_size=3), EXTRA)
    return Signature(tuple(inputs), tuple(outputs), tuple(draw(st.lists(pairs, max_size=2))), draw(EXTRA))


ENTRIES = st.builds(FileEntry, HEX, st.integers(0, 2**50), EXTRA)
STAGES = st.builds(Stage, st.sampled_from(["graph", "trees", "host"]), NAMES, NAMES, TUPLES, TUPLES, st.none() | NAMES, TUPLES,
                   st.none() | NAMES, EXTRA)  # fmt: skip
CONTENTS = st.builds(
    Content, signature=signatures(), stages=st.lists(STAGES, max_size=3).map(tuple), files=st.dictionaries(NAMES, ENTRIES, max_size=3),
    codec=st.lists(OBJECTS, max_size=2).map(tuple), boundaries=st.dictionaries(WORDS, TUPLES, max_size=2), plan=st.none() | OBJECTS,
    evidence=st.none() | DIGESTS, recipe=st.lists(OBJECTS, max_size=2).map(tuple), parents=st.lists(DIGESTS, max_size=2).map(tuple),
    extra=EXTRA,
)  # fmt: skip
ANNOTATIONS = st.builds(Annotations, NAMES, OBJECTS, st.dictionaries(NAMES, ENTRIES, max_size=2), EXTRA)
MANIFESTS = st.builds(Manifest, CONTENTS, ANNOTATIONS, extra=EXTRA)


@given(MANIFESTS)
def test_every_field_makes_the_round_trip(manifest: Manifest) -> None:
    text = manifest.to_json()
    again = Manifest.from_json(text.encode())
    assert again == manifest
    assert again.to_json() == text
    assert [e.extra for e in again.content.files.values()] == [manifest.content.files[k].extra for k in again.content.files]


@given(MANIFESTS, OBJECTS, NAMES)
def test_annotations_do_not_move_the_digest(manifest: Manifest, fields: dict[str, Any], name: str) -> None:
    noted = replace(manifest, annotations=Annotations(name, fields), extra={"new-top": 1})
    assert noted.digest == manifest.digest
    assert Manifest.from_json(noted.to_json()).annotations.fields == fields


@given(CONTENTS, CONTENTS)
def test_other_content_has_another_digest(one: Content, other: Content) -> None:
    assert (one.digest == other.digest) == (canonical_json(one.to_dict()) == canonical_json(other.to_dict()))


def test_unknown_fields_are_kept_at_every_level() -> None:
    data = json.loads(_manifest().to_json())
    places = (data, data["content"], data["content"]["stages"][0], data["content"]["signature"], data["content"]["signature"]["inputs"][0],
              data["content"]["signature"]["state"][0], data["content"]["files"]["program/a"], data["annotations"])  # fmt: skip
    for number, place in enumerate(places):
        place[f"later_{number}"] = {"n": number}
    again = Manifest.from_json(_sealed(data)).to_json()
    assert json.loads(again) == data


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"format": 1, "format": 1}', "stands twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"a": "\\ud800"}', "surrogates"),
        (b"[" * 100_000, "recursion"),
        (b'{"a": "\xff"}', "utf-8"),
        (b"", "Expecting value"),
        (b"[1, 2]", "not a JSON object"),
        (b"{}", "not a Portside manifest"),
        (b'{"format": true, "content": {}}', "format version"),
        (b'{"format": 1.0, "content": {}}', "format version"),
        (b'{"format": 3, "content": {}}', "pip install --upgrade"),
        (b'{"format": [1], "content": {}}', "format version"),
    ],
)
def test_text_that_is_no_manifest_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(FormatError, match=f"(?is){says}"):
        Manifest.from_json(text)


def test_a_key_twice_deep_inside_is_refused() -> None:
    text = _manifest().to_json().replace('"kind": "graph",', '"kind": "graph", "kind": "host",')
    with pytest.raises(FormatError, match="'kind' stands twice"):
        Manifest.from_json(text)


def test_another_content_under_the_same_digest_is_refused() -> None:
    text = _manifest().to_json().replace('"main"', '"mian"')
    with pytest.raises(IntegrityError, match="not what its digest says"):
        Manifest.from_json(text)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("stages", [{"kind": "pickle", "name": "a", "file": "f", "inputs": [], "outputs": []}]),
        ("stages", [{"kind": "graph", "name": 3, "file": "f", "inputs": [], "outputs": []}]),
        ("stages", [{"kind": "graph", "name": "a", "file": "f", "inputs": "xy", "outputs": []}]),
        ("stages", [{"kind": "graph", "name": "a", "file": "f", "inputs": [], "outputs": [], "function": ""}]),
        ("stages", [7]),
        ("stages", None),
        ("signature", []),
        ("signature", {"inputs": [{"name": "x", "dtype": "complex", "shape": [], "batch_axis": None}]}),
        ("files", {"program/a": {"sha256": "A" * 64, "size": 1}}),
        ("files", {"program/a": {"sha256": "a" * 63 + "\n", "size": 1}}),
        ("files", {"program/a": {"sha256": "a" * 64, "size": True}}),
        ("files", {"program/a": {"sha256": "a" * 64, "size": -1}}),
        ("files", {"program/a": 1}),
        ("files", [1]),
        ("parents", ["latest"]),
        ("parents", "sha256:" + "a" * 64),
        ("evidence", "sha256:" + "A" * 64),
        ("codec", [1]),
        ("boundaries", {"features": "x"}),
    ],
)
def test_a_malformed_field_is_one_typed_error(where: str, value: Any) -> None:
    data = json.loads(_manifest().to_json())
    data["content"][where] = value
    with pytest.raises(FormatError):
        Manifest.from_json(_sealed(data))


@given(MANIFESTS, st.data())
def test_any_other_json_in_any_place_is_a_typed_error_or_makes_the_round_trip(manifest: Manifest, data: st.DataObject) -> None:
    held = json.loads(manifest.to_json())
    place = data.draw(st.sampled_from(sorted(held["content"])))
    held["content"][place] = data.draw(JSON)
    try:
        again = Manifest.from_json(_sealed(held))
    except PortsideError:
        return
    assert again.digest == held["digest"]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def put(data: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value


@given(st.data())
def test_any_json_at_any_depth_is_a_typed_error_or_keeps_every_type(data: st.DataObject) -> None:
    held = json.loads(_manifest(full=True).to_json())
    put(held, data.draw(st.sampled_from(places(held["content"])[1:]).map(("content",).__add__)), data.draw(JSON))
    try:
        again = Manifest.from_json(_sealed(held))
    except PortsideError:
        return
    assert again.digest == held["digest"]
    for spec in (*again.content.signature.inputs, *again.content.signature.outputs):
        assert isinstance(spec.name, str) and isinstance(spec.missing, bool) and all(isinstance(size, int | str) for size in spec.shape)
        assert spec.range is None or [type(number) in (int, float) for number in spec.range] == [True, True]
        assert spec.categories is None or all(isinstance(name, str) for name in spec.categories)
    for stage in again.content.stages:
        assert all(isinstance(text, str) for text in (stage.name, stage.file, stage.function or "", *stage.inputs, *stage.only))


@given(JSON)
def test_canonical_json_is_one_text_for_one_value(value: Any) -> None:
    text = canonical_json(value)
    assert canonical_json(read_json(text, "it")) == text
    assert digest_of(value) == digest_of(read_json(text, "it"))


def test_values_that_json_cannot_hold_are_named() -> None:
    with pytest.raises(FormatError, match="cannot"):
        _manifest().annotate(seen={1, 2}).to_json()
    with pytest.raises(FormatError, match="cannot"):
        _manifest().annotate(accuracy=float("nan")).to_json()


def test_the_program_digest_covers_the_program_alone() -> None:
    base = _manifest().content
    assert replace(base, recipe=({"pass": "prune"},)).program_digest == base.program_digest
    assert replace(base, recipe=({"pass": "prune"},)).digest != base.digest
    assert replace(base, files={"program/a": FileEntry("b" * 64, 1)}).program_digest != base.program_digest
    assert replace(base, files={**base.files, "codec/a": FileEntry("b" * 64, 1)}).program_digest == base.program_digest


def test_a_native_stage_raises_the_format_and_others_do_not() -> None:
    plain = _manifest()
    assert (plain.format, Manifest.from_json(plain.to_json()).format) == (1, 1)
    stage = Stage("native", "main", "program/a", ("x",), ("y",), only=("tflite",), extra={"plan": {"fill": 1.0}})
    native = Manifest(replace(plain.content, stages=(stage,)))
    assert native.format == 2
    again = Manifest.from_json(native.to_json())
    assert again == native
    assert again.content.stages[0].extra == {"plan": {"fill": 1.0}}


def test_a_native_stage_in_a_manifest_of_format_1_is_refused() -> None:
    stage = Stage("native", "main", "program/a", ("x",), ("y",), only=("tflite",))
    data = Manifest(replace(_manifest().content, stages=(stage,))).to_dict()
    with pytest.raises(FormatError, match="newer format than it states"):
        Manifest.from_json(_sealed({**data, "format": 1}))


def _manifest(full: bool = False) -> Manifest:
    extras = {"range": (0.0, 1.0), "categories": ("a",), "default": 1, "canvas": (3, 4), "missing": True, "unit": "mm"}
    more: dict[str, Any] = extras if full else {}
    first = TensorSpec("x", "f32", ("batch", 3), **more)
    signature = Signature((first,), (TensorSpec("y", "f32", ("batch",), kind="ranking", top_k=3),), (StatePair("y", "x", (1,)),))
    stage = Stage("graph", "main", "program/a", ("x",), ("y",))
    return Manifest(Content(signature, (stage,), {"program/a": FileEntry("a" * 64, 1)}))


def _sealed(data: dict[str, Any]) -> str:
    """The manifest with the digest that its content has, as an attacker would write it."""
    data["digest"] = digest_of(data["content"])
    return json.dumps(data)
