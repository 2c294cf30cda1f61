"""What the outbox decides: a quota is made of pages and frames, and no transaction is longer than the log may be."""

from hypothesis import given
from hypothesis import strategies as st

from portside.edge.outbox_policy import (
    FRAME_BYTES,
    LEAST_QUOTA_BYTES,
    LOG_HEADER_BYTES,
    MARK_BYTES,
    PAGE_BYTES,
    Quota,
    frames_of,
    groups,
)

QUOTAS = st.integers(LEAST_QUOTA_BYTES, 1 << 34).map(Quota.of)


@given(QUOTAS)
def test_pages_frames_and_mark_are_the_quota(quota):
    most = quota.pages * PAGE_BYTES + LOG_HEADER_BYTES + quota.frames * FRAME_BYTES + MARK_BYTES
    assert most <= quota.total_bytes < most + PAGE_BYTES
    assert quota.entry_bytes > 32_000 and frames_of([quota.entry_bytes], 4) <= quota.frames


@given(QUOTAS, st.data())
def test_no_group_is_longer_than_the_log(quota, data):
    bodies = data.draw(st.lists(st.integers(0, quota.entry_bytes), max_size=60))
    sizes, done = groups(bodies, quota.frames), 0
    for size in sizes:
        assert size >= 1 and frames_of(bodies[done : done + size], size) <= quota.frames
        done += size
    assert done == len(bodies)
