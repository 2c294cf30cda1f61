"""Kept answers: found by content, bounded by entries and bytes, stale when old."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.cloud.answering.cache import CacheEntry, size_of
from portside.cloud.answering.content import content_key, row_keys
from portside.cloud.deployment.failover import Cache
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 2)), TensorSpec("scale", "f32", (), batch_axis=None)), ())


def answer(value, size=1):
    return {"y": np.full(size, value, np.float32)}


def test_a_cache_forgets_what_is_old_or_least_used():
    now = [0.0]
    cache = CacheEntry(Cache(ttl_s=1.0, max_entries=2), clock=lambda: now[0])
    for key in (b"a", b"b"):
        cache.put(key, {})
    assert cache.get(b"a") == ({}, False, 0.0)
    cache.put(b"c", {})
    assert cache.get(b"b") is None and cache.get(b"a") is not None
    now[0] = 2.0
    assert cache.get(b"a") is None and len(cache) == 1
    assert (cache.hits, cache.misses, cache.stale) == (2, 2, 0)


def test_a_stale_answer_says_how_old_it_is_and_is_never_fresh():
    now = [0.0]
    cache = CacheEntry(Cache(ttl_s=1.0, stale=True), clock=lambda: now[0])
    cache.put(b"a", answer(1))
    now[0] = 3.0
    assert cache.get(b"a", fresh=True) is None
    found = cache.get(b"a")
    assert found is not None and found.stale and found.age_ms == 3000.0 and cache.stale == 1


def test_an_answer_that_is_more_than_fits_is_not_kept():
    cache = CacheEntry(Cache(ttl_s=1.0, max_mb=0.01))
    cache.put(b"a", answer(1, 100_000))
    assert len(cache) == 0 and cache.size_bytes == 0


def test_a_slice_of_a_batch_does_not_keep_the_batch_alive():
    whole = np.zeros((1000, 4), np.float32)
    cache = CacheEntry(Cache(ttl_s=10.0))
    cache.put(b"a", {"y": whole[3:4]})
    found = cache.get(b"a")
    assert found is not None and found.outputs["y"].base is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 2000), st.booleans()), max_size=60), st.integers(1, 6))
def test_a_cache_stays_within_its_bounds_and_gives_what_was_put_last(steps, entries):
    most = 0.005
    cache, last = CacheEntry(Cache(ttl_s=100.0, max_entries=entries, max_mb=most)), {}
    for number, (key, size, put) in enumerate(steps):
        name = bytes([key])
        if put:
            cache.put(name, answer(number, size))
            last[name] = number
        else:
            found = cache.get(name)
            assert found is None or found.outputs["y"][0] == last[name]
        held = [cache.get(bytes([other])) for other in range(10)]
        held = [found for found in held if found is not None]
        assert len(cache) == len(held) <= entries
        assert cache.size_bytes == sum(size_of(found.outputs) for found in held) <= most * (1 << 20)


def test_keys_tell_dtypes_shapes_and_names_apart():
    one = np.array([[0, 0]], np.float32)
    keys = {content_key({"x": one}), content_key({"y": one}), content_key({"x": one.T}), content_key({"x": one.view(np.int32)})}
    assert len(keys) == 4
    assert content_key({"x": one}) == content_key({"x": one.copy()})


def test_keys_do_not_change_between_versions():
    """They stand in files of precomputed answers."""
    assert content_key({"x": np.array([[1, 2]], np.float32)}).hex() == "d32db878668cadff8da53b991ac61134"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 5, width=32), st.floats(-5, 5, width=32)), min_size=1, max_size=6))
def test_the_key_of_a_row_is_that_of_the_row_alone(rows):
    scale = np.array(2, np.float32)
    whole = np.array(rows, np.float32)
    alone = [content_key({"x": whole[place : place + 1].copy(), "scale": scale}) for place in range(len(rows))]
    assert row_keys({"x": whole, "scale": scale}, SIGNATURE, len(rows)) == alone
