"""`portside keys`: a key is shown once, listed without its hash, revoked by its id."""

import json

import pytest

from portside.cloud.security.key_file import read
from portside.cloud.security.keys import match
from portside.sdk.cli.keys import seconds
from portside.sdk.cli.main import main
from portside.sdk.core.errors import InputError


@pytest.fixture
def keys(tmp_path, capsys):
    file = tmp_path / "keys.json"

    def run(*words, code=0):
        assert main(["keys", *words, "--file", str(file), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    run.file = file
    return run


def test_a_key_is_made_listed_and_revoked(keys):
    made = keys("new", "ana", "--scope", "predict", "--scope", "metrics", "--deployment", "cell", "--expires", "90d", "--rows-per-s", "5")
    held = read(keys.file)
    key = match(held, made["key"])
    assert key is not None and key.scopes == ("predict", "metrics") and key.deployments == ("cell",) and key.rate.rows_per_s == 5
    assert round((key.expires - key.created) / 86_400) == 90 and made["key"] not in keys.file.read_text()
    second = keys("new", "bo")
    listed = keys("ls")
    assert [entry["name"] for entry in listed] == ["ana", "bo"] and all(entry["hash"] is None for entry in listed)
    assert keys("revoke", made["id"]) == {"revoked": made["id"], "name": "ana"}
    assert [entry["id"] for entry in keys("ls")] == [second["id"]]


def test_a_second_key_of_a_name_says_which_one_to_revoke(keys, capsys):
    first = keys("new", "ana")
    assert main(["keys", "new", "ana", "--file", str(keys.file)]) == 0
    assert f"portside keys revoke {first['id']}" in capsys.readouterr().out


def test_what_is_refused_says_why(keys):
    assert "no key" in keys("revoke", "nope", code=2)["what"]
    assert keys("new", "a", "--expires", "soon", code=2)["field"] == "expires"
    assert keys("new", "a", "--rows-per-s", "0", code=2)["field"] == "rate"
    assert not keys.file.exists()


def test_a_deployment_names_its_file(tmp_path, capsys):
    file = tmp_path / "deployment.toml"
    file.write_text('name = "a"\n[champion]\npackage = "x"\n')
    assert main(["keys", "ls", "--file", str(file), "--json"]) != 0
    assert "names no file" in json.loads(capsys.readouterr().out)["what"]
    file.write_text(file.read_text() + '[server.keys]\nfile = "who.json"\n')
    assert main(["keys", "new", "ana", "--file", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "shown once" in shown and match(read(tmp_path / "who.json"), shown.split()[0]) is not None


def test_times_from_now():
    assert [seconds(said) for said in ("30m", "12h", "90d")] == [1800, 43_200, 7_776_000]
    for wrong in ("", "90", "0d", "-1d", "1w", "d"):
        with pytest.raises(InputError):
            seconds(wrong)
