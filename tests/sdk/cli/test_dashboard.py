"""`portside dashboard`: what is wrong is said before anything listens; --check opens the database and tells what it is."""

import json
import socket

import pytest

from portside.sdk.cli.main import main

FILE = 'name = "cells"\n[champion]\npackage = "x"\n'


@pytest.fixture
def ask(tmp_path, capsys):
    (tmp_path / "deployment.toml").write_text(FILE)

    def run(*words, code=0):
        assert main(["dashboard", str(tmp_path / "deployment.toml"), *words, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return run


def test_check_opens_the_database(ask, tmp_path):
    told = ask("--check")
    assert told["database"] == "sqlite" and told["deployments"] == ["cells"] and told["place"] == str(tmp_path / "records.sqlite")


def test_what_cannot_be_listened_on_is_refused(ask, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for words in (["--host", "somewhere"], ["--port", "0"], ["--port", str(taken.getsockname()[1])], ["--host", "192.0.2.1"]):
            told = ask(*words, code=2 if "192.0.2.1" not in words else 3)
            assert told["error"] in ("InputError", "TrustError"), told


def test_a_deployment_without_records_has_nothing_to_show(tmp_path, capsys):
    (tmp_path / "off.toml").write_text(FILE + "[records]\nenabled = false\n")
    assert main(["dashboard", str(tmp_path / "off.toml")]) != 0
    assert "no records" in capsys.readouterr().err
