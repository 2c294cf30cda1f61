"""The [records] section: where records go, without a secret in the file."""

import pytest
from pydantic import ValidationError

from portside.cloud.deployment.file import read
from portside.cloud.deployment.records import Records
from portside.cloud.records.finding import place_of
from portside.sdk.core.errors import FormatError


def test_records_go_beside_the_file_or_where_the_environment_says(tmp_path, monkeypatch):
    assert Records().place(tmp_path) == tmp_path / "records.sqlite"
    assert Records(path="deep/r.sqlite").place(tmp_path) == tmp_path / "deep" / "r.sqlite"
    settings = Records(url_env="RECORDS_URL")
    with pytest.raises(FormatError, match="RECORDS_URL"):
        settings.place(tmp_path)
    monkeypatch.setenv("RECORDS_URL", "postgresql://portside:hush@db/records")
    assert settings.place(tmp_path) == "postgresql://portside:hush@db/records"


@pytest.mark.parametrize("wrong", [
    {"path": "a", "url_env": "B"}, {"url_env": "postgresql://x"}, {"features": ["a", "a"]}, {"keep_days": 0}, {"queue_mb": -1.0},
    {"more": 1},
], ids=str)  # fmt: skip
def test_what_means_nothing_is_refused(wrong):
    with pytest.raises(ValidationError):
        Records(**wrong)


def test_a_source_is_a_deployment_a_file_or_a_url(tmp_path):
    file = tmp_path / "deployment.toml"
    file.write_text('name = "shop"\n[champion]\npackage = "p"\n[records]\npath = "r.sqlite"\nkeep_days = 30.0\n')
    assert read(file).records.keep_days == 30
    with pytest.raises(FormatError, match="no file of records"):
        place_of(file)
    (tmp_path / "r.sqlite").touch()
    assert place_of(file) == place_of(str(tmp_path / "r.sqlite")) == place_of(f"sqlite:///{tmp_path / 'r.sqlite'}") == tmp_path / "r.sqlite"
    assert place_of("postgresql://a@b/c") == "postgresql://a@b/c"
