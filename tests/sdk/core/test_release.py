"""A release as a value: one artifact per target and platform, and how one is chosen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.errors import FormatError, StoreError
from portside.sdk.core.release import Release, ReleasePart, ordered, part_notes, part_of

DIGEST = "sha256:" + "a" * 64


def part(target: str = "tflite", platform: str = "any", verdict: str = "passed") -> ReleasePart:
    return ReleasePart(target, platform, DIGEST, verdict, 10)


def release(*parts: ReleasePart) -> Release:
    return Release("cell", DIGEST, ordered(parts), DIGEST)


def test_one_made_for_the_platform_comes_before_one_for_any() -> None:
    held = release(part("tensorrt", "any"), part("tensorrt", "cuda/sm_90"), part("tflite"))
    assert held.part("tensorrt", "cuda/sm_90").platform == "cuda/sm_90"
    assert held.part("tensorrt", "cuda/sm_75").platform == "any"
    assert held.part("tensorrt").platform == "cuda/sm_90"
    assert held.targets == ("tensorrt", "tflite")


def test_what_is_not_there_is_said_with_what_is() -> None:
    with pytest.raises(StoreError, match=r"no artifact for wasm.*tflite"):
        release(part()).part("wasm")
    with pytest.raises(StoreError, match=r"on linux/arm64.*tensorrt on cuda/sm_90"):
        release(part("tensorrt", "cuda/sm_90")).part("tensorrt", "linux/arm64")


@pytest.mark.parametrize("parts", [(), (part(), part(verdict="not enough data"))], ids=["none", "two for one place"])
def test_ordered_refuses(parts: tuple[ReleasePart, ...]) -> None:
    with pytest.raises(FormatError):
        ordered(parts)


@pytest.mark.parametrize("platform", ["", "Linux", "linux//x", "a/b/c/d", "../x"])
def test_a_platform_is_words(platform: str) -> None:
    with pytest.raises(FormatError, match="platform"):
        part(platform=platform)


@given(st.permutations([part("a"), part("b", "linux/arm64"), part("b"), part("c")]))
def test_the_order_of_artifacts_does_not_matter(parts: list[ReleasePart]) -> None:
    assert ordered(parts) == ordered(parts[::-1])


def test_notes_round_trip_and_refuse_nonsense() -> None:
    held = part("tensorrt", "cuda/sm_90")
    assert part_of(part_notes(held)) == held
    for broken in ({}, part_notes(held) | {"vnd.portside.size_bytes": "many"}, part_notes(held) | {"vnd.portside.artifact": "x"}):
        with pytest.raises(FormatError):
            part_of(broken)
