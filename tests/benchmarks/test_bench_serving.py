"""What the benchmark of serving makes of what its clients say: figures, ratios, aims."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests" / "cloud" / "load")]
Answering = import_module("answering_server").Answering
clients = import_module("serving.clients")

WRK = """Running 2s test @ http://127.0.0.1:1/predict
  1 threads and 32 connections
  Latency Distribution
     50%    1.11s{space}
     75%    1.39s{space}
     99%  630.00us
  46 requests in 2.12s, 37.92KB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:     21.74
"""


@pytest.mark.parametrize("space", ["", " "])
def test_what_wrk_says(space):
    assert clients.parsed(WRK.format(space=space)) == {"requests_s": 21.74, "p50_ms": 1110.0, "p99_ms": pytest.approx(0.63), "errors": 12}
    with pytest.raises(ValueError, match="no answer of wrk"):
        clients.parsed("unable to connect")


def test_callers_without_wrk_always_wait_for_their_answer():
    with Answering(lambda number, body: 500 if number == 3 else 200) as server:
        found = clients.by_loop(clients.Ask(f"{server.url}/predict", b"{}"), 4, 0.5)
    assert found["errors"] == 1 and found["requests_s"] > 10 and 0 < found["p50_ms"] <= found["p99_ms"]
    assert all(body == b"{}" for body in server.bodies)


def test_ratios_are_taken_round_by_round():
    bench = pytest.importorskip("bench_serving")
    rows = [
        {"model": "tiny", "clients": 8, "round": number, "side": side, "requests_s": rate, "p50_ms": 1.0, "p99_ms": 2.0, "errors": 0}
        for number, rates in enumerate(((26.0, 2.0), (39.0, 3.0), (10.0, 1.0)))
        for side, rate in zip(("portside bare", "bentoml stock"), rates, strict=True)
    ]
    stock = next(aim for aim in bench.AIMS if aim.other == "bentoml stock" and aim.part == "tiny")
    tail = next(aim for aim in bench.AIMS if aim.other == "itself" and aim.part == "tiny")
    assert bench.ratios(rows, stock) == [13.0, 13.0, 10.0] and bench.holds(rows, stock) is True
    assert bench.ratios(rows, tail) == [2.0] * 3 and bench.holds(rows, tail) is True
    assert bench.holds(rows, next(aim for aim in bench.AIMS if aim.part == "jpeg")) is None
    assert "13.00x" in bench.show(rows) and "holds" in bench.show(rows)
