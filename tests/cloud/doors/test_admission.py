"""Admission: bounded by requests and by bytes, never for health and metrics, and everything that was let in is let out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.doors.admission import FREE, Admission
from portside.cloud.doors.asgi import HEAD, RefusalError


def scope(size=None, method="POST"):
    return {"method": method, HEAD: {} if size is None else {b"content-length": b"%d" % size}}


def test_requests_and_bytes_are_bounded_and_let_go():
    admission = Admission(2, 100, 30)
    tickets = [admission.enter(scope(60)), admission.enter(scope())]
    assert tickets == [60, 30] and (admission.inflight, admission.size_bytes) == (2, 90)
    with pytest.raises(RefusalError) as caught:
        admission.enter(scope(1))
    assert caught.value.status == 429 and (b"retry-after", b"1") in list(caught.value.headers) and admission.refused == 1
    admission.leave(tickets[1], 200, 0.1)
    with pytest.raises(RefusalError):
        admission.enter(scope(50))
    assert admission.enter(scope(None, "GET")) == FREE
    admission.leave(FREE, 200, 0.1)
    admission.leave(tickets[0], 499, 0.1)
    assert (admission.inflight, admission.size_bytes) == (0, 0)
    assert "portside_turned_away_total 2" in admission.page()


def test_one_request_is_let_in_whatever_its_size():
    assert Admission(5, 100, 30).enter(scope(5000)) == 5000


@given(st.lists(st.one_of(st.integers(0, 60), st.just("end"))))
def test_bounds_hold_whatever_comes(steps):
    admission, inside = Admission(4, 100, 30), []
    for step in steps:
        if step == "end":
            if inside:
                admission.leave(inside.pop(0), 200, 0.0)
            continue
        try:
            inside.append(admission.enter(scope(step)))
        except RefusalError:
            assert len(inside) == 4 or sum(inside) + step > 100
        assert admission.inflight == len(inside) <= 4 and admission.size_bytes == sum(inside) <= 100
