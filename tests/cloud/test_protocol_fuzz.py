"""Made-up bytes over real connections to a real server with two deployments: no 5xx but 503, no hang, and a good request is answered after.

`-m fuzz` sends for 30 s, with PORTSIDE_EFFORT=full for 10 minutes. PORTSIDE_SEED makes the requests of a failed run again.
"""

import asyncio
import json
import os
import random
import re
import time
from collections import Counter

import made_up
import pytest
import started as servers
import wired

SECONDS = 30.0
AT_ONCE = 8
QUIET_S, HANG_S = 0.3, 15.0
"""After this long without an answer the caller says that nothing more comes; after this long the server has hung."""
GOOD = [
    ("/predict/cell-inspector", servers.ROW), ("/v2/models/cell-inspector/infer", {"inputs": [
        {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]}),
    ("/predict", {"row": {name: made_up.ROW[name] for name in ("photo", "colour", "size")}}),
]  # fmt: skip


async def exchange(port, made):
    """Everything that comes back until the connection ends, or "hang"."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(HANG_S):
            for piece in made.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.001)
            return await _rest(reader, writer)
    except TimeoutError:
        return "hang"
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def _rest(reader, writer):
    said = b""
    while True:
        try:
            part = await asyncio.wait_for(reader.read(1 << 16), QUIET_S)
        except TimeoutError:
            if said or writer.transport.is_closing():
                return said
            writer.write_eof()
            return await reader.read(1 << 20)
        said += part
        if not part:
            return said


def judge(made, said, slow=False):
    """What is wrong with an answer, or None."""
    if said == "hang":
        return "hang"
    statuses = [int(status) for status in re.findall(rb"^HTTP/1\.[01] (\d{3})", said)]
    if any(status >= 500 and status != 503 for status in statuses):
        return f"status {statuses}"
    if b"Traceback" in said:
        return "a traceback"
    return "no answer to a whole request" if made.whole and not statuses else None


async def storm(port, dice, ends, seen):
    """Requests one after the other; what was wrong first."""
    while time.monotonic() < ends:
        made = made_up.request(dice)
        said = await exchange(port, made)
        wrong = judge(made, said)
        if wrong:
            return wrong, made.pieces, said[:500]
        seen[bytes(said[9:12]) or b"closed"] += 1
    return None


async def storms(port, seed, ends, seen):
    return await asyncio.gather(*(storm(port, random.Random(seed + number), ends, seen) for number in range(AT_ONCE)))


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
def test_made_up_bytes_over_all_doors(tmp_path, effort):
    folder, seed, seen = wired.deployments(tmp_path / "d"), int(os.environ.get("PORTSIDE_SEED", time.time_ns() % 10**9)), Counter()
    how = [servers.SERVE[0], "-c", "from portside.cloud.serving import serve; serve('a.toml', 'b.toml', port={port})"]
    with servers.serving(how, folder) as server:
        rounds = 3 * effort
        for number in range(rounds):
            found = asyncio.run(storms(server.port, seed + 1000 * number, time.monotonic() + SECONDS * effort / rounds, seen))
            assert found == [None] * AT_ONCE, f"PORTSIDE_SEED={seed}"
            for path, body in GOOD:
                status, said, _ = server.call(path, data=body)
                assert status == 200 and json.loads(said)["outputs"], (path, seed, status, said, server.log.read_text()[-4000:])
        assert server.process.poll() is None
        log = server.log.read_text(errors="replace")
    assert "Traceback" not in log, log[-3000:]
    assert seen[b"200"] > 20 and seen[b"400"] > 20 and seen[b"422"] > 20 and set(seen) <= KNOWN, seen


KNOWN = {
    b"closed",
    *(str(status).encode() for status in (100, 200, 400, 401, 404, 405, 408, 411, 413, 415, 417, 422, 426, 429, 431, 501, 503)),
}


def test_a_seed_makes_the_same_requests_again():
    one, other = random.Random(7), random.Random(7)
    first, second = ([made_up.request(dice) for _ in range(300)] for dice in (one, other))
    assert first == second and 30 < sum(made.whole for made in first) < 270
    kinds = (b"inference-header", b"transfer-encoding: chunked", b"multipart", b"/predict", b"/api/predict", b"/v2/models/wired/infer")
    assert all(any(kind in made.data for made in first) for kind in kinds)
