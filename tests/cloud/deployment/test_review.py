"""The [review] section: what it takes, and what it says of what it does not."""

from __future__ import annotations

import pytest

from portside.cloud.deployment.file import read
from portside.sdk.core.errors import FormatError


def deployment(tmp_path, text):
    path = tmp_path / "deployment.toml"
    path.write_text(f'name = "cells"\n[champion]\npackage = "cells:1"\n[review]\n{text}\n')
    return read(path)


def test_nothing_said_is_sensible(tmp_path):
    review = deployment(tmp_path, "").review
    assert (review.lease_s, review.deadline_s, review.blind, review.instead()) == (60.0, None, "checks", "model")


@pytest.mark.parametrize("text, instead", [
    ('on_expiry = "none"', None), ('on_expiry = "model"', "model"), ("on_expiry = { label = 1 }", {"label": 1}),
], ids=["none", "model", "values"])  # fmt: skip
def test_what_happens_when_nobody_comes(tmp_path, text, instead):
    assert deployment(tmp_path, f"deadline_s = 30.0\n{text}").review.instead() == instead


@pytest.mark.parametrize("text, said", [
    ('on_expiry = "none"', "deadline_s"), ('webhook_secret_env = "X"', "without webhook"), ('webhook = "ftp://x"', "webhook"),
    ("candidates = 12", "candidates"), ("lease_s = 1.0", "lease_s"), ("leese_s = 9.0", "leese_s"), ('blind = "sometimes"', "blind"),
    ('on_expiry = "never"\ndeadline_s = 1.0', "on_expiry"), ("audio = { x = 0 }", "audio"),
], ids=["expiry", "secret", "scheme", "keys", "short", "unknown", "blind", "word", "rate"])  # fmt: skip
def test_what_cannot_be_is_refused_by_name(tmp_path, text, said):
    with pytest.raises(FormatError, match=said):
        deployment(tmp_path, text)
