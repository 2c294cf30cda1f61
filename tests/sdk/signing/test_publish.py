"""Releases become indexes and chunks: each chunk once, sequences that only count up, rollbacks that say so."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from portside.sdk.core.errors import FormatError, StoreError, TrustError
from portside.sdk.core.release_index import ReleaseIndex, chunk_path
from portside.sdk.signing.publish import publish_folders, published, withdraw


def put(signed: Any, content: bytes, *targets: str, **more: Any) -> tuple[ReleaseIndex, ...]:
    return publish_folders(signed.repository, *signed.release(content, *targets), signed.signers, chunk_bytes=4096, **more)


def test_an_index_lies_where_every_client_of_tuf_looks(signed: Any) -> None:
    (index,) = put(signed, b"1")
    target = signed.repository.state().targets.signed.targets[index.path]
    (file,) = (signed.repository.path / "targets" / "releases" / "inspector" / "tflite").iterdir()
    assert file.name == f"{target.hashes['sha256']}.1.index.json"
    assert ReleaseIndex.from_bytes(file.read_bytes()) == index
    assert target.custom["x-portside"] == index.custom()


def test_equal_chunks_are_kept_once(signed: Any) -> None:
    first, second = put(signed, b"1"), put(signed, b"2")
    chunks = [file for file in (signed.repository.path / "chunks").rglob("*") if file.is_file()]
    assert len(chunks) == len({**first[0].chunks(), **second[0].chunks()}) == 4
    for chunk, size in first[0].chunks().items():
        data = (signed.repository.path / chunk_path(chunk)).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (chunk, size)


def test_platforms_of_a_release_share_a_sequence(signed: Any) -> None:
    assert [index.sequence for index in put(signed, b"1", "tflite", "onnx-cpu")] == [1, 1]
    assert [index.sequence for index in put(signed, b"2")] == [2]
    listed = published(signed.repository.state().targets.signed)
    assert [(one.sequence, one.custom["platform"]) for one in listed] == [(1, "onnx-cpu"), (1, "tflite"), (2, "tflite")]


def test_a_release_gets_a_second_number_only_as_a_rollback(signed: Any) -> None:
    put(signed, b"1")
    put(signed, b"2")
    with pytest.raises(FormatError, match="--rolls-back-to 1"):
        put(signed, b"1")
    with pytest.raises(FormatError, match="not of this release"):
        put(signed, b"1", rolls_back_to=2)
    (back,) = put(signed, b"1", rolls_back_to=1)
    assert (back.sequence, back.rolls_back_to) == (3, 1)


def test_what_there_is_not_is_not_signed(signed: Any) -> None:
    release, folders = signed.release(b"1")
    with pytest.raises(StoreError, match="nothing for wasm"):
        publish_folders(signed.repository, release, {"wasm": folders["tflite"]}, signed.signers)
    with pytest.raises(TrustError):
        publish_folders(signed.repository, release, folders, [signed.online])
    assert published(signed.repository.state().targets.signed) == ()


def test_a_withdrawn_release_is_gone_and_its_number_is_not_given_out_again(signed: Any) -> None:
    put(signed, b"1", "tflite", "onnx-cpu")
    put(signed, b"2")
    assert withdraw(signed.repository, "inspector", 2, signed.signers) == ("releases/inspector/tflite/2.index.json",)
    assert [one.sequence for one in published(signed.repository.state().targets.signed)] == [1, 1]
    assert put(signed, b"3")[0].sequence == 3
    signed.repository.renew(signed.signers)
    withdraw(signed.repository, "inspector", 3, signed.signers, reuse=True)
    assert put(signed, b"4")[0].sequence == 3
    with pytest.raises(StoreError, match="No release 9"):
        withdraw(signed.repository, "inspector", 9, signed.signers)
