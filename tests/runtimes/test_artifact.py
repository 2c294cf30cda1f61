"""An artifact's seal: any edit of artifact.json, and any other file than listed, is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portside.runtimes.artifact import amend, open_artifact, read_artifact
from portside.runtimes.base import CompileOptions
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.sdk.core.canonical import digest_of
from portside.sdk.core.errors import FormatError, IntegrityError


@pytest.fixture
def artifact(mixed, tmp_path):
    return OnnxCpu().compile(mixed[1], CompileOptions(), tmp_path / "artifact")


def paths_of(value, path=()):
    """Paths of all leaves of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in paths_of(item, (*path, key))] or [path]


def other(value):
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}x"


def changed(data, path):
    copy = json.loads(json.dumps(data))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = other(inner[path[-1]])
    return copy


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_edit_of_the_description_is_refused(artifact, data):
    location = artifact.path / "artifact.json"
    original = location.read_text()
    described = json.loads(original)
    location.write_text(json.dumps(changed(described, data.draw(st.sampled_from(paths_of(described))))))
    try:
        with pytest.raises((IntegrityError, FormatError)):
            open_artifact(artifact.path)
    finally:
        location.write_text(original)
    assert open_artifact(artifact.path).digest == artifact.digest


def test_a_field_more_is_refused_too(artifact):
    location = artifact.path / "artifact.json"
    location.write_text(json.dumps({**json.loads(location.read_text()), "surprise": 1}))
    with pytest.raises(IntegrityError, match="changed"):
        open_artifact(artifact.path)


def test_what_was_measured_is_sealed_and_does_not_move_the_digest(artifact):
    amended = amend(artifact, batch_invariant=True, verified={"verdict": "passed"})
    assert amended.digest == artifact.digest
    assert open_artifact(artifact.path).verified == {"verdict": "passed"}
    text = (artifact.path / "artifact.json").read_text()
    (artifact.path / "artifact.json").write_text(text.replace('"batch_invariant": true', '"batch_invariant": false'))
    with pytest.raises(IntegrityError):
        read_artifact(artifact.path)


def test_an_artifact_can_be_pinned(artifact):
    assert open_artifact(artifact.path, artifact.digest).digest == artifact.digest
    with pytest.raises(IntegrityError, match="asked for"):
        open_artifact(artifact.path, "sha256:" + "0" * 64)


def test_links_are_refused(artifact, tmp_path):
    file = next((artifact.path / "engine").iterdir())
    moved = tmp_path / "elsewhere.onnx"
    file.rename(moved)
    file.symlink_to(moved)
    with pytest.raises(IntegrityError, match="links"):
        open_artifact(artifact.path)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"format": 1}', '{"format": 99}', "[" * 100_000])
def test_what_is_no_description_is_a_format_error(tmp_path, text):
    (tmp_path / "artifact.json").write_text(text)
    with pytest.raises(FormatError):
        open_artifact(tmp_path)


def test_an_artifact_of_a_newer_portside_says_what_to_upgrade(artifact):
    location = artifact.path / "artifact.json"
    location.write_text(location.read_text().replace('"format": 1', '"format": 2', 1))
    with pytest.raises(FormatError, match=r"unknown format version; got 2; expected 1\. Run: pip install --upgrade portside"):
        open_artifact(artifact.path)


def test_a_description_with_two_meanings_is_refused(artifact):
    """Other readers, the one in a page among them, may take the other of two values; the seal is over what was read."""
    location = artifact.path / "artifact.json"
    location.write_text(location.read_text().replace('"target":', '"target": "other", "target":', 1))
    with pytest.raises(FormatError, match="'target' stands twice"):
        open_artifact(artifact.path)


def test_only_listed_files_are_read(artifact):
    with pytest.raises(FormatError, match=r"no file"):
        artifact.read("../mixed/manifest.json")
    (artifact.path / "contract" / "contract.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError, match=r"contract\.json"):
        artifact.read("contract/contract.json")


@pytest.mark.parametrize(
    "change",
    [
        {"built": 5}, {"verified": 5}, {"codec": [5]}, {"codec": "ab"}, {"engine": {"segments": [5]}}, {"engine": {"segments": "ab"}},
        {"engine": {"taps": 5}}, {"engine": {"taps": {"features": 5}}}, {"engine": {"taps": {"features": [5]}}},
        {"engine": []}, {"name": 5}, {"package": None}, {"batch_invariant": "yes"}, {"stages": [5]},
    ],
)  # fmt: skip
def test_a_description_of_other_types_is_malformed(artifact, change):
    """Sealed by whoever wrote it, so the seal does not help."""
    path = artifact.path
    data = {**json.loads((path / "artifact.json").read_text()), **change}
    data["seal"] = digest_of({key: value for key, value in data.items() if key != "seal"})
    (path / "artifact.json").write_text(json.dumps(data))
    with pytest.raises((FormatError, IntegrityError)):
        open_artifact(path)
