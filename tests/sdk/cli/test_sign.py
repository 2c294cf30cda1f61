"""`portside sign`: from keys to a device that runs what was signed; nothing secret is printed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portside.sdk.core.package import Package

Run = Callable[..., Any]
ROOTS = ("ana", "ben", "cleo")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portside.sdk.signing.keys._COST", {"n": 1 << 4, "r": 8, "p": 1})


@pytest.fixture
def keys(portside: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sealed keys of three root holders, of targets, and one online key."""
    (tmp_path / "passphrase").write_text("correct horse\n")
    monkeypatch.setenv("PORTSIDE_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    folder = tmp_path / "keys"
    said = portside("sign", "keys", *ROOTS, "targets", "online", "--folder", folder)
    assert said.code == 0
    assert (folder / "ana.pem").stat().st_mode & 0o777 == 0o600
    return folder


def with_keys(folder: Path, *names: str) -> list[object]:
    return [word for name in names for word in ("--key", folder / f"{name}.pem")]


@pytest.fixture
def repository(portside: Run, keys: Path, tmp_path: Path) -> Path:
    public = [word for name in ROOTS for word in ("--root", keys / f"{name}.pub")]
    folder = tmp_path / "releases"
    said = portside("sign", "init", folder, *public, "--targets", keys / "targets.pub", "--online", keys / "online.pub",
                    *with_keys(keys, "ana", "ben", "targets", "online"), "--days", "timestamp=5", "--json")  # fmt: skip
    assert said.code == 0
    assert said.json["root"] == str(folder / "metadata" / "1.root.json")
    return folder


def test_a_release_is_signed_and_a_device_runs_it(portside: Run, repository: Path, keys: Path, package: Package, tmp_path: Path) -> None:
    from portside.edge.fetch import Fetched, fetch
    from portside.edge.trust import Offer, Trust, Trusted

    portside("store", "push", package.path)
    portside("compile", "sums:1", "--target", "reference", "--out", tmp_path / "compiled")
    portside("release", tmp_path / "compiled")
    said = portside("sign", "publish", repository, "sums:1", *with_keys(keys, "targets", "online"), "--json")
    assert said.code == 0
    assert [(one["platform"], one["sequence"]) for one in said.json] == [("reference", 1)]
    trust = Trust(tmp_path / "device", (repository / "metadata" / "1.root.json").read_bytes(), repository.as_uri())
    found = trust.refresh()
    assert isinstance(found, Trusted)
    with found:
        offer = found.find("sums", "reference")
        assert isinstance(offer, Offer)
        got = fetch(offer.index, found.mirror, tmp_path / "slot")
    assert isinstance(got, Fetched)
    assert portside("verify", got.path).code == 0
    again = portside("sign", "publish", repository, "sums:1", *with_keys(keys, "targets", "online"))
    assert again.code == 3 and "--rolls-back-to 1" in again.err
    back = portside("sign", "publish", repository, "sums:1", "--rolls-back-to", 1, *with_keys(keys, "targets", "online"), "--json")
    assert (back.json[0]["sequence"], back.json[0]["rolls_back_to"]) == (2, 1)
    shown = portside("sign", "status", repository)
    assert shown.code == 0 and "2 of 3" in shown.out and "reference" in shown.out
    assert portside("sign", "withdraw", repository, "sums", 1, *with_keys(keys, "targets", "online")).code == 0
    assert [one["sequence"] for one in portside("sign", "status", repository, "--json").json["releases"]] == [2]


def test_status_says_what_ends_soon_and_renew_mends_it(portside: Run, repository: Path, keys: Path) -> None:
    late = portside("sign", "status", repository, "--days", 6, "--json")
    assert (late.code, late.json["late"]) == (1, ["timestamp"])
    assert portside("sign", "renew", repository, *with_keys(keys, "online")).code == 0
    assert [row["version"] for row in portside("sign", "status", repository, "--json").json["roles"]] == [1, 1, 1, 2]


def test_a_key_is_replaced_by_two_holders_one_after_the_other(portside: Run, repository: Path, keys: Path) -> None:
    portside("sign", "keys", "new", "--folder", keys)
    old = portside("sign", "status", repository, "--json").json["roles"][3]["keys"][0]
    staged = portside("sign", "rotate", repository, "--remove", f"timestamp={old[:8]}", "--add", f"timestamp={keys / 'new.pub'}",
                      *with_keys(keys, "ana", "new"), "--json")  # fmt: skip
    assert (staged.code, staged.json["missing"], staged.json["published"]) == (1, {"before": 1, "after": 1}, False)
    assert portside("sign", "status", repository).code == 1
    assert portside("sign", "rotate", repository, *with_keys(keys, "ana")).code == 3, "one change at a time"
    lacking = portside("sign", "approve", repository, *with_keys(keys, "ben"))
    assert lacking.code == 3 and "timestamp" in lacking.err
    done = portside("sign", "approve", repository, *with_keys(keys, "ben", "new"), "--json")
    assert (done.code, done.json["published"]) == (0, True)
    now = portside("sign", "status", repository, "--json").json["roles"]
    assert now[3]["keys"] != [old] and now[0]["version"] == 2
    assert portside("sign", "drop", repository).code == 1


def test_nothing_secret_is_printed(portside: Run, keys: Path, tmp_path: Path) -> None:
    plain = portside("sign", "keys", "plain", "--folder", keys, "--unsealed", "--json")
    secret = (keys / "plain.pem").read_text().splitlines()[1]
    assert base64.b64decode(secret)
    assert secret not in plain.out + plain.err
    assert "correct horse" not in (keys / "ana.pem").read_text()


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["renew", "{repository}"], 2, "--key NAME.pem"),
        (["renew", "{repository}", "--key", "{keys}/targets.pem"], 3, "Too few keys sign the timestamp"),
        (["renew", "{repository}", "--key", "{keys}/ana.pub"], 3, "no private key"),
        (["renew", "{keys}", "--key", "{keys}/online.pem"], 3, "no repository"),
        (["rotate", "{repository}", "--add", "online={keys}/ana.pub", "--key", "{keys}/ana.pem"], 2, "ROLE="),
        (["publish", "{repository}", "nothing:1", "--key", "{keys}/targets.pem"], 3, ""),
        (["keys", "ana", "--folder", "{keys}"], 3, "never overwritten"),
    ],
)
def test_refusals_say_what_to_do(portside: Run, repository: Path, keys: Path, words: list[str], code: int, part: str) -> None:
    (keys / "ana.pub").chmod(0o600)
    said = portside("sign", *[word.format(repository=repository, keys=keys) for word in words])
    assert said.code == code and part in said.err


def test_a_wrong_passphrase_opens_nothing(portside: Run, repository: Path, keys: Path, tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("battery staple\n")
    said = portside("sign", "renew", repository, *with_keys(keys, "online"))
    assert said.code == 3 and "does not open this key" in said.err


def test_help_shows_an_example_of_each(portside: Run) -> None:
    for action in ("keys", "init", "publish", "withdraw", "renew", "rotate", "approve", "drop", "status"):
        said = portside("sign", action, "--help")
        assert said.code == 0 and f"portside sign {action}" in said.out
