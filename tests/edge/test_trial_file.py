"""Counts of a trial outlive a restart; those of another trial, and those that were damaged, do not count."""

from __future__ import annotations

import json

import pytest
from faulty_files import FaultyFiles

from portside.edge.files import OsFiles
from portside.edge.health import Evidence
from portside.edge.sequential import Count
from portside.edge.trial_file import SAVE_S, TRIAL, TrialFile, Which

WHICH = Which("sha256:2", 2, "sha256:1", 50.0)
FRESH = Evidence("passed", missing=(), compared=True)
SEEN = Evidence("passed", live=40, calls=Count(1, 140), outputs={"label": Count(2, 40)})


@pytest.fixture
def kept(tmp_path):
    """Its clock is `kept.now`."""
    found = TrialFile(OsFiles(), tmp_path, lambda: found.now)
    found.now = 0.0
    return found


def test_what_was_counted_is_there_after_a_restart(kept, tmp_path):
    kept.save(SEEN, WHICH)
    assert TrialFile(OsFiles(), tmp_path).restored(FRESH, WHICH) == SEEN


def test_what_is_proven_anew_is_not_taken_from_the_file(kept, tmp_path):
    kept.save(SEEN, WHICH)
    now = Evidence("not enough data", proven=True, missing=("label",), compared=False)
    found = TrialFile(OsFiles(), tmp_path).restored(now, WHICH)
    assert (found.contract, found.proven, found.missing, found.compared, found.live) == ("not enough data", True, ("label",), False, 40)


@pytest.mark.parametrize("other", [
    WHICH._replace(release="sha256:3"), WHICH._replace(sequence=3), WHICH._replace(beside=""), WHICH._replace(p95_ms=None),
])  # fmt: skip
def test_counts_of_another_trial_say_nothing(kept, other):
    kept.save(SEEN, WHICH)
    assert kept.restored(FRESH, other) == FRESH


@pytest.mark.parametrize("harm", [
    lambda text: text[:50], lambda text: text.replace(b'"live": 40', b'"live": 4000'), lambda text: b"", lambda text: b"[]",
    lambda text: json.dumps({**json.loads(text), "checksum": "sha256:0"}).encode(),
])  # fmt: skip
def test_a_damaged_file_says_nothing(kept, tmp_path, harm):
    kept.save(SEEN, WHICH)
    (tmp_path / TRIAL).write_bytes(harm((tmp_path / TRIAL).read_bytes()))
    assert kept.restored(FRESH, WHICH) == FRESH


def test_the_disk_is_written_to_now_and_then_and_at_the_end(kept, tmp_path):
    def there():
        return TrialFile(OsFiles(), tmp_path).restored(FRESH, WHICH).live

    kept.save(SEEN, WHICH)
    kept.now = SAVE_S / 2
    kept.save(SEEN.with_rows(1, {}), WHICH)
    assert there() == 40
    kept.now = SAVE_S
    kept.save(SEEN.with_rows(2, {}), WHICH)
    assert there() == 42
    kept.save(SEEN.with_rows(3, {}), WHICH, closing=True)
    assert there() == 43


def test_a_full_disk_ends_no_trial(tmp_path):
    class Full(FaultyFiles):
        def write(self, path, pieces):
            raise OSError(28, "No space left on device")

    TrialFile(Full(), tmp_path).save(SEEN, WHICH)
