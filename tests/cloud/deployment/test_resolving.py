"""From a deployment to what can be loaded: digests, trust, artifacts that are kept, outputs that fit together."""

import tomllib
from dataclasses import replace

import numpy as np
import packages
import pytest

from portside.cloud.deployment.file import read
from portside.cloud.deployment.resolving import check_inputs, resolve
from portside.cloud.host import Host
from portside.sdk.core.errors import FormatError, IntegrityError, PortsideError, TrustError
from portside.sdk.core.package import annotate, open_folder
from portside.sdk.core.signature import Signature


def resolved(file, **swaps):
    text = file.read_text()
    for old, new in swaps.values():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return resolve(read(file))


@pytest.fixture
def file(tmp_path):
    return packages.deployment(tmp_path)


def test_packages_become_digests_and_artifacts_that_are_kept(file, home):
    first = resolve(read(file))
    assert first.champion.digest.startswith("sha256:") and first.champion.artifact.verified["verdict"] == "passed"
    assert first.champion.artifact.path.is_relative_to(home)
    before = (first.champion.artifact.path / "artifact.json").stat().st_mtime_ns
    second = resolve(read(file))
    assert (second.champion.artifact.path / "artifact.json").stat().st_mtime_ns == before
    assert second.digest == first.digest


def test_what_callers_may_know_of_a_model_is_told_at_the_door(file):
    found = resolve(read(file))
    artifact = found.champion.artifact
    told = {"name": "main", "version": found.champion.digest, "target": artifact.target, "artifact": artifact.digest, "lossy": False}
    for invariant in (True, False):
        champion = replace(found.champion, artifact=replace(artifact, batch_invariant=invariant))
        document = Host(replace(found, entries=(champion, *found.entries[1:]))).openapi
        assert document["info"]["x-portside-models"][0] == {**told, "batch_invariant": invariant}
        assert [model["name"] for model in document["info"]["x-portside-models"]] == ["main", "backup"], "a default is no model"


def test_a_damaged_kept_artifact_is_replaced(file):
    path = resolve(read(file)).champion.artifact.path
    victim = next(path.glob("host/*.py"))
    victim.write_text("raise SystemExit")
    assert resolve(read(file)).champion.artifact.path == path
    assert victim.read_text() != "raise SystemExit"


def test_a_default_is_held_against_the_signature(file):
    row = resolve(read(file)).entries[-1]
    assert row["label"].tolist() == [1] and row["label"].dtype == np.int64 and row["score"].dtype == np.float32


@pytest.mark.parametrize(
    ("default", "says"),
    [
        ('{ label = "bad" }', "lacks output 'score'"), ('{ label = "bad", score = 0.5, x = 1 }', "unknown output 'x'"),
        ('{ label = "ugly", score = 0.5 }', "'label'"), ("{ label = 7, score = 0.5 }", "'label'"),
        ('{ label = "bad", score = "high" }', "'score'"), ('{ label = "bad", score = nan }', "'score'"),
        ('{ label = "bad", score = [0.1, 0.2] }', "'score'"),
    ],
)  # fmt: skip
def test_a_default_that_is_no_answer_is_refused(file, default, says):
    with pytest.raises(FormatError, match=says) as caught:
        resolved(file, a=('{ label = "bad", score = 0.5 }', default))
    assert "number 2" in str(caught.value)


def test_a_backup_with_other_outputs_is_refused(tmp_path):
    file = packages.deployment(tmp_path / "d")
    wide = replace(packages.SIGNATURE.output("score"), shape=("batch", 1))
    signature = Signature(packages.SIGNATURE.inputs, (packages.SIGNATURE.output("label"), wide))
    source = packages.BACKUP.replace("score.astype(np.float32)", "score.astype(np.float32)[:, None]")
    packages.host_package(tmp_path / "d" / "other", source, "other", signature)
    with pytest.raises(FormatError, match="'score' is not like the champion's"):
        resolved(file, a=('package = "backup"', 'package = "other"'))


def test_a_backup_that_lacks_an_output_is_refused(tmp_path):
    from portside.cloud.deployment.resolving import check_outputs

    less = Signature((), (packages.SIGNATURE.output("label"),))
    with pytest.raises(FormatError, match="lacks the output 'score'"):
        check_outputs(less, packages.SIGNATURE, "here")


def test_a_backup_answers_what_callers_send(file):
    champion = resolve(read(file)).champion
    one, two = champion.signature.inputs[0], replace(champion.signature.inputs[0], name="height")
    wider = replace(champion, artifact=replace(champion.artifact, signature=Signature((one, two), champion.signature.outputs)))
    check_inputs(champion, wider, "here")  # some of the fields are enough
    with pytest.raises(FormatError, match="here: the backup takes the field 'height', which the champion's callers do not send"):
        check_inputs(wider, champion, "here")


def test_a_backup_without_missing_values_is_warned_of(tmp_path, caplog, file):
    found = resolve(read(file))
    champion = found.champion
    inputs = champion.signature.inputs
    holes = Signature((replace(inputs[0], missing=True), *inputs[1:]), champion.signature.outputs)
    wider = replace(champion, artifact=replace(champion.artifact, signature=holes))
    check_inputs(champion, wider, "d.toml line 6")
    assert f"the backup takes no missing {inputs[0].name!r}" in caplog.text
    caplog.clear()
    check_inputs(wider, champion, "d.toml line 6")
    assert caplog.text == ""


def test_host_stages_need_trust_in_the_file(file):
    with pytest.raises(TrustError, match=r"\[champion\]") as caught:
        resolved(file, a=("trust = true\nkill", "kill"))
    assert "trust" in str(caught.value)


def test_a_pinned_digest_is_enforced(file):
    with pytest.raises(IntegrityError, match=r"\[champion\]"):
        resolved(file, a=('isolation = "process"', 'isolation = "process"\ndigest = "sha256:' + "0" * 64 + '"'))


def test_a_package_that_is_not_there_names_the_entry(file):
    with pytest.raises(PortsideError, match=r"\.toml line \d+, \[\[failover.chain\]\] number 1"):
        resolved(file, a=('package = "backup"', 'package = "nowhere"'))


def test_an_artifact_of_another_package_is_refused(file):
    artifact = resolve(read(file)).entries[1].artifact.path
    with pytest.raises(IntegrityError, match="another package"):
        resolved(file, a=('isolation = "process"', f'isolation = "process"\nartifact = "{artifact}"'))


def test_a_model_is_called_as_its_package_is(file):
    """Artifacts are kept by content: two packages that differ in name alone share one, and keep their names."""
    reference = tomllib.loads(file.read_text())["champion"]["package"]
    first = resolve(read(file)).champion
    annotate(open_folder(file.parent / reference), name="renamed")
    second = resolve(read(file)).champion
    assert second.artifact.path == first.artifact.path and second.digest == first.digest
    assert (first.name, second.name) == (first.artifact.name, "renamed")
