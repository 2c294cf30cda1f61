"""`release(..., sign=)`: one call from compiled artifacts to what a device finds and trusts."""

from __future__ import annotations

import pytest

import portside as ps
from portside.edge.trust import Trust, Trusted
from portside.runtimes import samples
from portside.runtimes.compiling import compile as compile_package
from portside.sdk.core.errors import FormatError, TrustError
from portside.sdk.signing.keys import make_key
from portside.sdk.signing.publish import published
from portside.sdk.signing.repository import Repository


@pytest.fixture
def made(tmp_path):
    """(store, artifact, repository, root, folder of the keys): "one" signs for all roles and is sealed."""
    store, package = ps.Store(tmp_path / "store"), samples.mixed().write(tmp_path / "mixed")
    store.push(package)
    key = make_key(tmp_path / "keys", "one", "open sesame")
    make_key(tmp_path / "keys", "stranger")
    spare, repository = make_key(tmp_path / "keys", "spare").public, Repository(tmp_path / "releases")
    roles = {role: [key.public] for role in ("targets", "snapshot", "timestamp")} | {"root": [key.public, spare]}
    root = repository.create(roles, [key.signer], {"root": 1, "targets": 1, "snapshot": 1, "timestamp": 1})
    return store, compile_package(package, "onnx-cpu", tmp_path / "onnx-cpu"), repository, root, tmp_path / "keys"


def test_one_call_makes_what_a_device_finds(made, tmp_path):
    store, artifact, repository, root, keys = made
    release = ps.release([artifact], store, sign=ps.Signing(repository.path, [keys / "one.pem"], lambda name: "open sesame"))
    trusted = Trust(tmp_path / "trust", root, repository.path.as_uri()).refresh()
    assert isinstance(trusted, Trusted)
    with trusted as found:
        offer = found.find("mixed", "onnx-cpu")
    assert (offer.index.release, offer.index.sequence) == (release.digest, 1)
    assert "sesame" not in repr(ps.Signing(repository.path, [], lambda name: "open sesame"))


def test_without_enough_keys_nothing_is_signed_and_the_call_can_be_made_again(made):
    store, artifact, repository, _, keys = made
    for wrong in (ps.Signing(repository.path, [keys / "stranger.pem"]), ps.Signing(repository.path, [keys / "one.pem"])):
        with pytest.raises(TrustError):
            ps.release([artifact], store, sign=wrong)
    assert published(repository.state().targets.signed) == ()
    signing = ps.Signing(repository.path, [keys / "one.pem"], lambda name: "open sesame", platforms=["onnx-cpu"])
    release = ps.release([artifact], store, sign=signing)
    assert store.release("mixed") == release
    with pytest.raises(FormatError, match="published before"):
        ps.release([artifact], store, sign=signing)
