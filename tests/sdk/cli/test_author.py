"""Who says so."""

import getpass

import pytest

from portside.sdk.cli.author import author
from portside.sdk.core.errors import InputError


def test_the_name_that_was_given_else_the_account(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "ana")
    assert (author("ben"), author(None), author("")) == ("ben", "ana", "ana")


def test_an_account_by_number_alone_is_asked_for_a_name(monkeypatch):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr(getpass, "getuser", nobody)
    with pytest.raises(InputError, match="--as NAME"):
        author(None, "--as")
    assert author("ben") == "ben"


@pytest.mark.parametrize("given", ["\udcff", "a\0b", "x" * 200_000])
def test_bytes_that_are_no_text_are_refused(given):
    with pytest.raises(InputError) as caught:
        author(given)
    assert caught.value.field == "--by" and len(str(caught.value)) < 300
