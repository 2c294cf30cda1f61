"""`load`: options that there are, and those that there are not."""

from __future__ import annotations

import pytest

from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.loading import load
from portside.sdk.core.errors import InputError


def test_an_option_that_there_is_not_is_named_with_those_there_are(mixed, tmp_path):
    artifact = compile_package(mixed[1], out=tmp_path / "artifact")
    with pytest.raises(InputError) as caught:
        load(artifact, thread=2)
    assert str(caught.value).startswith("load has no option 'thread'; got thread; expected threads, isolation, trust")
    assert caught.value.fix == "Did you mean 'threads'?"


def test_every_kind_of_session_refuses_nothing_and_shows_itself(mixed, tmp_path):
    artifact = compile_package(mixed[1], out=tmp_path / "artifact")
    for isolation in ("inline", "thread", "process"):
        session = load(artifact, isolation=isolation)
        assert repr(session).startswith(f"<Session on onnx-cpu of package {artifact.package_digest[:19]}: ")
        with pytest.raises(InputError, match="predict needs inputs"):
            session.predict()
        session.close()
